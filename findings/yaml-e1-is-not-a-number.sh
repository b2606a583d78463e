#!/bin/sh
# In YAML 1.1 mode the npm package yaml reads a name such as e1 or E15 as NaN.
#
# Packages: yaml 2.9.1, js-yaml 5.5.0 (npm); python3-yaml 6.0 of Debian 12, unpacked.
# Expected: text. YAML 1.1's pattern for a float asks for a dot, YAML 1.2's for a
#   digit in front of the exponent; PyYAML (1.1) and js-yaml (with its YAML 1.1
#   schema) read text, and so does this package in its default mode.
# What happens: with { version: '1.1' }, which one chooses for compose files because
#   of their merge keys, or with a "%YAML 1.1" line in the file itself, the pattern
#   lets all digits before the exponent be missing. Network, host and volume names
#   like e1, or a tag like e10, become the number NaN, whose JSON is null.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts yaml@2.9.1 js-yaml@5.5.0
(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download python3-yaml && dpkg -x python3-yaml_*.deb root)

cat >"$dir/run.mjs" <<'END'
import * as jsYaml from 'js-yaml';
import YAML from 'yaml';

const text = '{networks: [e1, E15, +e2, eth1, 1e1]}';
console.log('yaml, default', YAML.parse(text).networks);
console.log('yaml, version 1.1', YAML.parse(text, { version: '1.1' }).networks);
console.log('yaml, %YAML 1.1', YAML.parse(`%YAML 1.1\n---\n${text}`).networks);
console.log('js-yaml, 1.1 schema', jsYaml.load(text, { schema: jsYaml.YAML11_SCHEMA }).networks);
END
node "$dir/run.mjs" >"$dir/seen"
PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" /usr/bin/python3 -c '
import yaml
print("PyYAML", yaml.safe_load("{networks: [e1, E15, +e2, eth1, 1e1]}")["networks"])' >>"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
yaml, default [ 'e1', 'E15', '+e2', 'eth1', 10 ]
yaml, version 1.1 [ NaN, NaN, NaN, 'eth1', 10 ]
yaml, %YAML 1.1 [ NaN, NaN, NaN, 'eth1', 10 ]
js-yaml, 1.1 schema [ 'e1', 'E15', '+e2', 'eth1', '1e1' ]
PyYAML ['e1', 'E15', '+e2', 'eth1', '1e1']
END
diff "$dir/expected" "$dir/seen"
