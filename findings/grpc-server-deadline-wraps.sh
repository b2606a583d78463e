#!/bin/sh
# A gRPC call with a deadline 25 days ahead has, for the server, a deadline 25 days
# ago.
#
# Packages: @grpc/grpc-js 1.14.7, @grpc/proto-loader 0.8.1, protobufjs 7.6.6 (npm).
# Expected: call.getDeadline() in a handler is the client's deadline, within the
#   rounding of the grpc-timeout header, whose units go up to hours. Deadlines of
#   weeks are set where a stream is meant to last, but not for ever.
# What happens: the server makes the sum of time-out and present in 32 bits of
#   milliseconds. From 2^31 ms (24.8 days) on it is wrong: 25 days give a date in
#   the past, 50 days one that is eight hours ahead. The call itself is not ended;
#   but a further call that the handler makes with { parent: call }, which inherits
#   the deadline, fails at once with DEADLINE_EXCEEDED.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts \
	@grpc/grpc-js@1.14.7 @grpc/proto-loader@0.8.1 protobufjs@7.6.6

cat >"$dir/a.proto" <<'END'
syntax = "proto3";
package a;
message Empty {}
service S { rpc Call(Empty) returns (Empty); rpc Next(Empty) returns (Empty); }
END
cat >"$dir/run.mjs" <<'END'
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const { S } = grpc.loadPackageDefinition(loader.loadSync(`${process.argv[2]}/a.proto`)).a;
const day = 86_400_000;
let client;
let seen;
const server = new grpc.Server();
server.addService(S.service, {
  Call(call, done) {
    seen = `${((call.getDeadline() - Date.now()) / day).toFixed(1)} days`;
    client.Next({}, new grpc.Metadata(), { parent: call }, (error) => done(error, {}));
  },
  Next(call, done) {
    done(null, {});
  },
});
const port = await new Promise((resolve, reject) =>
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
);
client = new S(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
for (const days of [1, 24, 25, 50]) {
  const error = await new Promise((resolve) => client.Call({}, { deadline: Date.now() + days * day }, resolve));
  console.log(`${days} days: the server sees ${seen}; a further call: ${error ? grpc.status[error.code] : 'OK'}`);
}
process.exit(0);
END
node "$dir/run.mjs" "$dir" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
1 days: the server sees 1.0 days; a further call: OK
24 days: the server sees 24.0 days; a further call: OK
25 days: the server sees -24.7 days; a further call: DEADLINE_EXCEEDED
50 days: the server sees 0.3 days; a further call: OK
END
diff "$dir/expected" "$dir/seen"
