#!/bin/sh
# `ip -j route` does not say whether a metric is locked, so two routes that behave
# differently look the same.
#
# Package: Debian iproute2 6.1.0-3, as installed on the machine (the same was seen
#   with 6.15.0 of Debian 13).
# Expected: -j shows what the text shows. "lock" decides what the kernel does:
#   ip-route(8) says that a locked MTU is not updated by path MTU discovery.
# What happens: "mtu lock 1400" and "mtu 1400" give the same JSON, {"mtu": 1400}.
#   And a route made with "rto_min 20ms" is listed as "rto_min lock 20ms" (ip
#   always sets the lock there, as the kernel heeds the value only with it), of
#   which JSON shows nothing either. A program that saves routes by JSON and makes
#   them again unlocks every MTU.
# Needs: user namespaces (or root). Nothing outside the new namespace is touched.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ip -V | grep -q 'iproute2-6\.1\.0' || echo "note: seen with iproute2 6.1.0, this is $(ip -V)" >&2

cat >"$dir/inside" <<'END'
set -eu
ip link set lo up
ip route add 10.1.0.0/16 dev lo mtu lock 1400
ip route add 10.2.0.0/16 dev lo mtu 1400
ip route add 10.3.0.0/16 dev lo rto_min 20ms
for net in 1 2 3; do
	ip route show 10.$net.0.0/16 | sed 's/ *$//'
	ip -j route show 10.$net.0.0/16 | grep -o '"metrics":.*]}'
done
END
unshare -rn sh "$dir/inside" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
10.1.0.0/16 dev lo scope link mtu lock 1400
"metrics":[{"mtu":1400}]}
10.2.0.0/16 dev lo scope link mtu 1400
"metrics":[{"mtu":1400}]}
10.3.0.0/16 dev lo scope link rto_min lock 20ms
"metrics":[{"rto_min":20}]}
END
diff "$dir/expected" "$dir/seen"
