#!/bin/sh
# `ip6 dscp @set` never matches: the field lies across two bytes, and the set, whose
# key is one byte, is asked for the wrong one of them.
#
# Package: Debian nftables 1.0.6-2+deb12u2, as installed on the machine (the same
#   was seen with 1.1.3 of Debian 13).
# Expected: a packet with DSCP 11 is counted by a rule that compares the field with
#   the constant, and by one that looks it up in a set with that constant, as it is
#   for IPv4 (nft(8), "IPv6 header expression", and "Sets").
# What happens: `ip dscp` matches both ways. `ip6 dscp 0x0b` matches, `ip6 dscp @s`
#   with 0x0b in s does not: the rule is accepted, listed as it was written, and
#   does nothing. `nft --debug=netlink` shows why: two bytes are loaded and shifted
#   right by six, which leaves the value in the second, and looked up is the first.
# Needs: user namespaces (or root), ip, python3. Nothing outside is touched.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
nft --version | grep -q 'v1\.0\.6' || echo "note: seen with nftables 1.0.6, this is $(nft --version)" >&2

cat >"$dir/inside" <<'END'
set -eu
cd "$1"
ip link set lo up
nft -f - <<'RULES'
table inet t {
	set s {
		type dscp
		elements = { 0x0b }
	}
	chain out {
		type filter hook output priority 0
		ip dscp 0x0b counter comment "4-constant"
		ip dscp @s counter comment "4-set"
		ip6 dscp 0x0b counter comment "6-constant"
		ip6 dscp @s counter comment "6-set"
	}
}
RULES
python3 - <<'PY'
import socket
for family, level, option, to in ((socket.AF_INET, socket.IPPROTO_IP, socket.IP_TOS, '127.0.0.1'),
                                  (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS, '::1')):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(level, option, 11 << 2)
    s.sendto(b'x', (to, 9))
PY
nft list chain inet t out | sed -n 's/.*counter packets \([0-9]*\) .*comment "\([0-9a-z-]*\)"/\2 \1/p'
END
unshare -rn sh "$dir/inside" "$dir" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
4-constant 1
4-set 1
6-constant 1
6-set 0
END
diff "$dir/expected" "$dir/seen"
