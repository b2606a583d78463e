import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dropEnd, makeEnd, takeEnd, wakeEnd } from '../../../agent/linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import {
  SHUT_WR,
  SystemCallError,
  connectSocket,
  inNetns,
  receiveBytes,
  sendBytes,
  shutdownSocket,
  tcpSocket,
} from '../../../agent/linux/sys.ts';
import { Bed } from '../network/kernel-bed.ts';
import type { Program } from '../network/kernel-bed.ts';

const A = '10.94.0.1';
const B = '10.94.0.2';

/** Answers "more" with a megabyte, "close" with its end, echoes the rest; 1.5 s after our end it says a last word. */
const APP = `
import net from 'node:net';
net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('data', (data) => {
    console.log('got ' + data);
    if (String(data) === 'more') socket.write(Buffer.alloc(1_000_000, 'm'));
    else if (String(data) === 'close') socket.end('last words');
    else if (!socket.writableEnded) socket.write(data);
  });
  socket.on('end', () => { console.log('end'); setTimeout(() => socket.end('after your end'), 1500); });
  socket.on('error', (error) => console.log(error.code));
  socket.on('close', () => console.log('closed'));
}).listen(7000, '0.0.0.0', () => console.log('listening'));
`;

let bed: Bed;
let app: Program;

beforeEach(async () => {
  // Two namespaces with the same address: the end is taken from one and made again in the other.
  bed = await Bed.make({ old: `${A}/24`, new: `${A}/24`, b: `${B}/24` });
  await bed.run('new', ['ip', 'link', 'set', 'eth0', 'down']);
  app = bed.program('b', APP);
  await app.line((line) => line === 'listening');
});
afterEach(() => bed.close());

/** The result of `work`, as soon as it would neither block nor fail for want of a connection. */
async function ready<T>(work: () => T): Promise<T> {
  for (const until = Date.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 5))) {
    try {
      return work();
    } catch (error) {
      const code = error instanceof SystemCallError ? error.code : '';
      if (!['EAGAIN', 'ENOTCONN', 'EPIPE'].includes(code) || Date.now() > until) throw error;
    }
  }
}

async function connected(first: string): Promise<number> {
  const fd = inNetns(bed.netns('old'), tcpSocket);
  // EINPROGRESS, for which libuv has no name.
  expect(() => connectSocket(fd, { address: B, port: 7000 })).toThrow('-115');
  await ready(() => sendBytes(fd, Buffer.from(first)));
  return fd;
}

/** Reads `bytes`, or up to the end when there are fewer. */
async function read(fd: number, bytes: number): Promise<string> {
  let text = '';
  while (text.length < bytes) {
    const buffer = Buffer.alloc(65_536);
    const got = await ready(() => receiveBytes(fd, buffer.subarray(0, bytes - text.length), 0));
    if (got === 0) break;
    text += buffer.toString('latin1', 0, got);
  }
  return text;
}

async function lock(): Promise<void> {
  await bed.run(
    'b',
    ['nft', '-f', '-'],
    'table ip lock { chain pre { type filter hook prerouting priority raw; tcp dport 7000 drop; }; }\n',
  );
  await bed.run(
    'old',
    ['nft', '-f', '-'],
    'table ip lock { chain pre { type filter hook prerouting priority raw; tcp sport 7000 drop; }; }\n',
  );
}

/** Takes the end away from where it is and makes it again elsewhere; `wake` lets both ends go on. */
async function move(
  fd: number,
): Promise<{ readonly fd: number; readonly end: TcpEnd; readonly wake: () => Promise<void> }> {
  const end = takeEnd(fd);
  // Taking it changed nothing: it can be taken again.
  expect(takeEnd(fd)).toMatchObject({ receiveSeq: end.receiveSeq, sendSeq: end.sendSeq, received: end.received });
  dropEnd(fd);
  await bed.run('old', ['ip', 'link', 'set', 'eth0', 'down']);
  await bed.run('new', ['ip', 'link', 'set', 'eth0', 'up']);
  await bed.run('b', ['ip', 'neigh', 'flush', 'dev', 'eth0']);
  const made = makeEnd(bed.netns('new'), end, 0, 4 * 1024 * 1024);
  const wake = async (): Promise<void> => {
    await execa('ip', ['netns', 'exec', bed.name('b'), 'nft', 'delete', 'table', 'ip', 'lock']);
    wakeEnd(made);
    if (end.unsentBytes > 0) sendBytes(made, end.unacknowledged.subarray(-end.unsentBytes));
  };
  return { fd: made, end, wake };
}

const fine = (): void => expect(app.lines.filter((line) => /^E[A-Z]+$/.test(line))).toEqual([]);

test('queues of both directions move along, each byte once', async () => {
  const fd = await connected('more');
  await app.line((line) => line === 'got more');
  await expect.poll(() => takeEnd(fd).received.length, { timeout: 10_000 }).toBeGreaterThan(100_000);
  await lock();
  sendBytes(fd, Buffer.from('hello')); // dropped on the way: stays in the send queue
  const moved = await move(fd);
  expect(moved.end.unacknowledged.toString()).toBe('hello');
  await moved.wake();
  const text = await read(moved.fd, 1_000_005);
  expect(text === `${'m'.repeat(1_000_000)}hello`).toBe(true);
  await app.line((line) => line === 'got hello'); // comes by a pipe
  expect(app.lines).toEqual(['listening', 'got more', 'got hello']);
});

test('an end that has closed its direction and was acknowledged hears the other one out', async () => {
  const fd = await connected('x');
  expect(await read(fd, 1)).toBe('x');
  shutdownSocket(fd, SHUT_WR);
  await app.line((line) => line === 'end');
  await expect.poll(() => takeEnd(fd).fins, { interval: 5 }).toMatchObject({ sent: true, acknowledged: true });
  await lock();
  const moved = await move(fd);
  expect(moved.end.fins).toEqual({ sent: true, acknowledged: true, received: false });
  await moved.wake();
  expect(await read(moved.fd, 100)).toBe('after your end');
  await app.line((line) => line === 'closed');
  dropEnd(moved.fd);
  fine();
});

test('an end whose closing is not acknowledged closes again', async () => {
  const fd = await connected('x');
  expect(await read(fd, 1)).toBe('x');
  await lock();
  sendBytes(fd, Buffer.from('y'));
  shutdownSocket(fd, SHUT_WR);
  const moved = await move(fd);
  expect(moved.end.fins).toEqual({ sent: true, acknowledged: false, received: false });
  await moved.wake();
  shutdownSocket(moved.fd, SHUT_WR);
  expect(await read(moved.fd, 100)).toBe('yafter your end');
  await app.line((line) => line === 'closed');
  expect(app.lines.filter((line) => line === 'got y')).toHaveLength(1);
  dropEnd(moved.fd);
  fine();
});

test('an end whose peer has closed can still send, and closes for good', async () => {
  const fd = await connected('close');
  await expect.poll(() => takeEnd(fd).fins.received, { timeout: 10_000 }).toBe(true);
  await lock();
  const moved = await move(fd);
  await moved.wake();
  expect(await read(moved.fd, 10)).toBe('last words');
  await ready(() => sendBytes(moved.fd, Buffer.from('bye')));
  await app.line((line) => line === 'got bye');
  shutdownSocket(moved.fd, SHUT_WR);
  await app.line((line) => line === 'closed');
  fine();
});
