#!/bin/sh
# A set element with a timeout under one second becomes permanent when a ruleset
# goes through nft's own JSON.
#
# Package: Debian nftables 1.0.6-2+deb12u2, as installed on the machine (the same
#   was seen with 1.1.3 of Debian 13).
# Expected: `nft -j list ruleset` loaded again with `nft -j -f` gives the set that
#   was listed. The text form does: nft(8) lets a time have milliseconds, and
#   listing and loading text keeps "timeout 900ms".
# What happens: the JSON has whole seconds only, rounded down. 900 ms become
#   "timeout": 0 and "expires": 0, and 0 is loaded as no timeout at all: a short
#   block turns into one that never ends. 1500 ms become one second.
# Needs: user namespaces (or root). Nothing outside the new namespace is touched.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
nft --version | grep -q 'v1\.0\.6' || echo "note: seen with nftables 1.0.6, this is $(nft --version)" >&2

cat >"$dir/rules" <<'END'
table ip t {
	set s {
		type ipv4_addr
		flags timeout
		elements = { 10.0.0.1 timeout 900ms, 10.0.0.2 timeout 1500ms, 10.0.0.3 timeout 1h }
	}
}
END
cat >"$dir/inside" <<'END'
set -eu
listed() {
	nft list set ip t s | grep -o '10\.0\.0\.[0-9]\( timeout [0-9a-z]*\)\{0,1\}'
}
cd "$1"
nft -f rules
nft list ruleset >text
nft -j list ruleset >json
echo "JSON:"
grep -o '"val": "10.0.0.[12]", "timeout": [0-9]*, "expires": [0-9]*' json
nft flush ruleset
nft -f text
sleep 2
echo "from text, 2 s later:"
listed
nft flush ruleset
nft -j -f json
sleep 2
echo "from JSON, 2 s later:"
listed
END
unshare -rn sh "$dir/inside" "$dir" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
JSON:
"val": "10.0.0.1", "timeout": 0, "expires": 0
"val": "10.0.0.2", "timeout": 1, "expires": 1
from text, 2 s later:
10.0.0.3 timeout 1h
from JSON, 2 s later:
10.0.0.1
10.0.0.3 timeout 1h
END
diff "$dir/expected" "$dir/seen"
