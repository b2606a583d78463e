#!/bin/sh
# A misspelt enum name is treated in three ways, depending on where it stands, and is
# an error in none.
#
# Packages: @grpc/proto-loader 0.8.1 with protobufjs 7.6.6 (npm).
# Expected: an error, as for a scalar where a list must be, or as protobuf's own JSON
#   parsers raise for a name that they do not know; or at least one rule.
# What happens: a plain field is left out (the receiver sees the default); in a list
#   the name becomes 0, so the list keeps its length; in a map the whole entry is
#   gone, key included. Numbers are taken as they are, known or not, but a number
#   in quotes counts as an unknown name.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts @grpc/proto-loader@0.8.1 protobufjs@7.6.6

cat >"$dir/a.proto" <<'END'
syntax = "proto3";
package a;
enum State { NONE = 0; RUNNING = 1; STOPPED = 2; }
message M { optional State one = 1; repeated State list = 2; map<string, State> map = 3; }
service S { rpc Call(M) returns (M); }
END
cat >"$dir/run.mjs" <<'END'
import loader from '@grpc/proto-loader';

const { Call } = loader.loadSync(`${process.argv[2]}/a.proto`, { enums: String })['a.S'];
const send = (value) => console.log(JSON.stringify(value), '->', JSON.stringify(Call.requestDeserialize(Call.requestSerialize(value))));
send({ one: 'RUNING' });
send({ list: ['STOPPED', 'RUNING', 'RUNNING'] });
send({ map: { a: 'STOPPED', b: 'RUNING' } });
send({ list: [1, '1', 9] });
try {
  send({ list: 'RUNNING' });
} catch (error) {
  console.log(error.message);
}
END
node "$dir/run.mjs" "$dir" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
{"one":"RUNING"} -> {}
{"list":["STOPPED","RUNING","RUNNING"]} -> {"list":["STOPPED","NONE","RUNNING"]}
{"map":{"a":"STOPPED","b":"RUNING"}} -> {"map":{"a":"STOPPED"}}
{"list":[1,"1",9]} -> {"list":["RUNNING","NONE",9]}
.a.M.list: array expected
END
diff "$dir/expected" "$dir/seen"
