import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { listConnections } from '../../../agent/network/rewriting/connections.ts';
import { restoreHook } from '../../../agent/network/rewriting/restore-hook.ts';
import type { RewriteEntry } from '../../../src/model/connection.ts';
import { Bed, ECHO, PING, type Program } from './kernel-bed.ts';
import { move as moveTasks, type Moving } from './kernel-move.ts';

const NET = '10.91.0';
let bed: Bed;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'swarmcut-kernel-'));
});

afterEach(async () => {
  await bed.close();
  await rm(dir, { recursive: true });
});

type MovingProgram = Moving & { readonly program: Program };

function move(tasks: readonly Moving[], to: readonly number[], whileBlocked?: () => Promise<void>): Promise<number[]> {
  return moveTasks({ bed, dir, tasks, to, ...(whileBlocked === undefined ? {} : { whileBlocked }) });
}

async function start(): Promise<{ client: MovingProgram; server: MovingProgram }> {
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
  // As an agent does that hears of it (agent/network/former-addresses.ts).
  for (const task of ['a', 'b']) await new KernelInterceptor({ netns: bed.netns(task) }).setFormer([]);
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
