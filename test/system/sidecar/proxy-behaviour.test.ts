import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Program } from '../network/kernel-bed.ts';
import { ProxyBed } from './proxy-bed.ts';

/** The first byte of a connection says how the server shall behave. */
const SERVER = `
import net from 'node:net';
import { createHash } from 'node:crypto';
net.createServer({ allowHalfOpen: true }, (socket) => {
  console.log('from ' + socket.remoteAddress + ' to ' + socket.localAddress);
  socket.on('error', (error) => console.log('server ' + error.code));
  socket.once('readable', () => {
    const mode = String(socket.read(1));
    const hash = createHash('sha256');
    let bytes = 0;
    const take = () => {
      socket.on('data', (data) => { hash.update(data); bytes += data.length; });
      socket.on('end', () => {
        console.log('server ' + mode + ' eof ' + bytes);
        socket.end(mode === 'G' ? '' : bytes + ' ' + hash.digest('hex'));
      });
    };
    if (mode === 'H') take();
    if (mode === 'G') { socket.end(Buffer.alloc(1_000_000, 'x')); take(); }
    if (mode === 'E') socket.pipe(socket);
    if (mode === 'R') take();
    if (mode === 'K') { socket.resume(); socket.once('data', () => socket.resetAndDestroy()); }
    if (mode === 'S') { socket.pause(); setTimeout(take, 1500); }
  });
}).listen(7000, '0.0.0.0', () => console.log('listening'));
`;

/** Says one line for each behaviour; with and without sidecars they must be the same. */
const CLIENT = `
import net from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
const [address] = process.argv.slice(1);
const open = async (mode, options = {}) => {
  const socket = net.connect({ port: 7000, host: address, allowHalfOpen: true, noDelay: true, keepAlive: true, ...options });
  socket.on('error', (error) => { socket.code = error.code; });
  await once(socket, 'connect');
  socket.write(mode);
  return socket;
};
const all = async (socket) => { const parts = []; for await (const part of socket) parts.push(part); return Buffer.concat(parts); };
const sha = (data) => createHash('sha256').update(data).digest('hex');
{
  const socket = await open('H'); const data = randomBytes(5_000_000);
  socket.end(data);
  console.log('half-close ' + (String(await all(socket)) === data.length + ' ' + sha(data)));
}
{
  const socket = await open('G');
  const got = await all(socket);
  await new Promise((resolve) => socket.write(Buffer.alloc(2_000_000, 'y'), resolve));
  const closed = once(socket, 'close');
  socket.end(); await closed;
  console.log('server closes first ' + got.length);
}
{
  const socket = await open('E');
  for (let i = 0; i < 200; i++) { socket.write('ping' + i); const [data] = await once(socket, 'data'); if (String(data) !== 'ping' + i) console.log('wrong ' + data); }
  console.log('small messages');
  const closed = once(socket, 'close'); socket.resume(); socket.end(); await closed;
}
{
  const socket = await open('R');
  await new Promise((resolve) => socket.write('abc', resolve));
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.resetAndDestroy();
  console.log('client resets');
}
{
  const socket = await open('K'); socket.resume(); socket.write('die');
  await once(socket, 'close').catch(() => {});
  console.log('server resets ' + socket.code);
}
{
  const socket = await open('S'); const hash = createHash('sha256'); let bytes = 0; let blocked = false;
  const block = Buffer.alloc(1 << 20, 'z');
  for (let i = 0; i < 96; i++) {
    hash.update(block); bytes += block.length;
    if (!socket.write(block)) {
      const timer = setTimeout(() => { blocked = true; }, 500);
      await once(socket, 'drain'); clearTimeout(timer);
    }
  }
  socket.end();
  console.log('slow reader ' + (String(await all(socket)) === bytes + ' ' + hash.digest('hex')) + ', sender waited: ' + blocked);
}
{
  const socket = net.connect(7999, address);
  const [error] = await once(socket, 'error');
  console.log('closed port ' + error.code);
}
{
  const sockets = await Promise.all(Array.from({ length: 200 }, () => open('E')));
  const echoed = await Promise.all(sockets.map(async (socket, i) => { socket.end('n' + i); return String(await all(socket)) === 'n' + i; }));
  console.log('200 at once ' + echoed.every(Boolean));
}
console.log('done');
process.exit(0);
`;

const ADDRESSES = { a: '10.92.0.1', b: '10.92.0.2', c: '10.92.0.3' };

let bed: ProxyBed;
let server: Program;

beforeAll(async () => {
  bed = await ProxyBed.make(ADDRESSES);
  server = bed.bed.program('b', SERVER);
  await server.line((line) => line === 'listening');
});
afterAll(() => bed.close());

async function script(): Promise<{ client: readonly string[]; server: readonly string[] }> {
  const before = server.lines.length;
  const client = bed.bed.program('a', CLIENT, ADDRESSES.b);
  await client.line((line) => line === 'done', 0, 45_000);
  // The server's last lines may come later than the client's.
  const words = (): string[] => server.lines.slice(before).sort();
  await expect.poll(() => words().filter((line) => /eof|ECONNRESET/.test(line)).length, { timeout: 60_000 }).toBe(4);
  return { client: client.lines, server: words() };
}

describe('connections through two sidecars', () => {
  test('behave as they do without', { timeout: 120_000 }, async () => {
    const direct = await script();
    expect(direct.client).toContain('closed port ECONNREFUSED');
    expect(direct.client).toContain('slow reader true, sender waited: true');
    await bed.attach('a', 'b');
    await bed.feed({ b: server });
    const control = await bed.interceptor('a').control();
    const proxied = await script();
    expect(proxied).toEqual(direct);
    expect(proxied.server.filter((line) => line === 'from 10.92.0.1 to 10.92.0.2').length).toBeGreaterThan(200);
    await expect.poll(() => control.call('channels')).toEqual([]);
    // Every connection but the refused one went through.
    expect(await control.call('status')).toMatchObject({ carried: 206, streams: 0, blocked: false });
    control.close();
    expect(bed.crashes).toEqual([]);
  });

  test('a stranger can neither open a stream nor send a marker, and disturbs nobody', async () => {
    const frames = `
      import net from 'node:net';
      const socket = net.connect(15072, '${ADDRESSES.b}');
      socket.on('error', (error) => console.log(error.code));
      socket.on('close', () => console.log('closed'));
      // An OPEN as it should be, but for the key; behind it a marker.
      socket.once('data', (hello) => {
        const open = Buffer.alloc(120);
        hello.copy(open, 0, 0, 5);
        open[5] = 2;
        open.writeUInt32BE(9, 8);
        for (const at of [28, 46]) { open.writeUInt16BE(0xffff, at + 10); Buffer.from([10, 92, 0, 1]).copy(open, at + 12); }
        open.writeUInt16BE(7000, 62);
        socket.write(Buffer.concat([open, Buffer.from([1, 0, 0, 0, 12, ...Buffer.alloc(12)])]));
      });`;
    const stranger = bed.bed.program('c', frames);
    await stranger.line((line) => line === 'closed');
    expect(bed.log('b')).toContain('without the key');
    const control = await bed.interceptor('b').control();
    expect(await control.call('status')).toMatchObject({ streams: 0, epoch: 0 });
    control.close();
    // Somebody without a sidecar still reaches the application directly.
    const before = server.lines.length;
    const outsider = bed.bed.program(
      'c',
      `import net from 'node:net';
       const socket = net.connect(7000, '${ADDRESSES.b}', () => socket.write('Ehello'));
       socket.on('data', (data) => { console.log('' + data); socket.end(); });`,
    );
    await outsider.line((line) => line === 'hello');
    expect(server.lines.slice(before)).toContain(`from ${ADDRESSES.c} to ${ADDRESSES.b}`);
  });

  test('when a sidecar dies its connections are reset, and a new one takes over', async () => {
    const echo = `
      import net from 'node:net';
      const socket = net.connect(7000, '${ADDRESSES.b}', () => socket.write('Ehello'));
      socket.on('data', (data) => console.log('' + data));
      socket.on('end', () => console.log('end'));
      socket.on('error', (error) => console.log(error.code));`;
    for (const victim of ['a', 'b']) {
      const client = bed.bed.program('a', echo);
      await client.line((line) => line === 'hello');
      process.kill(bed.interceptor(victim).pid ?? Number.NaN, 'SIGKILL');
      await client.line((line) => line === 'ECONNRESET');
      expect(client.lines).not.toContain('end');
      await server.line((line) => line === 'server ECONNRESET');
      await expect.poll(() => bed.interceptor(victim).pid, { timeout: 60_000 }).toBeDefined();
      await expect
        .poll(
          async () => {
            const control = await bed.interceptor(victim).control();
            const status = await control.call('status');
            control.close();
            return status;
          },
          { timeout: 60_000 },
        )
        .toMatchObject({ streams: 0 });
      const next = bed.bed.program('a', echo);
      await next.line((line) => line === 'hello');
    }
    expect(bed.crashes).toEqual(['a: SIGKILL', 'b: SIGKILL']);
  });
});
