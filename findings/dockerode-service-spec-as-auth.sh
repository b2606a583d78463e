#!/bin/sh
# dockerode's createService(spec), awaited, sends the whole spec as registry
# credentials.
#
# Packages: dockerode 5.0.1 with docker-modem 5.0.7 (npm).
# Expected: X-Registry-Auth holds what was given as authconfig, or is not sent. With
#   a callback it is so: the spec's authconfig goes into the header.
# What happens: called with one argument and no callback, the promise style, the
#   argument is taken for the credentials as well as for the spec. Every such call
#   carries a second copy of the service's spec, in base64, in X-Registry-Auth; an
#   authconfig in the spec is not taken out of it; and a spec of 12 KiB makes the
#   header longer than the 16 KiB that an HTTP server in Node takes by default.
#   createService(undefined, spec) does what one wants.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts dockerode@5.0.1 docker-modem@5.0.7

cat >"$dir/run.mjs" <<'END'
import http from 'node:http';
import path from 'node:path';
import Docker from 'dockerode';

const socketPath = path.join(process.argv[2], 'engine.sock');
let label;
const server = http.createServer((request, response) => {
  request.resume().on('end', () => {
    const auth = request.headers['x-registry-auth'];
    console.log(label, auth === undefined ? 'no header' : Buffer.from(auth, 'base64url').toString());
    response.writeHead(201, { 'content-type': 'application/json' }).end('{"ID":"x"}');
  });
});
await new Promise((resolve) => server.listen(socketPath, resolve));
const docker = new Docker({ socketPath });

label = 'promise:';
await docker.createService({ Name: 'web', TaskTemplate: {} });
label = 'callback:';
await new Promise((resolve) => docker.createService({ Name: 'web', authconfig: { username: 'u' } }, resolve));
label = 'two arguments:';
await docker.createService(undefined, { Name: 'web' });
server.close();
process.exit(0);
END
node "$dir/run.mjs" "$dir" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
promise: {"Name":"web","TaskTemplate":{}}
callback: {"username":"u"}
two arguments: no header
END
diff "$dir/expected" "$dir/seen"
