#!/bin/sh
# make-root.sh TARGET [MIRROR]: builds the Debian root that all hosts of a test bed share, into the directory TARGET.
#
# Debian trixie, with CRIU from forky: trixie's CRIU 4.1.1 cannot dump a process with a TCP socket on Linux 6.16 and
# later (SO_PASSCRED on sockets that are not unix sockets); 4.2.1 can, and leaves trixie's libc as it is.
# MIRROR is that of the machine's own apt configuration; without it, debootstrap's own default is used.
# Runs as root in a mount namespace of its own (root.ts takes care of it), so nothing stays mounted whatever happens.
# This text is part of the name of the cached root: a change here builds a new one.
set -eu
target=$1
mirror=${2:-}

# An empty mirror argument must not reach debootstrap as an empty word.
debootstrap --variant=minbase --include=ca-certificates trixie "$target" ${mirror:+"$mirror"}
mirror=$(sed -n 's/^deb \(\[.*\] \)\{0,1\}\([^ ]*\) trixie.*/\2/p' "$target/etc/apt/sources.list" | head -n 1)

# The release files of a mirror's copy may be past their date: that is not our business here.
echo "deb [check-valid-until=no] $mirror trixie main" >"$target/etc/apt/sources.list"
echo "deb [check-valid-until=no] $mirror forky main" >"$target/etc/apt/sources.list.d/forky.list"
printf 'Package: *\nPin: release n=forky\nPin-Priority: 50\n' >"$target/etc/apt/preferences.d/forky"

# Smaller and quicker: no manual pages, no translations, no fsync per file, no services started by packages.
cat >"$target/etc/dpkg/dpkg.cfg.d/testbed" <<'DPKG'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
DPKG
printf '#!/bin/sh\nexit 101\n' >"$target/usr/sbin/policy-rc.d"
chmod 755 "$target/usr/sbin/policy-rc.d"

# The machine's way out: its resolver, its proxies, its certificate authorities.
cp -L /etc/resolv.conf /etc/hosts "$target/etc/"
conf="$target/etc/apt/apt.conf.d/99build"
{
  apt-config dump 2>/dev/null | grep -i '^Acquire::.*proxy' || true
  echo 'Acquire::Languages "none";'
  echo 'APT::Install-Recommends "false";'
} >"$conf"
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
  cp -L /etc/ssl/certs/ca-certificates.crt "$target/etc/apt/build-ca.crt"
  echo 'Acquire::https::CAInfo "/etc/apt/build-ca.crt";' >>"$conf"
fi

mount -t proc proc "$target/proc"
run() { chroot "$target" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
run apt-get -q update
run apt-get -q install -y \
  docker.io docker-cli iproute2 nftables iptables procps kmod \
  nodejs python3 redis-server redis-tools iperf3 haproxy tini busybox-static xz-utils zstd tcpdump
run apt-get -q install -y -t forky criu
run criu --version
umount "$target/proc"

rm -rf "$conf" "$target/etc/apt/build-ca.crt" "$target/usr/sbin/policy-rc.d"
rm -rf "$target"/var/lib/apt/lists/* "$target"/var/cache/apt/* "$target"/var/log/* "$target"/usr/share/doc/*
# The hosts have no way out: a name that Swarm does not know must fail at once, not after a time-out of 10 s.
echo 'nameserver 127.0.0.1' >"$target/etc/resolv.conf"
