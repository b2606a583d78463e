/**
 * A web server: `POST /echo` answers with the body's SHA-256 in hex, a line end and the body; `/socket` is a WebSocket that sends each text
 * back with its number on that connection in front. Environment: APP_PORT (8000).
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { acceptKey, readText, textFrame } from './websocket.ts';
import { Wire } from '../common/wire.ts';

const web = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const answer = Buffer.concat([Buffer.from(`${createHash('sha256').update(body).digest('hex')}\n`), body]);
    response.writeHead(200, { 'content-length': answer.length });
    response.end(answer);
  });
});
// Proxies keep their connections for as long as they like.
web.keepAliveTimeout = 0;
web.requestTimeout = 0;
web.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] ?? '';
  const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write(`${[...head, `Sec-WebSocket-Accept: ${acceptKey(key)}`].join('\r\n')}\r\n\r\n`);
  const wire = new Wire(socket);
  void (async () => {
    for (let n = 1; ; n++) wire.send(textFrame(`${n} ${await readText((count) => wire.bytes(count))}`));
  })().catch(() => wire.destroy());
});
web.listen(Number(process.env.APP_PORT ?? 8000), '0.0.0.0');
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
