import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { pathInHost } from '../../../examples/testbed/index.ts';
import {
  PATIENCE_MS,
  agentsAnswer,
  expectGoesOn,
  expectNoTraces,
  killer,
  others,
  placement,
  stacks,
  waitFor,
} from '../harness.ts';
import type { MigrateReport } from '../harness.ts';

const STACK = 'big';
const MEGABYTES = 200;
/** So much has come: the transfer is in its middle. Bytes. */
const SOME_BYTES = 8 * 1024 * 1024;

/**
 * A redis whose memory takes a while to move, under writes that its client checks, each of them: it is the only one that writes. Whatever happens on the way between the
 * agents, it finds every write that was acknowledged, on the connection that it had.
 */
beforeAll(async () => {
  await stacks.deploy('redis', {
    stack: STACK,
    algorithm: 'lai-yang',
    change: ({ services: { redis, client } }) => {
      if (redis === undefined || client === undefined) throw new Error('the example has other services now');
      // Swarm makes a new task for one that fails: it must not start empty.
      Object.assign(redis.deploy, { restart_policy: { condition: 'any', delay: '1s' } });
      redis.command = [...(redis.command ?? []).slice(0, -1), ''];
      client.environment = { ...client.environment, REDIS_FILL_MB: String(MEGABYTES), REDIS_PERIOD_MS: '2' };
    },
  });
});
afterAll(() => stacks.remove(STACK, { volumes: true }));

afterEach(async () => {
  for (const node of stacks.nodes) await stacks.must(node, ['sh', '-c', 'nft delete table inet big 2>/dev/null; true']);
});

async function whereIsIt(): Promise<string> {
  const node = (await placement(STACK))['redis.1'];
  if (node === undefined) throw new Error('there is no redis');
  return node;
}

async function expectEveryWrite(): Promise<void> {
  expect(await expectGoesOn(STACK)).toMatchObject({ errors: 0, reconnects: 0 });
  await expectNoTraces(STACK);
}

/** The largest file of a folder of parts. */
async function largest(node: string, folder: string): Promise<{ readonly file: string; readonly bytes: number }> {
  const base = await pathInHost(stacks.bed, node, `/run/swarmcut/parts/${folder}`);
  let found = { file: '', bytes: 0 };
  for (const name of await readdir(base, { recursive: true }).catch(() => [])) {
    const file = path.join(base, name);
    const stats = await stat(file).catch(() => undefined);
    if (stats?.isFile() === true && stats.size > found.bytes) found = { file, bytes: stats.size };
  }
  return found;
}

/** Settles when a part is on its way to a node. */
async function midway(node: string): Promise<void> {
  await waitFor('a part on its way', async () => (await largest(node, 'incoming')).bytes > SOME_BYTES, {
    timeoutMs: PATIENCE_MS,
    intervalMs: 5,
  });
}

test('moves directly, under writes', async () => {
  const from = await whereIsIt();
  const [to] = others(from);
  const { exitCode, result, stderr } = await stacks.coordinator<MigrateReport>([
    'migrate',
    `${STACK}_redis`,
    '--to',
    to,
  ]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.not.stringContaining('gRPC') as string });
  expect(result?.tasks[0]?.bytes).toBeGreaterThan(MEGABYTES * 1e6);
  expect(await whereIsIt()).toBe(to);
  await expectEveryWrite();
});

test('where the port is closed it moves by gRPC, and that is told', async () => {
  const from = await whereIsIt();
  const [to] = others(from);
  const rule = "nft add table inet big; nft 'add chain inet big input { type filter hook input priority -300; }'";
  await stacks.must(from, ['sh', '-c', `${rule}; nft add rule inet big input tcp dport 7435 reject with tcp reset`]);
  const { exitCode, stderr } = await stacks.coordinator([
    'migrate',
    `${STACK}_redis`,
    '--to',
    to,
    '--progress',
    'json',
  ]);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(
      new RegExp(`big_redis.1 on ${to}: parts of node ${from} come by gRPC.*port 7435`),
    ) as string,
  });
  expect(await whereIsIt()).toBe(to);
  await expectEveryWrite();
});

test('a byte that is damaged while it is on its way: nothing of it is released, the old task goes on', async () => {
  const from = await whereIsIt();
  const [to] = others(from);
  const migration = stacks.coordinator(['migrate', `${STACK}_redis`, '--to', to, '--progress', 'json']);
  await midway(to);
  const { file, bytes } = await largest(from, '');
  await using part = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await part.read(byte, 0, 1, bytes - 1);
  await part.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, bytes - 1);
  const { error } = await migration;
  expect(error?.message).toMatch(new RegExp(`node ${from} sent part [0-9a-f]{64} with another hash`));
  expect(await whereIsIt()).toBe(from);
  await expectEveryWrite();
  expect((await largest(to, '')).bytes).toBe(0);
});

test('the agent that sends is killed in the middle: either of the two tasks goes on, with all there was', async () => {
  const from = await whereIsIt();
  const [to] = others(from);
  const kill = await killer(from, 'agent');
  const migration = stacks.coordinator(['migrate', `${STACK}_redis`, '--to', to, '--progress', 'json']);
  await midway(to);
  kill();
  const { exitCode } = await migration;
  await agentsAnswer();
  await expectEveryWrite();
  expect(await whereIsIt()).toBe(exitCode === 0 ? to : from);
});
