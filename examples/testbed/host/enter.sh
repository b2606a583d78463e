#!/bin/sh
# enter.sh NAME DIR ROOT PROJECT: becomes the init of the test bed host NAME.
#
# Runs as pid 1 of new mount, pid, uts, ipc (and, with cgroup v2, cgroup) namespaces, in the host's network namespace.
#   DIR      the host's directory: up/ (what it writes over ROOT), work/, mnt/, docker/, swarmcut/, log/
#   ROOT     the Debian root that all hosts share, never written
#   PROJECT  the installed package, seen read-only as /opt/swarmcut
# pivot_root, not chroot: CRIU refuses a root that is no mount point ("No parent found for mountpoint").
set -eu
name=$1 dir=$2 root=$3 project=$4

# /proc is still that of the machine: this is our pid as the machine sees it, and our start time (field 22), so that a
# pid that has been used again is never taken for us.
read -r stat </proc/self/stat
set -- $stat
shift 21
start=$1
echo "${stat%% *} $start" >"$dir/init.pid.new"
mv "$dir/init.pid.new" "$dir/init.pid"

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/up,workdir=$dir/work" "$dir/mnt"
cd "$dir/mnt"

# overlay2 cannot lie on overlayfs, and snapshots belong on a real disk.
mkdir -p var/lib/docker var/lib/swarmcut var/log/testbed opt/swarmcut
mount --bind "$dir/docker" var/lib/docker
mount --bind "$dir/swarmcut" var/lib/swarmcut
mount --bind "$dir/log" var/log/testbed
mount --bind "$project" opt/swarmcut
mount -o remount,bind,ro opt/swarmcut
if [ -d /lib/modules ]; then
  mkdir -p usr/lib/modules
  mount --bind /lib/modules usr/lib/modules
  mount -o remount,bind,ro usr/lib/modules
fi

mount -t proc proc proc
mount -t sysfs sysfs sys
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  # v2: our cgroup namespace begins at this host's group. A group that hands out controllers may hold no process:
  # everything of ours moves into a leaf first.
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mkdir -p sys/fs/cgroup/init
  while read -r pid; do echo "$pid" >sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true; done <sys/fs/cgroup/cgroup.procs
  for controller in $(cat sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
  done
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  for path in /sys/fs/cgroup/*; do
    controller=${path##*/}
    # A link (cpu -> cpu,cpuacct) stays a link.
    if [ -L "$path" ]; then
      ln -s "$(readlink "$path")" "sys/fs/cgroup/$controller"
      continue
    fi
    mkdir "sys/fs/cgroup/$controller"
    case $controller in
      unified) mount -t cgroup2 cgroup2 sys/fs/cgroup/unified ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd ;;
      *) mount -t cgroup -o "$controller" cgroup "sys/fs/cgroup/$controller" ;;
    esac
  done
fi

mount -t tmpfs -o mode=755,size=75% tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty kmsg fuse net/tun; do
  [ -e "/dev/$device" ] || continue
  mkdir -p "dev/$(dirname "$device")"
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir -p dev/pts dev/shm dev/mqueue run/lock run/testbed
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t mqueue mqueue dev/mqueue
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
hostname "$name"

mkdir -p old
pivot_root . old
umount -l /old
rmdir /old 2>/dev/null || true

# A real init: dockerd as pid 1 would leave dead containerd-shims as zombies.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
  tini -- sh /opt/swarmcut/examples/testbed/host/supervise.sh
