import { afterEach, beforeEach, expect, test } from 'vitest';
import { PORTS } from '../../../agent/linux/proxy-table.ts';
import type { Program } from '../network/kernel-bed.ts';
import { ProxyBed } from './proxy-bed.ts';

const ADDRESSES = { a: '10.99.0.1', b: '10.99.0.2' };

/** Answers what it is sent with the same, and closes when the client does; after `bye` it closes first. */
const SERVER = `
import net from 'node:net';
net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', (error) => console.log('error ' + error.code));
  socket.on('data', (data) => { socket.write(data); if (String(data).endsWith('bye')) socket.end(); });
  socket.on('end', () => socket.end());
}).listen(7000, '0.0.0.0', () => console.log('listening'));
`;

/** So many connections one after the other, each with other bytes. A connection of the kind `reset` is not closed but reset. */
const CLIENT = `
import net from 'node:net';
import { once } from 'node:events';
const [address, count, kind] = process.argv.slice(1);
for (let i = 0; i < Number(count); i++) {
  const socket = net.connect(7000, address);
  const parts = [];
  socket.on('data', (data) => parts.push(data));
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  const text = 'x'.repeat(i * 997 % 70_000) + i + (kind === 'first' ? 'bye' : 'hi');
  socket.write(text);
  while (parts.reduce((bytes, part) => bytes + part.length, 0) < text.length) await once(socket, 'data');
  if (kind === 'reset') socket.resetAndDestroy();
  else socket.end();
  await closed;
  if (String(Buffer.concat(parts)) !== text) console.log('wrong ' + i);
}
console.log('done');
`;

const SOON = { timeout: 60_000 };
const LONG = 120_000;

let bed: ProxyBed;
let server: Program;

beforeEach(async () => {
  bed = await ProxyBed.make(ADDRESSES);
  server = bed.bed.program('b', SERVER);
  await server.line((line) => line === 'listening');
  await bed.attach('a', 'b');
  await bed.feed({ b: server });
});
afterEach(() => bed.close());

/** Connections with the sidecar of `b`, its link with this one among them. */
async function tunnels(): Promise<number> {
  const text = await bed.bed.run('a', ['ss', '-Htn', 'state', 'established', 'dport', '=', `:${PORTS.tunnel}`]);
  return text.split('\n').filter((line) => line !== '').length;
}

async function connections(count: number, kind: 'first' | 'last' | 'reset'): Promise<void> {
  const client = bed.bed.program('a', CLIENT, ADDRESSES.b, String(count), kind);
  await client.line((line) => line === 'done', 0, LONG);
  expect(client.lines).toEqual(['done']);
}

async function carried(): Promise<void> {
  await expect.poll(async () => (await bed.status('a')).streams, SOON).toBe(0);
  await expect.poll(async () => (await bed.status('b')).streams, SOON).toBe(0);
}

test(
  'connections that end in order leave a tunnel to the next one, whichever side closes first, and for a while only',
  async () => {
    const links = await tunnels();
    for (const kind of ['last', 'first'] as const) {
      await connections(40, kind);
      await carried();
      // Seldom a second one: the client may be quicker than the last word about its last connection.
      expect((await tunnels()) - links).toBeLessThanOrEqual(4);
      expect((await tunnels()) - links).toBeGreaterThanOrEqual(1);
    }
    expect(await bed.status('a')).toMatchObject({ carried: 80 });
    await expect.poll(tunnels, SOON).toBe(links);
    await connections(3, 'last');
    expect(bed.crashes).toEqual([]);
  },
  LONG,
);

test(
  'a connection that is reset leaves none',
  async () => {
    const links = await tunnels();
    await connections(5, 'reset');
    await carried();
    await expect.poll(tunnels, SOON).toBe(links);
  },
  LONG,
);

test(
  'nor does a sidecar that was there before: connections with the next one work at once',
  async () => {
    await connections(3, 'last');
    for (const victim of ['b', 'a'] as const) {
      const { pid } = bed.interceptor(victim);
      process.kill(pid ?? Number.NaN, 'SIGKILL');
      await expect.poll(() => bed.interceptor(victim).starts, SOON).toBe(2);
      await expect.poll(async () => (await bed.status(victim)).pid, SOON).not.toBe(pid);
      await bed.feed({ b: server });
      await connections(3, 'first');
    }
    expect(bed.crashes).toEqual(['b: SIGKILL', 'a: SIGKILL']);
  },
  LONG,
);
