#!/bin/sh
# make-apps.sh base TARGET [MIRROR]: a small Debian trixie with node, python and busybox, on which all application images stand.
# make-apps.sh family LOWER LAYER PACKAGES [BUILD]: what these packages add to LOWER, as a directory LAYER for an image's layer.
#   BUILD is a shell script, run in the root after the packages are in: /src holds examples/apps; what it leaves is part of the layer.
#
# Runs as root in a mount namespace of its own (apps.ts takes care of it). This text is part of the names of what is cached.
set -eu
apt='env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin'

# The machine's way out (resolver, proxies, authorities), and no services started by packages.
open_root() {
  cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
  {
    apt-config dump 2>/dev/null | grep -i '^Acquire::.*proxy' || true
    echo 'Acquire::Languages "none"; APT::Install-Recommends "false";'
    echo 'Acquire::https::CAInfo "/etc/apt/build-ca.crt";'
  } >"$1/etc/apt/apt.conf.d/99build"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/apt/build-ca.crt"
  printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
  mount -t proc proc "$1/proc"
}

close_root() {
  umount "$1/proc"
  rm -f "$1/etc/apt/apt.conf.d/99build" "$1/etc/apt/build-ca.crt" "$1/usr/sbin/policy-rc.d"
}

case $1 in
base)
  target=$2
  mirror=${3:-}
  debootstrap --variant=minbase --include=ca-certificates trixie "$target" ${mirror:+"$mirror"}
  mirror=$(sed -n 's/^deb \(\[.*\] \)\{0,1\}\([^ ]*\) trixie.*/\2/p' "$target/etc/apt/sources.list" | head -n 1)
  echo "deb [check-valid-until=no] $mirror trixie main" >"$target/etc/apt/sources.list"
  cat >"$target/etc/dpkg/dpkg.cfg.d/testbed" <<'DPKG'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
DPKG
  open_root "$target"
  chroot "$target" $apt apt-get -q update
  chroot "$target" $apt apt-get -q install -y nodejs python3-minimal busybox-static iproute2 procps
  close_root "$target"
  rm -rf "$target"/usr/share/doc/* "$target"/usr/share/locale/* "$target"/usr/share/man/* "$target"/var/cache/apt/* "$target"/var/log/*
  # Names of busybox for what has no program of its own, as in the examples' image.
  for applet in $(chroot "$target" busybox --list); do
    chroot "$target" sh -c 'command -v "$1" >/dev/null' sh "$applet" || ln -s busybox "$target/usr/bin/$applet"
  done
  mkdir -p "$target/data"
  ;;
family)
  lower=$2
  layer=$3
  packages=$4
  build=${5:-}
  work=$layer.work
  root=$layer.root
  mkdir -p "$layer" "$work" "$root"
  mount -t overlay -o "lowerdir=$lower,upperdir=$layer,workdir=$work" overlay "$root"
  open_root "$root"
  # Alternatives have manual pages beside them, and packages fail that cannot make a link there.
  mkdir -p "$root/usr/share/man/man1"
  # shellcheck disable=SC2086 # several words
  chroot "$root" $apt apt-get -q install -y $packages
  if [ -n "$build" ]; then
    mkdir "$root/src"
    cp -R "${SOURCES:?}/." "$root/src/"
    chroot "$root" $apt sh -euc "$build"
    rm -rf "$root/src"
  fi
  close_root "$root"
  umount "$root"
  rm -rf "$layer"/var/lib/apt "$layer"/var/lib/dpkg "$layer"/var/cache/* "$layer"/var/log/* "$layer"/usr/share/doc "$layer"/usr/share/man
  # Whiteouts as image layers have them.
  find "$layer" -type c -printf '%h\t%f\n' | while IFS="$(printf '\t')" read -r dir name; do
    rm "$dir/$name"
    : >"$dir/.wh.$name"
  done
  rm -rf "$work"
  rmdir "$root"
  ;;
esac
