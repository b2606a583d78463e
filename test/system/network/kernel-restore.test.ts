import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { listConnections } from '../../../agent/network/rewriting/connections.ts';
import { restoreHook } from '../../../agent/network/rewriting/restore-hook.ts';
import type { RewriteEntry } from '../../../src/model/connection.ts';
import { pairConnections } from '../../../src/model/cuts/cut.ts';
import { planNetworks } from '../../../src/model/plans/network-plan.ts';
import { Bed, ECHO, PING, type Program } from './kernel-bed.ts';

/**
 * Restoring without CRIU: the sockets live on while the addresses of their namespaces change, which is what a restored socket sees.
 * The plan comes from the real connections, and the real hook executes it.
 */
const NET = '10.91.0';
let bed: Bed;
let dir: string;
const gone: string[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'swarmcut-kernel-'));
});

afterEach(async () => {
  await bed.close();
  await rm(dir, { recursive: true });
  gone.length = 0;
});

interface Moving {
  readonly name: string;
  readonly program: Program;
  /** Last part of its present address. */
  now: number;
  readonly earlier: number[];
}

const alias = (last: number): { address: string; network: string } => ({ address: `${NET}.${last}`, network: 'net' });

/**
 * All tasks get new addresses at once; returns the milliseconds that each hook took.
 * @param whileBlocked what else is to be done before they go on
 */
async function move(
  tasks: readonly Moving[],
  to: readonly number[],
  whileBlocked: () => Promise<void> = () => Promise.resolve(),
): Promise<number[]> {
  await Promise.all(tasks.map(({ name }) => new KernelInterceptor({ netns: bed.netns(name) }).block(60_000)));
  const cut = await Promise.all(
    tasks.map(async ({ name, program, now, earlier }, index) => ({
      key: name,
      connections: await listConnections(program.pid),
      aliases: earlier.map(alias),
      addresses: [alias(now)],
      newAddresses: [alias(to[index] ?? 0)],
    })),
  );
  const { plans } = planNetworks({ tasks: cut, pairing: pairConnections(cut), subnets: [`${NET}.0/24`] });
  const times: number[] = [];
  for (const [index, task] of tasks.entries()) {
    await forget(task);
    const plan = plans.get(task.name);
    if (!plan) throw new Error('no plan');
    const script = await restoreHook({ plan, blockTimeoutMs: 60_000, dir: join(dir, task.name) });
    await bed.run(task.name, ['ip', 'address', 'flush', 'dev', 'eth0']);
    await bed.run(task.name, ['ip', 'address', 'add', `${NET}.${to[index]}/24`, 'dev', 'eth0']);
    const started = performance.now();
    const state = JSON.stringify({
      ociVersion: '1.0.2',
      id: 'x',
      status: 'creating',
      pid: task.program.pid,
      bundle: '/b',
    });
    await execa(script, { input: state }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await readFile(join(dir, task.name, 'hook.log'), 'utf8')}`);
    });
    times.push(performance.now() - started);
    task.earlier.push(task.now);
    task.now = to[index] ?? 0;
  }
  await whileBlocked();
  await Promise.all(tasks.map(({ name }) => new KernelInterceptor({ netns: bed.netns(name) }).unblock()));
  return times;
}

/** A new container has a new namespace: take away what the last hook left in this one. */
async function forget(task: Moving): Promise<void> {
  for (const last of task.earlier) {
    await bed.run(task.name, ['ip', 'address', 'del', `${NET}.${last}/32`, 'dev', 'lo']).catch(() => undefined);
  }
  if (task.earlier.length === 0) return;
  await new KernelInterceptor({ netns: bed.netns(task.name) }).setRewrites([]);
  // One for rewritten connections, one for what CRIU sends.
  for (let rules = 0; rules < 2; rules++) await bed.run(task.name, ['ip', 'rule', 'del', 'pref', '100']);
  await bed.run(task.name, ['ip', 'route', 'flush', 'table', '7433']).catch(() => undefined);
}

async function start(): Promise<{ client: Moving; server: Moving }> {
  bed = await Bed.make({ a: `${NET}.2/24`, b: `${NET}.3/24`, c: `${NET}.99/24` });
  const server = bed.program('b', ECHO, '7000');
  await server.line((line) => line === 'listening');
  const client = bed.program('a', PING, `${NET}.3`, '7000', '2');
  await client.more(5);
  return {
    client: { name: 'a', program: client, now: 2, earlier: [] },
    server: { name: 'b', program: server, now: 3, earlier: [] },
  };
}

/** A new connection from a task to an address ends where? `from` is the address that the server there sees. */
async function reaches(task: string, address: string, port: number): Promise<void> {
  const probe = bed.program(task, PING, address, String(port), '2');
  await probe.more(3);
  expect(probe.lines.filter((line) => !/^\d/.test(line))).toEqual([]);
  await probe.stop();
}

test('a connection goes on when both ends have new addresses, and the old address serves its new owner', async () => {
  const { client, server } = await start();
  await move([client, server], [12, 13]);
  await client.program.more(20);

  await bed.run('c', ['ip', 'address', 'add', `${NET}.2/24`, 'dev', 'eth0']);
  const owner = bed.program('c', ECHO, '7100');
  await owner.line((line) => line === 'listening');
  await reaches('b', `${NET}.2`, 7100);
  await reaches('a', `${NET}.2`, 7100);
  expect(owner.lines.filter((line) => line.startsWith('from'))).toEqual([`from ${NET}.13`, `from ${NET}.12`]);
  await reaches('c', `${NET}.13`, 7000);
  await client.program.more(20);
  expect(client.program.lines.filter((line) => !/^\d/.test(line))).toEqual([]);
});

test('two tasks swap their addresses, and go back, and move on: always on the first connection', async () => {
  const { client, server } = await start();
  await move([client, server], [3, 2]);
  await client.program.more(20);
  // The server's old address is the client's own now, and the reverse.
  await reaches('a', `${NET}.2`, 7000);
  await reaches('c', `${NET}.2`, 7000);
  await client.program.more(5);

  await move([client, server], [2, 3]);
  await client.program.more(20);
  expect(await bed.run('a', ['nft', 'list', 'ruleset'])).not.toContain('10.91.0.2 .');

  await move([client, server], [22, 2]);
  await client.program.more(20);
  await reaches('a', `${NET}.2`, 7000);
  expect(client.program.lines.filter((line) => !/^\d/.test(line))).toEqual([]);
});

test('a task moves while its peer runs on', async () => {
  const { client, server } = await start();
  const peer = new KernelInterceptor({ netns: bed.netns('b') });
  const [connection] = await listConnections(server.program.pid);
  if (!connection) throw new Error('no connection');
  const entry: RewriteEntry = {
    socketLocal: connection.local,
    socketRemote: connection.remote,
    wireLocal: connection.local,
    wireRemote: { address: `${NET}.12`, port: connection.remote.port },
  };
  // Its plan closes the connection: the peer was not in the pairing.
  await move([client], [12], async () => {
    await new KernelInterceptor({ netns: bed.netns('a') }).setRewrites([
      {
        socketLocal: entry.socketRemote,
        socketRemote: entry.socketLocal,
        wireLocal: entry.wireRemote,
        wireRemote: entry.wireLocal,
      },
    ]);
    await peer.setRewrites([entry]);
    await peer.setRewrites([entry]);
  });
  await client.program.more(20);
  await peer.setRewrites([]);
  expect(await bed.run('b', ['nft', 'list', 'table', 'inet', 'swarmcut'])).not.toContain('rewrite');
});

test('thousands of connections are set up at once, and an interface-less remote gets a route', async () => {
  const { client } = await start();
  const rewrites: RewriteEntry[] = Array.from({ length: 4000 }, (_, index) => ({
    socketLocal: { address: `${NET}.2`, port: 20_000 + 2 * index },
    socketRemote: { address: '10.92.0.3', port: 7000 },
    wireLocal: { address: `${NET}.12`, port: 20_000 + 2 * index },
    wireRemote: { address: `${NET}.13`, port: 7000 },
  }));
  const plan = { subnets: [`${NET}.0/24`], ownAddresses: [`${NET}.2`], rewrites, close: [], aliases: [], unsent: [] };
  const script = await restoreHook({ plan, blockTimeoutMs: 60_000, dir });
  await bed.run('a', ['ip', 'address', 'flush', 'dev', 'eth0']);
  await bed.run('a', ['ip', 'address', 'add', `${NET}.12/24`, 'dev', 'eth0']);
  const started = performance.now();
  await execa(script, { input: `{ "pid": ${client.program.pid} }` });
  console.log(`hook with ${rewrites.length} connections: ${Math.round(performance.now() - started)} ms`);
  expect(await bed.run('a', ['ip', 'route', 'get', '10.92.0.3'])).toContain('dev eth0');
  const reserved = (await bed.run('a', ['cat', '/proc/sys/net/ipv4/ip_local_reserved_ports'])).split(',');
  expect(reserved).toHaveLength(4000);
  expect(await readFile(join(dir, 'hook.log'), 'utf8')).toBe('');
});

test('a hook that cannot do its work fails and says why', async () => {
  await start();
  const plan = { subnets: [], ownAddresses: [], rewrites: [], close: [], aliases: [], unsent: [] };
  const script = await restoreHook({ plan, blockTimeoutMs: 60_000, dir });
  expect((await execa(script, { input: '{"pid": 0}', reject: false })).exitCode).not.toBe(0);
  expect(await readFile(join(dir, 'hook.log'), 'utf8')).toContain('/proc/0/ns/net');
  expect((await execa(script, { input: '{}', reject: false })).exitCode).toBe(1);
  expect(await readFile(join(dir, 'hook.log'), 'utf8')).toContain('no pid');
});
