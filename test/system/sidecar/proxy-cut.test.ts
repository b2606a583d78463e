import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonPeer } from '../../../src/rpc/control/json-peer.ts';
import { readEnd, readRecord, readRecorded } from '../../../src/storage/channel-records.ts';
import type { ChannelsRecord } from '../../../src/storage/channel-records.ts';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import type { Program } from '../network/kernel-bed.ts';
import { ProxyBed } from './proxy-bed.ts';

/**
 * Every task connects to every other one twice, and both ends of every connection send without end. Byte number n of each direction is a
 * known function of n, so that a byte that is lost, doubled or changed is noticed by the application, and the test can tell what a
 * channel's state must be. The second connection has a slow reader. Besides, short connections come and go all the time.
 */
const TASK = `
import net from 'node:net';
const [own, ...peers] = process.argv.slice(1);
const byteAt = (n) => (n * 7 + (n >>> 8) * 13 + (n >>> 16) * 29) & 255;
const stats = { received: 0, short: 0 };
const both = (socket, slow) => {
  let sent = 0, got = 0;
  socket.on('error', (error) => { console.log('error ' + error.code); });
  const send = () => {
    for (;;) {
      const block = Buffer.allocUnsafe(1 + (sent % 20_011));
      for (let i = 0; i < block.length; i++) block[i] = byteAt(sent + i);
      sent += block.length;
      if (!socket.write(block)) break;
    }
  };
  socket.on('drain', () => setTimeout(send, 30));
  socket.on('data', (data) => {
    for (let i = 0; i < data.length; i++) if (data[i] !== byteAt(got + i)) { console.log('wrong at ' + (got + i)); process.exit(1); }
    got += data.length; stats.received += data.length;
    if (slow) { socket.pause(); setTimeout(() => socket.resume(), 150); }
  });
  send();
};
const short = (peer) => {
  const socket = net.connect({ port: 7000, host: peer, allowHalfOpen: true }, () => socket.end('s' + 'short'));
  let text = '';
  socket.on('data', (data) => { text += data; });
  socket.on('error', (error) => console.log('error ' + error.code));
  socket.on('end', () => { if (text !== 'short') console.log('wrong ' + text); stats.short++; setTimeout(short, 50, peer); });
};
net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.once('readable', () => {
    const mode = String(socket.read(1));
    if (mode === 's') { socket.on('error', (error) => console.log('error ' + error.code)); socket.pipe(socket); }
    else both(socket, mode === 'b');
  });
}).listen(7000, '0.0.0.0', () => console.log('listening'));
process.on('SIGUSR2', () => {
  for (const peer of peers) {
    for (const mode of ['a', 'b']) {
      const socket = net.connect({ port: 7000, host: peer, noDelay: true }, () => { socket.write(mode); both(socket, false); });
    }
    short(peer);
  }
});
setInterval(() => console.log('alive ' + stats.received + ' ' + stats.short), 100);
`;

const byteAt = (n: number): number => (n * 7 + (n >>> 8) * 13 + (n >>> 16) * 29) & 255;

const ADDRESSES: Readonly<Record<string, string>> = { a: '10.93.0.1', b: '10.93.0.2', c: '10.93.0.3' };
const TASKS = Object.keys(ADDRESSES);
const ROUNDS = 4;

let bed: ProxyBed;
const programs: Record<string, Program> = {};

beforeAll(async () => {
  bed = await ProxyBed.make(ADDRESSES);
  await bed.attach(...TASKS);
  for (const task of TASKS) {
    const peers = TASKS.filter((other) => other !== task).map((other) => ADDRESSES[other] ?? '');
    programs[task] = bed.bed.program(task, TASK, ADDRESSES[task] ?? '', ...peers);
  }
  for (const program of Object.values(programs)) await program.line((line) => line === 'listening');
  await bed.feed(programs);
  for (const program of Object.values(programs)) process.kill(program.pid, 'SIGUSR2');
  for (const program of Object.values(programs)) await program.line((line) => /^alive [1-9]\d{5,} [1-9]/.test(line));
});
afterAll(() => bed.close());

/** The agent's part of one round at one task; freezes with signals, and "saves" by waiting. */
class TaskRound {
  readonly reported = deferred<{ kind: string; reason?: string }>();
  readonly order: string[] = [];
  control: JsonPeer | undefined;

  async prepare(task: string, epoch: number, saveMs: number): Promise<void> {
    const kernel = new KernelInterceptor({ netns: bed.bed.netns(task) });
    const pid = programs[task]?.pid ?? Number.NaN;
    const note = (name: string, work: () => unknown) => async () => {
      this.order.push(name);
      await work();
    };
    this.control = await bed.interceptor(task).control({
      block: note('block', () => kernel.block(20_000)),
      freeze: note('freeze', () => process.kill(pid, 'SIGSTOP')),
      save: note('save', () => new Promise((resolve) => setTimeout(resolve, saveMs))),
      advance: note('advance', () => kernel.unblock()),
      unblock: note('unblock', () => kernel.unblock()),
      thaw: note('thaw', () => process.kill(pid, 'SIGCONT')),
      discard: note('discard', () => undefined),
      report: (outcome) => this.reported.resolve(outcome),
    });
    await this.control.call('prepare', { epoch, deadlineMs: 20_000, keepFrozen: false });
  }
}

test(
  'at every cut each channel has delivered and recorded what was sent, and the stack goes on',
  { timeout: 240_000 },
  async () => {
    let inFlight = 0;
    let compared = 0;
    let ends = 0;
    for (let epoch = 1; epoch <= ROUNDS; epoch++) {
      const rounds = new Map(TASKS.map((task) => [task, new TaskRound()]));
      await Promise.all([...rounds].map(([task, round], at) => round.prepare(task, epoch, 50 + at * 60)));
      // One initiator (the others cut by markers), or all at once, by turns.
      const initiators = epoch % 2 === 0 ? TASKS : [TASKS[epoch % TASKS.length] ?? 'a'];
      await Promise.all(initiators.map(async (task) => rounds.get(task)?.control?.call('start', { epoch })));
      const outcomes = await Promise.all([...rounds.values()].map((round) => round.reported.promise));
      expect(outcomes).toEqual(TASKS.map(() => ({ kind: 'saved', epoch })));
      for (const round of rounds.values()) expect(round.order).toEqual(['block', 'freeze', 'save', 'advance', 'thaw']);

      const records = new Map<string, ChannelsRecord>();
      for (const [task, round] of rounds) {
        const folder = join(bed.folder, `${epoch}-${task}`);
        await round.control?.call('collect', { epoch, folder });
        records.set(task, await readRecord(folder));
      }
      for (const [task, record] of records) {
        for (const stream of record.streams) {
          expect(stream.complete).toBe(true);
          if (stream.endTaken) {
            const end = await readEnd(join(bed.folder, `${epoch}-${task}`), stream);
            expect([end?.local, end?.remote]).toEqual(
              stream.role === 'opener' ? [stream.server, stream.client] : [stream.client, stream.server],
            );
            ends += 1;
          }
          const peer = TASKS.find(
            (other) => ADDRESSES[other] === (stream.role === 'opener' ? stream.server : stream.client).address,
          );
          const other = records.get(peer ?? '')?.streams.find(({ id }) => id === stream.id);
          if (!other) {
            // Not at the other end's cut: not yet accepted there, or over on both sides but for the last word.
            expect(stream.opening ? stream.sent : stream.finSent).toBe(stream.opening ? 0 : true);
            continue;
          }
          expect({ stream: stream.id, bytes: stream.delivered + stream.recorded }).toEqual({
            stream: stream.id,
            bytes: other.sent,
          });
          expect(stream.finDelivered || stream.finRecorded).toBe(other.finSent);
          compared += 1;
          if (stream.recorded === 0) continue;
          inFlight += stream.recorded;
          const bytes = await readRecorded(join(bed.folder, `${epoch}-${task}`), stream);
          expect(bytes.length).toBe(stream.recorded);
          if (stream.delivered < 16) continue;
          // The opener's stream begins with its mode, one byte.
          const shift = stream.role === 'acceptor' ? 1 : 0;
          const wrong = bytes.findIndex((byte, at) => byte !== byteAt(stream.delivered + at - shift));
          expect(wrong).toBe(-1);
        }
      }
      for (const round of rounds.values()) {
        await round.control?.call('finish');
        round.control?.close();
      }
      await Promise.all(Object.values(programs).map((program) => program.more(3)));
    }
    expect(compared).toBeGreaterThanOrEqual(ROUNDS * TASKS.length * 8);
    expect(inFlight).toBeGreaterThan(0);
    // Taking the ends has not disturbed them: the programs compare every byte.
    expect(ends).toBeGreaterThanOrEqual(ROUNDS * TASKS.length * 8);
    for (const program of Object.values(programs)) {
      expect(program.lines.filter((line) => /wrong|error/.test(line))).toEqual([]);
      const numbers = program.lines
        .filter((line) => line.startsWith('alive'))
        .map((line) => Number(line.split(' ')[1]));
      expect(numbers.at(-1)).toBeGreaterThan(numbers.at(-4) ?? 0);
    }
    expect(bed.crashes).toEqual([]);
  },
);

test('a round whose agent goes away in the middle is given up: the task runs on', async () => {
  const epoch = ROUNDS + 1;
  const round = new TaskRound();
  await round.prepare('a', epoch, 60_000);
  void round.control?.call('start', { epoch }).catch(() => undefined);
  await expect.poll(() => round.order, { timeout: 60_000 }).toContain('save');
  const control = await bed.interceptor('a').control();
  expect(await control.call('status')).toMatchObject({ blocked: true, epoch });
  round.control?.close();
  await expect.poll(() => control.call('status'), { timeout: 60_000 }).toMatchObject({ blocked: false });
  // Its agent's own dead man's switch does the rest.
  await new KernelInterceptor({ netns: bed.bed.netns('a') }).unblock();
  process.kill(programs.a?.pid ?? Number.NaN, 'SIGCONT');
  await programs.a?.more(5);
  expect(programs.a?.lines.filter((line) => /wrong|error/.test(line))).toEqual([]);
  control.close();
});

test('a channel whose marker does not come aborts the round and is named', async () => {
  const epoch = ROUNDS + 2;
  const round = new TaskRound();
  await round.prepare('b', epoch, 10);
  // Nobody else knows of this round, so nobody answers with a marker.
  await round.control?.call('prepare', { epoch, deadlineMs: 700, keepFrozen: false });
  void round.control?.call('start', { epoch });
  const outcome = await round.reported.promise;
  expect(outcome).toMatchObject({
    kind: 'aborted',
    reason: expect.stringMatching(/no marker .*10\.93\.0\.\d:\d+ -> 10\.93\.0\.2:\d+ \([0-9a-f]{32}[<>]\)/) as string,
  });
  await programs.b?.more(5);
  await round.control?.call('finish');
  round.control?.close();
});
