#!/bin/sh
# A default inside a default reaches the container of a stack as plain text.
#
# Package: Debian 13 docker-cli 26.1.5+dfsg1 (the Debian sources of the machine, with
#   the release name exchanged; unpacked, not installed; no engine is needed). The
#   same was seen with 28.2.2.
# Expected: "${PORT:-${BASE:-8080}}" gives 8080 if neither is set: the Compose
#   specification lists this form among those that can be nested.
# What happens: `docker stack` resolves the outer part alone and hands on the
#   inner one as it stands: the value is the text "${BASE:-8080}", also when BASE
#   is set. No error, no warning, although other forms that it does not know, such
#   as "${PORT:+x}", are refused.
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
    environment:
      FLAT: "${PORT:-8080}"
      NESTED: "${PORT:-${BASE:-8080}}"
END
cat >plus.yml <<'END'
services:
  web:
    image: example
    environment:
      PLUS: "${PORT:+x}"
END
stack() {
	env -u PORT -u BASE "$@"
}
{
	stack "$dir/root/usr/bin/docker" stack config -c stack.yml | grep -E 'FLAT|NESTED'
	stack BASE=9090 "$dir/root/usr/bin/docker" stack config -c stack.yml | grep NESTED
	stack "$dir/root/usr/bin/docker" stack config -c plus.yml 2>&1 | grep -o 'invalid interpolation format'
} >seen
cat seen
cat >expected <<'END'
      FLAT: "8080"
      NESTED: ${BASE:-8080}
      NESTED: ${BASE:-8080}
invalid interpolation format
END
diff expected seen
