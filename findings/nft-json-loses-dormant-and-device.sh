#!/bin/sh
# nft's JSON export wakes up a dormant table, and nft refuses to load its own export
# of a netdev chain.
#
# Package: Debian nftables 1.0.6-2+deb12u2, as installed on the machine (1.1.3 of
#   Debian 13 exports all three things named here).
# Expected: what `nft -j list ruleset` writes, `nft -j -f` loads back to the same
#   rules: the export is what libnftables-json(5) offers to programs, and the text
#   form of the same version keeps everything.
# What happens: "flags dormant" of a table is not in the JSON, so rules that were
#   switched off come back switched on; "auto-merge" of a set is lost too; and a
#   netdev chain is written without its device, which the loader then demands.
# Needs: user namespaces (or root). Nothing outside the new namespace is touched.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
nft --version | grep -q 'v1\.0\.6' || echo "note: seen with nftables 1.0.6, this is $(nft --version)" >&2

cat >"$dir/sleeping" <<'END'
table ip t {
	flags dormant
	set s {
		type ipv4_addr
		flags interval
		auto-merge
	}
	chain c {
		type filter hook input priority 0
		ip saddr @s counter drop
	}
}
END
cat >"$dir/ingress" <<'END'
table netdev n {
	chain c {
		type filter hook ingress device lo priority -500
	}
}
END
cat >"$dir/inside" <<'END'
set -eu
cd "$1"
kept() {
	if nft list ruleset | grep -qw "$1"; then echo "$1 kept"; else echo "$1 lost"; fi
}
nft -f sleeping
nft list ruleset >text
nft -j list ruleset >json
nft flush ruleset
nft -f text
echo "text:"
kept dormant
kept auto-merge
nft flush ruleset
nft -j -f json
echo "JSON:"
kept dormant
kept auto-merge
nft flush ruleset
nft -f ingress
nft list ruleset >text
nft -j list ruleset >json
nft flush ruleset
nft -f text && echo "netdev chain from text: loaded"
nft flush ruleset
nft -j -f json 2>err && echo "netdev chain from JSON: loaded"
grep -o "Missing .device' in this chain definition" err | tr '`' "'"
END
unshare -rn sh "$dir/inside" "$dir" >"$dir/seen" || true
cat "$dir/seen"
cat >"$dir/expected" <<'END'
text:
dormant kept
auto-merge kept
JSON:
dormant lost
auto-merge lost
netdev chain from text: loaded
Missing 'device' in this chain definition
END
diff "$dir/expected" "$dir/seen"
