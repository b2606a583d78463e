#!/bin/sh
# A metadata value that begins or ends with a space takes its key with it.
#
# Packages: @grpc/grpc-js 1.14.7, @grpc/proto-loader 0.8.1, protobufjs 7.6.6 (npm), on
#   the http2 of Node 20 (see nodejs/node issue 56703).
# Expected: gRPC over HTTP/2 says that such a value should not be used, and that the
#   white space may be stripped: either "x" or " x" arrives. Metadata.set() takes
#   the value, though it raises for a tab or an é.
# What happens: the entry never arrives. The receiver sees no such key, in requests
#   and in trailers alike, and neither side is told. Spaces in the middle are kept.
#   Whoever passes the last line of a tool's output as metadata meets it.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts \
	@grpc/grpc-js@1.14.7 @grpc/proto-loader@0.8.1 protobufjs@7.6.6

cat >"$dir/a.proto" <<'END'
syntax = "proto3";
package a;
message Empty {}
service S { rpc Call(Empty) returns (Empty); }
END
cat >"$dir/run.mjs" <<'END'
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const { S } = grpc.loadPackageDefinition(loader.loadSync(`${process.argv[2]}/a.proto`)).a;
const keys = ['begin', 'end', 'middle'];
const fill = () => {
  const metadata = new grpc.Metadata();
  metadata.set('begin', ' x');
  metadata.set('end', 'x ');
  metadata.set('middle', 'x y');
  return metadata;
};
const show = (name, metadata) => console.log(name, keys.map((key) => `${key}=${JSON.stringify(metadata.get(key))}`).join(' '));
const server = new grpc.Server();
server.addService(S.service, {
  Call(call, done) {
    show('request', call.metadata);
    done(null, {}, fill());
  },
});
const port = await new Promise((resolve, reject) =>
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
);
const client = new S(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
await new Promise((resolve) => {
  client.Call({}, fill(), () => {}).on('status', (status) => resolve(show('trailer', status.metadata)));
});
process.exit(0);
END
node "$dir/run.mjs" "$dir" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
request begin=[] end=[] middle=["x y"]
trailer begin=[] end=[] middle=["x y"]
END
diff "$dir/expected" "$dir/seen"
