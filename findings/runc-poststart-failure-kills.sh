#!/bin/sh
# A failing poststart hook kills the container.
#
# Packages: Debian runc 1.1.5+ds1 and busybox-static 1.35.0, unpacked, not installed.
# Expected: the runtime specification 1.0.2, which this runc says it follows
#   ("ociVersion": "1.0.2-dev"), and its successors up to 1.2.1: a failure of a
#   poststart hook is worth a warning and must not change the lifecycle. (1.3.0
#   turned the rule round to what is seen here.)
# What happens: `runc run` exits with 1, the container's process, which was running,
#   is killed, and the container is gone from `runc list`. A poststop hook that
#   fails is only logged, as the specification says. So what may fail (a
#   notification, a metric) has to end with "|| true" in poststart.
# Needs: root and cgroups that it may write.
set -eu
dir=$(mktemp -d)
runc="$dir/root/usr/sbin/runc --root $dir/state"
finish() {
	if [ -x "$dir/root/usr/sbin/runc" ]; then
		for id in good post stop; do $runc delete -f "finding-$id" >/dev/null 2>&1 || true; done
	fi
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download runc busybox-static
for deb in *.deb; do dpkg -x "$deb" root; done
$runc --version | grep -q 'runc version 1\.1\.' || echo "note: seen with runc 1.1.5" >&2

mkdir -p bundle/rootfs/bin
cp root/bin/busybox bundle/rootfs/bin/sleep
(cd bundle && $runc spec)
# $1 the container, $2 its hooks
start() {
	python3 - "$2" <<'END'
import json, sys

with open("bundle/config.json") as file:
    config = json.load(file)
config["process"]["terminal"] = False
config["process"]["args"] = ["sleep", "60"]
config["hooks"] = json.loads(sys.argv[1])
with open("bundle/config.json", "w") as file:
    json.dump(config, file)
END
	code=0
	$runc run --bundle bundle -d "finding-$1" </dev/null >/dev/null 2>err || code=$?
	state=$($runc state "finding-$1" 2>/dev/null | grep -o '"status": "[a-z]*"' || echo 'no such container')
	echo "$1: run exits with $code, $state"
}
{
	start good '{"poststart": [{"path": "/bin/true"}]}'
	start post '{"poststart": [{"path": "/bin/false"}]}'
	grep -o 'error running hook: exit status 1' err
	start stop '{"poststop": [{"path": "/bin/false"}]}'
	code=0
	$runc delete -f finding-stop 2>err || code=$?
	echo "stop: delete exits with $code"
	grep -o 'error running hook: exit status 1' err
} >seen
cat seen
cat >expected <<'END'
good: run exits with 0, "status": "running"
post: run exits with 1, no such container
error running hook: exit status 1
stop: run exits with 0, "status": "running"
stop: delete exits with 0
error running hook: exit status 1
END
diff expected seen
