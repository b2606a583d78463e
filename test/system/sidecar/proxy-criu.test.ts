import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import { readDump } from '../../../agent/runtime/criu/read-dump.ts';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { markUnsent } from '../../../agent/network/rewriting/mark-unsent.ts';
import { openFiles, processTree } from '../../../agent/linux/process-tree.ts';
import { pushUnsent } from '../../../agent/network/rewriting/push-unsent.ts';
import { ProxyInterceptor } from '../../../agent/sidecars/interceptor.ts';
import { readRecord } from '../../../src/storage/channel-records.ts';
import { proxiedConnections } from '../../../agent/restores/proxied-connections.ts';
import { planProxies } from '../../../src/model/plans/proxy-plan.ts';
import { checkStreams, pairStreams } from '../../../src/model/cuts/stream-cut.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import { CriuHost } from '../runtime/criu-host.ts';
import type { Container } from '../runtime/criu-host.ts';
import { compileSidecar } from './proxy-bed.ts';

/**
 * Listens on 7000, and on a signal opens connections to the other one's: two on which both ends send numbered bytes without end (one of them
 * read slowly), and short ones, which come and go without pause.
 */
const TASK = `
const net = require('net');
const peer = process.argv[1];
const byteAt = (n) => (n * 7 + (n >>> 8) * 13 + (n >>> 16) * 29) & 255;
const stats = { received: 0, short: 0 };
const complain = (what) => (error) => console.log('error ' + what + ' ' + error.code);
const both = (socket, slow) => {
  let sent = 0, got = 0;
  socket.on('error', complain('stream'));
  const send = () => {
    let free = true;
    for (let bytes = 0; free && bytes < 100000;) {
      const block = Buffer.allocUnsafe(1 + (sent % 20011));
      for (let i = 0; i < block.length; i++) block[i] = byteAt(sent + i);
      sent += block.length; bytes += block.length;
      free = socket.write(block);
    }
    if (free) setTimeout(send, 10);
  };
  socket.on('drain', () => setTimeout(send, 10));
  socket.on('data', (data) => {
    for (let i = 0; i < data.length; i++) if (data[i] !== byteAt(got + i)) { console.log('wrong at ' + (got + i)); process.exit(1); }
    got += data.length; stats.received += data.length;
    if (slow) { socket.pause(); setTimeout(() => socket.resume(), 100); }
  });
  socket.on('close', () => console.log('error closed'));
  send();
};
const short = () => {
  const socket = net.connect({ port: 7000, host: peer, allowHalfOpen: true }, () => socket.end('s' + 'short'));
  let text = '';
  socket.on('data', (data) => { text += data; });
  socket.on('error', (error) => { complain('short')(error); setTimeout(short, 20); });
  socket.on('end', () => { if (text !== 'short') console.log('wrong ' + text); stats.short++; setImmediate(short); });
};
net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.once('readable', () => {
    const mode = String(socket.read(1));
    if (mode === 's') { socket.on('error', complain('served')); socket.pipe(socket); }
    else both(socket, mode === 'b');
  });
}).listen(7000, '0.0.0.0', () => console.log('listening'));
process.on('SIGUSR2', () => {
  for (const mode of ['a', 'b']) {
    const socket = net.connect({ port: 7000, host: peer, noDelay: true }, () => { socket.write(mode); both(socket, false); });
  }
  for (let n = 0; n < 4; n++) short();
});
setInterval(() => console.log('alive ' + stats.received + ' ' + stats.short), 100);
`;

const NETWORK = 'net';
const SUBNET = '10.97.0.0/24';
/** Under which the programs know each other, wherever they are. */
const VIPS: Readonly<Record<string, string>> = { x: '10.97.0.101', y: '10.97.0.102' };
/** A round takes half a second, and was seen to take 16 s with 70 processes that wanted a processor. */
const BLOCK_MS = 120_000;
const LONG = { timeout: 60_000, interval: 50 };
const KEY = randomBytes(32);

let host: CriuHost;
let main: string;
let criuConfig: string;

beforeAll(async () => {
  host = await CriuHost.start();
  const code = join(host.dir, 'code');
  mkdirSync(code);
  main = compileSidecar(code);
  // One table in one namespace, and two versions of nft do not get on: all use the host's.
  const bin = join(host.dir, 'bin');
  mkdirSync(bin);
  const script = `#!/bin/sh\nexec nsenter -t ${host.holder} -m /usr/sbin/nft "$@"\n`;
  writeFileSync(join(bin, 'nft'), script, { mode: 0o755 });
  process.env.PATH = `${bin}:${process.env.PATH ?? ''}`;
  criuConfig = join(host.dir, 'criu.conf');
  await writeCriuConfig(criuConfig);
  await host.run('ip link add br0 type bridge; ip link set br0 up');
}, 1_200_000);
afterAll(() => host.close());

/** A container with a sidecar, and what the agent does for both. */
class Task {
  readonly name: string;
  readonly address: string;
  readonly container: Container;
  readonly reported = deferred<{ kind: string }>();
  #sidecar: ProxyInterceptor | undefined;
  #kernel: KernelInterceptor | undefined;

  constructor(name: string, address: string, container: Container) {
    this.name = name;
    this.address = address;
    this.container = container;
  }

  get sidecar(): ProxyInterceptor {
    if (!this.#sidecar) throw new Error(`${this.name} has no sidecar`);
    return this.#sidecar;
  }

  get images(): string {
    return join(host.dir, `saved-${this.container.id}`);
  }

  get channels(): string {
    return join(this.images, 'channels');
  }

  /** Connects the container with the others, and attaches its sidecar. */
  async attach(epoch: number, restore?: Parameters<ProxyInterceptor['attach']>[0]): Promise<void> {
    const pid = await this.container.pid();
    const end = `v${this.container.id.slice(0, 6)}`;
    await host.run(`ip link add ${end} type veth peer name net0 netns ${pid}; ip link set ${end} master br0 up`);
    const script = `ip address add ${this.address}/24 dev net0; ip link set net0 up`;
    await this.container.inNetwork(['sh', '-euc', script]);
    const netns = `/proc/${pid}/ns/net`;
    this.#kernel = new KernelInterceptor({ netns });
    this.#sidecar = new ProxyInterceptor({
      netns,
      pid,
      task: this.name,
      key: KEY,
      epoch,
      socket: join(host.dir, `${this.container.id}.sock`),
      logFile: join(host.dir, `${this.container.id}.log`),
      subnets: [SUBNET],
      own: [{ address: this.address, network: NETWORK }],
      main,
    });
    await this.#sidecar.attach(restore);
  }

  async introduce(tasks: readonly Task[]): Promise<void> {
    const own = tasks.map(({ name, address }) => ({ address, service: name, own: true }));
    const vips = tasks.map(({ name, address }) => ({ address: VIPS[name] ?? '', service: name, backends: [address] }));
    await this.sidecar.call('networkView', { subnets: [SUBNET], tasks: own, vips, nonPeers: [] });
    const others = tasks.filter((task) => task !== this).map(({ address }) => address);
    await vi.waitFor(async () => {
      expect((await this.sidecar.call('status')).peers).toEqual(others);
    }, LONG);
  }

  async prepare(epoch: number): Promise<void> {
    const kernel = this.#kernel;
    const { runc } = host;
    const { id } = this.container;
    this.sidecar.host = {
      block: async () => kernel?.block(BLOCK_MS),
      freeze: () => runc.pause(id),
      save: async () => {
        await runc.checkpoint(id, { imagePath: join(this.images, 'criu'), workPath: join(this.images, 'work') });
      },
      advance: async () => kernel?.unblock(),
      unblock: async () => kernel?.unblock(),
      thaw: () => runc.resume(id),
      discard: () => Promise.resolve(),
      report: (outcome) => {
        this.reported.resolve(outcome);
        return Promise.resolve();
      },
    };
    await this.sidecar.call('prepare', { epoch, deadlineMs: BLOCK_MS, keepFrozen: false });
  }

  get complaints(): string[] {
    return this.container.lines.filter((line) => /wrong|error/.test(line));
  }

  /** Bytes received and short connections made. */
  get stats(): [number, number] {
    const last = this.container.lines.findLast((line) => line.startsWith('alive')) ?? 'alive 0 0';
    const [, received, short] = last.split(' ');
    return [Number(received), Number(short)];
  }

  /** It receives on all its ways. */
  async busy(): Promise<void> {
    const [received, short] = this.stats;
    await vi.waitFor(() => {
      expect(this.complaints).toEqual([]);
      expect(this.stats[0]).toBeGreaterThan(received + 500_000);
      expect(this.stats[1]).toBeGreaterThan(short + 5);
    }, LONG);
  }
}

test(
  'programs restored by CRIU in other namespaces go on talking with each other over their old connections',
  { timeout: 600_000 },
  async () => {
    const tasks = await Promise.all(
      [
        { name: 'x', address: '10.97.0.1', peer: 'y' },
        { name: 'y', address: '10.97.0.2', peer: 'x' },
      ].map(async ({ name, address, peer }) => {
        const container = await host.container(`old-${name}`, ['node', '-e', TASK, VIPS[peer] ?? '']);
        await container.start();
        return new Task(name, address, container);
      }),
    );
    for (const task of tasks) await task.attach(0);
    for (const task of tasks) await task.introduce(tasks);
    for (const { container } of tasks) await vi.waitFor(() => expect(container.lines).toContain('listening'), LONG);
    for (const { container } of tasks) process.kill(await container.pid(), 'SIGUSR2');
    for (const task of tasks) await task.busy();

    for (const task of tasks) await task.prepare(1);
    await tasks[0]?.sidecar.call('start', { epoch: 1 });
    for (const task of tasks) expect(await task.reported.promise).toEqual({ kind: 'saved', epoch: 1 });
    for (const task of tasks) await task.sidecar.call('collect', { epoch: 1, folder: task.channels });
    for (const task of tasks) await task.busy();

    const before = tasks.map((task) => task.stats);
    const records = await Promise.all(tasks.map(({ channels }) => readRecord(channels)));
    const saved = tasks.map(({ name }, at) => ({ key: name, streams: records[at]?.streams ?? [] }));
    expect(checkStreams(pairStreams(saved)).filter(({ ok }) => !ok)).toEqual([]);
    expect(saved.flatMap(({ streams }) => streams).reduce((sum, { recorded }) => sum + recorded, 0)).toBeGreaterThan(0);

    for (const { container } of tasks) await container.remove();
    for (const task of tasks) await task.sidecar.detach();
    const next = await Promise.all(
      tasks.map(async ({ name, address }) => {
        const container = await host.container(`new-${name}`, ['node']);
        return new Task(name, address.replace('.0.', '.0.1'), container);
      }),
    );
    const on = (address: string): { address: string; network: string }[] => [{ address, network: NETWORK }];
    const plans = planProxies({
      stack: 'bed',
      epoch: 1,
      tasks: tasks.map(({ name, address }, at) => ({
        key: name,
        streams: records[at]?.streams ?? [],
        aliases: [],
        addresses: on(address),
        newAddresses: on(next[at]?.address ?? ''),
      })),
    });
    await Promise.all(
      next.map(async (task, at) => {
        const old = tasks[at];
        const plan = plans.get(task.name);
        if (!old || !plan) throw new Error('no plan');
        const { connections } = await readDump(join(old.images, 'criu'));
        await markUnsent(join(old.images, 'criu'), (await proxiedConnections(old.channels, connections)).unsent);
        await task.container.restore(join(old.images, 'criu'), criuConfig, [old.address], () =>
          task.attach(1, { folder: old.channels, connections, plan }),
        );
      }),
    );
    // Together, as the agents do it: one that was restored first must not wait in vain for the other.
    await Promise.all(
      next.map(async (task) => {
        pushUnsent(await openFiles(await processTree(await task.container.pid())));
        await task.sidecar.call('resume');
      }),
    );
    for (const task of next) await task.introduce(next);
    for (const task of next) await task.busy();
    for (const task of next) await task.busy();
    // They went on from the cut, not from where they were at the end.
    next.forEach((task, at) => expect(task.stats[1]).not.toBe(before[at]?.[1]));
    for (const { container } of next) await container.remove();
    for (const task of next) await task.sidecar.detach();
  },
);
