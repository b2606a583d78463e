/**
 * A client of RabbitMQ, in STOMP: numbered messages with receipts into a queue, taken out and acknowledged on another connection, in order;
 * and new connections all the time, each with a message of its own. Environment: ../common/traffic.ts.
 */
import { board, checked, lasting, must, passing, pause } from '../common/traffic.ts';
import type { Wire } from '../common/wire.ts';

interface Frame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

function send(wire: Wire, command: string, headers: Readonly<Record<string, string>>, body = ''): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  wire.send(`${command}\n${lines.join('')}\n${body}\0`);
}

async function frame(wire: Wire): Promise<Frame> {
  const text = (await wire.until(0)).toString('utf8').trimStart();
  const at = text.indexOf('\n\n');
  const [command = '', ...lines] = text.slice(0, at).split('\n');
  if (command === 'ERROR') throw new Error(text);
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
  return { command, headers, body: text.slice(at + 2) };
}

async function greet(wire: Wire): Promise<void> {
  send(wire, 'CONNECT', { 'accept-version': '1.2', host: '/', login: 'guest', passcode: 'guest', 'heart-beat': '0,0' });
  must('CONNECT', (await frame(wire)).command, 'CONNECTED');
}

let sent = 0;
let received = 0;

lasting('consume', async (wire) => {
  await greet(wire);
  send(wire, 'SUBSCRIBE', { id: '0', destination: '/queue/numbers', ack: 'client-individual', 'prefetch-count': '10' });
  for (;;) {
    const { headers, body } = await frame(wire);
    must('message', body, String(received + 1));
    received = Number(body);
    send(wire, 'ACK', { id: headers.get('ack') ?? '' });
    checked('consume');
  }
});

lasting('produce', async (wire) => {
  await greet(wire);
  for (;;) {
    if (sent - received < 100) {
      const n = String(sent + 1);
      send(wire, 'SEND', { destination: '/queue/numbers', receipt: n }, n);
      sent += 1;
      must('receipt', (await frame(wire)).headers.get('receipt-id') ?? '', n);
      checked('produce');
    }
    await pause();
  }
});

passing('new connections', async (wire, turn) => {
  await greet(wire);
  const queue = `/queue/fresh-${turn % 8}`;
  send(wire, 'SUBSCRIBE', { id: '0', destination: queue, ack: 'auto' });
  send(wire, 'SEND', { destination: queue }, String(turn));
  must('message', (await frame(wire)).body, String(turn));
  send(wire, 'DISCONNECT', { receipt: 'bye' });
  must('DISCONNECT', (await frame(wire)).command, 'RECEIPT');
});

board.publish();
