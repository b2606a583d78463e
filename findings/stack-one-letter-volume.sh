#!/bin/sh
# `docker stack` takes a volume with a name of one letter for a Windows drive.
#
# Package: Debian 13 docker-cli 26.1.5+dfsg1 (the Debian sources of the machine, with
#   the release name exchanged; unpacked, not installed; no engine is needed). The
#   same was seen with 28.2.2.
# Expected: "d:/data" with a declared volume d mounts that volume on /data, as
#   "dd:/data" does. Swarm has nothing against the name: the engine asks for two
#   characters at least, and the stack's name is put in front, so it would be
#   "mystack_d".
# What happens, without a word: "d:/data" becomes an anonymous volume with the
#   target "d:/data", and "d:/data:ro" a bind mount of "d:/data" on "ro", on Linux
#   as well. The declared volume is not used at all.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources.d"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
	if [ -f "$file" ]; then sed 's/bookworm/trixie/g' "$file" >"$dir/sources.d/${file##*/}"; fi
done
private_apt() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/sources.d" \
		-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@"
}
cd "$dir"
private_apt update
private_apt download docker-cli
dpkg -x docker-cli_*.deb "$dir/root"
version=$(dpkg-deb -f docker-cli_*.deb Version)
case $version in 26.1.5*) ;; *) echo "note: seen with docker-cli 26.1.5, this is $version" >&2 ;; esac

cat >stack.yml <<'END'
services:
  web:
    image: example
    volumes:
      - d:/data
      - dd:/data
      - d:/data:ro
      - dd:/data2:ro
volumes:
  d: {}
  dd: {}
END
"$dir/root/usr/bin/docker" stack config -c stack.yml >config.yml
sed -n '/^    volumes:/,/^[a-z]/{/^    - /p;/^      /p;}' config.yml >seen
cat seen
cat >expected <<'END'
    - type: volume
      target: d:/data
    - type: volume
      source: dd
      target: /data
    - type: bind
      source: d:/data
      target: ro
    - type: volume
      source: dd
      target: /data2
      read_only: true
END
diff expected seen
