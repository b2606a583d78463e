import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import {
  PATIENCE_MS,
  expectNoTraces,
  migrate,
  others,
  placement,
  restore,
  snapshot,
  stacks,
  waitFor,
} from '../harness.ts';

type ComposeService = Parameters<typeof stacks.deployCompose>[1]['services'][string];

/** What test/e2e/programs/neighbours.mjs has seen. */
interface Seen {
  readonly address: string;
  readonly dialled: number;
  readonly refused: number;
  readonly hung: number;
  readonly heard: number;
}

const STACK = 'nets';
/** Begins alike, and has a network with the first one in common. */
const NEIGHBOUR = 'nets_two';
const SHARED = 'nets-shared';

async function seen(stack: string): Promise<Seen> {
  const task = await stacks.task(stack, 'client');
  return JSON.parse(await stacks.inTask(task, ['cat', '/tmp/status.json'])) as Seen;
}

/** New connections to the address that the client remembers are made, and its UDP socket is answered. */
async function expectReached(stack: string, when: string): Promise<void> {
  const before = await waitFor(`the client of ${stack} ${when}`, () => seen(stack), { timeoutMs: PATIENCE_MS });
  await waitFor(
    `new connections and datagrams ${when}`,
    async () => {
      const now = await seen(stack);
      if (now.dialled > before.dialled + 4 && now.heard > before.heard + 4) return true;
      throw new Error(`${JSON.stringify(before)} ${JSON.stringify(now)}`);
    },
    { timeoutMs: PATIENCE_MS },
  );
}

async function deploy(stack: string, algorithm: string, networks: readonly string[], server = 'server'): Promise<void> {
  const source = await readFile(new URL('../programs/neighbours.mjs', import.meta.url), 'utf8');
  const service = (role: string): ComposeService => ({
    image: 'swarmcut/examples:latest',
    command: ['node', '--input-type=module', '-e', source],
    environment: { ROLE: role, SERVER: server },
    networks: [...networks],
    labels: { 'swarmcut.algorithm': algorithm },
    stop_grace_period: '2s',
    deploy: { endpoint_mode: 'dnsrr', restart_policy: { condition: 'none' } },
  });
  const own = networks.filter((name) => name !== SHARED);
  await stacks.deployCompose(stack, {
    version: '3.8',
    services: { server: service('server'), client: service('client') },
    networks: {
      ...Object.fromEntries(own.map((name) => [name, { driver: 'overlay', internal: name === 'inside' }])),
      ...(networks.includes(SHARED) ? { [SHARED]: { external: true } } : {}),
    },
  });
  await expectReached(stack, 'at first');
}

describe('programs that remember addresses', () => {
  afterEach(async () => {
    await stacks.remove(STACK);
  });

  test.each(['lai-yang', 'chandy-lamport'])('with %s', async (algorithm) => {
    await deploy(STACK, algorithm, ['net', 'inside']);
    const where = await placement(STACK);
    await migrate(`${STACK}_server`, '--to', others(where['server.1'] ?? 'n1')[0]);
    await expectReached(STACK, 'after the migration of the server');
    const { id } = await snapshot(STACK);
    await expectReached(STACK, 'after a snapshot');
    await stacks.remove(STACK);
    await restore(id);
    await expectReached(STACK, 'after a restore of the removed stack');
    await expectNoTraces(STACK);
  });
});

describe('two stacks whose names begin alike, with a network in common', () => {
  afterAll(async () => {
    for (const stack of [NEIGHBOUR, STACK]) await stacks.remove(stack);
    await stacks.must('n1', ['docker', 'network', 'rm', SHARED]);
  });

  test('are snapshotted at the same moment, and one is restored while the other runs on', async () => {
    await stacks.must('n1', ['docker', 'network', 'create', '--driver', 'overlay', '--attachable', SHARED]);
    await deploy(STACK, 'lai-yang', [SHARED, 'inside']);
    // Its client talks to the server of the first one.
    await deploy(NEIGHBOUR, 'lai-yang', [SHARED], `${STACK}_server`);
    const before = await seen(NEIGHBOUR);
    const [first, second] = await Promise.all([snapshot(STACK), snapshot(NEIGHBOUR)]);
    expect([first.tasks.length, second.tasks.length]).toEqual([2, 2]);
    for (const stack of [STACK, NEIGHBOUR]) await expectReached(stack, 'after both snapshots');
    expect(await seen(NEIGHBOUR)).toMatchObject({ refused: before.refused, hung: before.hung });
    const others = await placement(NEIGHBOUR);
    await restore(first.id);
    await expectReached(STACK, 'after its restore');
    expect(await placement(NEIGHBOUR)).toEqual(others);
    for (const stack of [STACK, NEIGHBOUR]) await expectNoTraces(stack);
  });
});
