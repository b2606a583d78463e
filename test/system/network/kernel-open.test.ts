import { link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import protobuf from 'protobufjs/minimal.js';
import { afterEach, expect, test } from 'vitest';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { markUnsent } from '../../../agent/network/rewriting/mark-unsent.ts';
import { pushUnsent } from '../../../agent/network/rewriting/push-unsent.ts';
import { openFiles } from '../../../agent/linux/process-tree.ts';
import { Bed } from './kernel-bed.ts';

let bed: Bed | undefined;

afterEach(async () => {
  await bed?.close();
  bed = undefined;
});

/**
 * Makes one end of an established connection out of nothing, as CRIU does (soccr/soccr.c), and prints what arrives on it.
 * Arguments: local address, remote address, port of both, next sequence number to send, the same to receive, data sent, data not sent yet.
 */
const RESTORED = `
import net from 'node:net';
import koffi from 'koffi';
const [local, remote, port, send, receive, sent, unsent] = process.argv.slice(1);
const libc = koffi.load(null);
const socket = libc.func('int socket(int, int, int)');
const set = libc.func('int setsockopt(int, int, int, const uint32_t *, uint32_t)');
const bind = libc.func('int bind(int, const uint8_t *, uint32_t)');
const connect = libc.func('int connect(int, const uint8_t *, uint32_t)');
const write = libc.func('int64 write(int, const char *, uint64_t)');
const must = (what, result) => { if (result < 0) throw new Error(what + ' errno ' + koffi.errno()); return result; };
const address = (host) => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(2, 0);
  bytes.writeUInt16BE(Number(port), 2);
  host.split('.').forEach((part, index) => bytes.writeUInt8(Number(part), 4 + index));
  return bytes;
};
const fd = must('socket', socket(2, 1, 0));
const option = (name, ...values) => must('option ' + name, set(fd, 6, name, Uint32Array.from(values), 4 * values.length));
const REPAIR = 19, QUEUE = 20, SEQ = 21, OPTIONS = 22, WINDOW = 29;
option(REPAIR, 1);
option(QUEUE, 2); option(SEQ, Number(send));
option(QUEUE, 1); option(SEQ, Number(receive));
must('bind', bind(fd, address(local), 16));
must('connect', connect(fd, address(remote), 16));
option(OPTIONS, 2, 1400, 3, 7 | (7 << 16));
if (sent) {
  option(QUEUE, 2);
  must('write', write(fd, sent, sent.length));
}
option(QUEUE, 0);
if (unsent) {
  option(REPAIR, 0);
  must('write', write(fd, unsent, unsent.length));
  option(REPAIR, 1);
}
option(WINDOW, Number(receive), 65535, 65535, 65535, Number(receive));
option(REPAIR, 0);
const stream = new net.Socket({ fd, readable: true, writable: true });
stream.on('data', (data) => console.log('got ' + data));
stream.on('error', (error) => console.log('error ' + error.code));
console.log('restored');
`;

test('restored connections go on as soon as both ends are open, also with bytes that one end has already', async () => {
  const [a, b] = ['10.91.0.2', '10.91.0.3'];
  bed = await Bed.make({ a: `${a}/24`, b: `${b}/24` });
  const ends = ['a', 'b'].map((name) => new KernelInterceptor({ netns: bed?.netns(name) ?? '' }));
  await Promise.all(ends.map((end) => end.block(60_000)));
  // a was cut with 5 bytes in flight, of which b has 3 at its cut.
  const restoredA = bed.program('a', RESTORED, a, b, '7000', '1000', '5000', 'hel', 'lo');
  const restoredB = bed.program('b', RESTORED, b, a, '7000', '5000', '1003', '', 'back');
  await Promise.all([restoredA, restoredB].map((end) => end.line((line) => line === 'restored')));
  await Promise.all([restoredA, restoredB].map(async (end, index) => ends[index]?.openRestored(end.pid, 1_000)));
  await restoredB.line((line) => line === 'got lo', 0, 2_000);
  await restoredA.line((line) => line === 'got back', 0, 2_000);
});

test('while a container only lets in, nothing leaves it; then it opens by itself', async () => {
  bed = await Bed.make({ a: '10.91.0.2/24', b: '10.91.0.3/24' });
  const listener = bed.program(
    'b',
    `import dgram from 'node:dgram';
     dgram.createSocket('udp4').on('message', (m) => console.log('' + m)).bind(7000, () => console.log('ready'));`,
  );
  await listener.line((line) => line === 'ready');
  const interceptor = new KernelInterceptor({ netns: bed.netns('a') });
  await interceptor.block(60_000);
  const sender = bed.program(
    'a',
    `import dgram from 'node:dgram';
     const socket = dgram.createSocket('udp4');
     let number = 0;
     setInterval(() => socket.send(String(number++), 7000, '10.91.0.3', (e) => console.log(e ? e.code : number)), 5);`,
  );
  await sender.more(20);
  expect(listener.lines).toEqual(['ready']);
  await interceptor.openRestored(sender.pid, 1);
  await listener.more(5);
  expect(sender.lines).not.toContain('EPERM');
});

test('TCP sockets are found among all open files, and their options are as before', async () => {
  bed = await Bed.make({ a: '10.91.0.2/24' });
  const program = bed.program(
    'a',
    `import net from 'node:net';
     import dgram from 'node:dgram';
     dgram.createSocket('udp4').bind(7001);
     const server = net.createServer(() => console.log('accepted')).listen(7000, () => net.connect(7000, '10.91.0.2'));`,
  );
  await program.line((line) => line === 'accepted');
  expect(pushUnsent(await openFiles([program.pid]))).toBe(3);
  expect(pushUnsent([{ pid: 2 ** 22 + 1, fd: '0', target: 'socket:[1]' }])).toBe(0);
});

test('bytes in flight become unsent in an image, without touching the file that it is a link of', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'swarmcut-unsent-'));
  try {
    const image = (writeSeq: number, queued: number, unsent: number): Buffer => {
      const entry = protobuf.Writer.create();
      const fields = [1, 2, 2, 900, 3, queued, 4, writeSeq, 5, 7, 12, unsent, 13, 1];
      for (let at = 0; at < fields.length; at += 2) entry.uint32((fields[at] ?? 0) << 3).uint32(fields[at + 1] ?? 0);
      const bytes = entry.finish();
      const head = Buffer.alloc(12);
      head.writeUInt32LE(0x54564319, 0);
      head.writeUInt32LE(0x51465506, 4);
      head.writeUInt32LE(bytes.length, 8);
      return Buffer.concat([head, bytes, Buffer.from('inoutgoing')]);
    };
    const files: Record<string, Buffer> = {
      'tcp-stream-1.img': image(3, 8, 0),
      'tcp-stream-2.img': image(802, 8, 6), // right already
      'tcp-stream-3.img': image(803, 100_000, 3), // too long
      'tcp-stream-4.img': image(804, 8, 3), // no mark
      'tcp-stream-5.img': image(805, 8, 3), // a mark that is not in the queue
      'files.img': image(3, 8, 0),
    };
    await mkdir(join(dir, 'store'));
    for (const [name, data] of Object.entries(files)) {
      await writeFile(join(dir, 'store', name), data);
      await link(join(dir, 'store', name), join(dir, name));
    }
    const marks = [
      { writeSeq: 3, rcvNxt: 900, from: 4_294_967_294 },
      { writeSeq: 802, rcvNxt: 900, from: 796 },
      { writeSeq: 803, rcvNxt: 900, from: 801 },
      { writeSeq: 804, rcvNxt: 901, from: 800 },
      { writeSeq: 805, rcvNxt: 900, from: 796 },
    ];
    expect(await markUnsent(dir, marks)).toBe(1);
    const changed = await readFile(join(dir, 'tcp-stream-1.img'));
    const size = changed.readUInt32LE(8);
    const reader = protobuf.Reader.create(changed.subarray(12, 12 + size));
    const fields: number[] = [];
    while (reader.pos < reader.len) fields.push(reader.uint32() >>> 3, reader.uint32());
    expect(fields).toEqual([1, 2, 2, 900, 3, 8, 4, 3, 5, 7, 13, 1, 12, 5]);
    expect(changed.subarray(12 + size).toString()).toBe('inoutgoing');
    for (const [name, data] of Object.entries(files)) {
      expect(await readFile(join(dir, 'store', name))).toEqual(data);
      if (name !== 'tcp-stream-1.img') expect(await readFile(join(dir, name))).toEqual(data);
    }
    expect(await markUnsent(dir, marks)).toBe(0);
  } finally {
    await rm(dir, { recursive: true });
  }
});
