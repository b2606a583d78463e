#!/bin/sh
# Two providers of certificates, and the server asks each for what the other one has;
# one that answers at once leaves a server that drops every connection.
#
# Package: @grpc/grpc-js 1.14.7 (npm).
# Expected: experimental.createCertificateProviderServerCredentials(ca, identity,
#   requireClientCertificate) asks the first provider for authorities and the second one
#   for its own certificate, as its types say. A listener may be called when it is added:
#   the interface says nothing against it.
# What happens: the function hands its arguments on to a class that takes them the
#   other way round. The "ca" provider is asked for the server's certificate, and with
#   `null` as "identity" no client is asked for a certificate. And what comes while the
#   listener is being added is lost: the server looks at it only when it changes again,
#   and until then closes every connection.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts @grpc/grpc-js@1.14.7
(
  cd "$dir"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
)

cat >"$dir/run.mjs" <<'END'
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import grpc from '@grpc/grpc-js';

const pem = (name) => readFileSync(new URL(name, import.meta.url));
const provider = (name, asked, answer) => ({
  addCaCertificateListener: (listener) => {
    asked.push(`${name}: authorities`);
    answer(() => listener({ caCertificate: pem('cert.pem') }));
  },
  removeCaCertificateListener: () => undefined,
  addIdentityCertificateListener: (listener) => {
    asked.push(`${name}: own certificate`);
    answer(() => listener({ certificate: pem('cert.pem'), privateKey: pem('key.pem') }));
  },
  removeIdentityCertificateListener: () => undefined,
});
async function run(answer) {
  const asked = [];
  const credentials = grpc.experimental.createCertificateProviderServerCredentials(
    provider('first', asked, answer),
    provider('second', asked, answer),
    false,
  );
  const server = new grpc.Server();
  const port = await new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  // What comes later is there now.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('cert.pem'), servername: 'localhost', ALPNProtocols: ['h2'] });
  const end = await new Promise((resolve) => {
    socket.on('secureConnect', () => resolve('connected')).on('error', () => resolve('closed')).on('close', () => resolve('closed'));
  });
  socket.destroy();
  server.forceShutdown();
  return { asked: asked.sort(), end };
}
const later = await run((call) => setImmediate(call));
console.log('asked:', later.asked.join('; '));
console.log('answered later:', later.end);
console.log('answered at once:', (await run((call) => call())).end);
process.exit();
END
node "$dir/run.mjs" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
asked: first: own certificate; second: authorities
answered later: connected
answered at once: closed
END
diff "$dir/expected" "$dir/seen"
