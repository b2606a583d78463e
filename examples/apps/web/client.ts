/**
 * A client of a web server or of a proxy in front of one: requests on a connection that is kept alive, on new connections all the time, and
 * numbered texts through a WebSocket. Environment: ../common/traffic.ts, and APP_WEBSOCKET (1; 0: the server has none).
 */
import { createHash, randomBytes } from 'node:crypto';
import { board, checked, lasting, must, passing, pause, server } from '../common/traffic.ts';
import type { Wire } from '../common/wire.ts';
import { acceptKey, readText, textFrame } from './websocket.ts';

const BODY_BYTES = 1500;

/** Status line and headers, names in lower case. */
async function head(wire: Wire): Promise<{ status: string; headers: Map<string, string> }> {
  const status = await wire.line();
  const headers = new Map<string, string>();
  for (;;) {
    const line = await wire.line();
    if (line === '') return { status, headers };
    const at = line.indexOf(':');
    headers.set(line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
  }
}

/** One request on this connection; its answer is checked to the last byte. */
async function echo(wire: Wire, connection: 'keep-alive' | 'close'): Promise<void> {
  const body = randomBytes(BODY_BYTES).toString('hex');
  const lines = [
    `POST /echo HTTP/1.1`,
    `Host: ${server}`,
    `Connection: ${connection}`,
    `Content-Length: ${body.length}`,
  ];
  wire.send(`${lines.join('\r\n')}\r\n\r\n${body}`);
  const { status, headers } = await head(wire);
  const answer = await wire.bytes(Number(headers.get('content-length')));
  must('status', status, 'HTTP/1.1 200 OK');
  must('body', answer.toString('latin1'), `${createHash('sha256').update(body).digest('hex')}\n${body}`);
}

lasting('keep-alive', async (wire) => {
  for (;;) {
    await echo(wire, 'keep-alive');
    checked('keep-alive');
    await pause();
  }
});

passing('new connections', (wire) => echo(wire, 'close'));

if (process.env.APP_WEBSOCKET !== '0') {
  lasting('websocket', async (wire) => {
    const key = randomBytes(16).toString('base64');
    const lines = ['GET /socket HTTP/1.1', `Host: ${server}`, 'Connection: Upgrade', 'Upgrade: websocket'];
    wire.send(`${[...lines, `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'].join('\r\n')}\r\n\r\n`);
    const { status, headers } = await head(wire);
    if (!status.includes(' 101 ')) throw new Error(status);
    must('accept', headers.get('sec-websocket-accept') ?? '', acceptKey(key));
    for (let n = 1; ; n++) {
      const text = randomBytes(20).toString('hex');
      wire.send(textFrame(text, randomBytes(4)));
      must('text', await readText((count) => wire.bytes(count)), `${n} ${text}`);
      checked('websocket');
      await pause();
    }
  });
}

board.publish();
