import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  PATIENCE_MS,
  expectNoTraces,
  inFlight,
  others,
  placement,
  restore,
  snapshot,
  stacks,
  waitFor,
} from '../harness.ts';
import type { VerifyReport } from '../harness.ts';

/** What test/e2e/programs/streams.mjs has seen. */
interface Seen {
  readonly role: string;
  readonly atMs: number;
  readonly connections: number;
  readonly accepted: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly storms: number;
  readonly endsSeen: number;
  readonly errorCount: number;
  readonly errors: readonly string[];
  /** Fewest bytes received on a connection that is to receive more. */
  readonly least: number | null;
  readonly live: number;
}

interface Program {
  readonly environment: Readonly<Record<string, string>>;
  readonly replicas?: number;
  readonly endpoint?: 'vip' | 'dnsrr';
}

const STACK = 'streams';

/** Kinds of connections that are hard to carry over, each under load and with sidecars: every byte is compared, no connection may break. */
describe('streams with chandy-lamport', () => {
  let services: string[] = [];

  afterEach(async () => {
    await stacks.remove(STACK);
  });

  test('steady, slow, half-closed both ways, and a storm of new ones', async () => {
    await deploy({
      server: { environment: { ROLE: 'server' } },
      client: {
        environment: {
          ROLE: 'client',
          SERVER: 'server',
          STEADY: '20',
          SLOW: '6',
          HALF_CLIENT: '2',
          HALF_SERVER: '2',
          STORM: '1',
        },
      },
    });
    await waitFor('all connections', async () => (await seen('client')).connections === 30, { timeoutMs: PATIENCE_MS });
    // What slow readers have not read is in sockets and sidecars of both ends.
    const queued = async (): Promise<number> => (await seen('client')).sentBytes - (await seen('server')).receivedBytes;
    await waitFor('megabytes', async () => (await queued()) > 10_000_000, { timeoutMs: PATIENCE_MS });
    // Both kinds of half-closed ones have their end behind them.
    const halves = async (): Promise<boolean> => {
      const { endsSeen, storms } = await seen('client');
      return endsSeen - storms >= 2;
    };
    await waitFor('half-closed connections', halves, { timeoutMs: PATIENCE_MS });
    await cutAndRestore({ queuedBytes: 100_000, storm: true });
  });

  test('500 connections between two tasks', async () => {
    await deploy({
      server: { environment: { ROLE: 'server' } },
      client: { environment: { ROLE: 'client', SERVER: 'server', STEADY: '500' } },
    });
    await waitFor('500 connections', async () => (await seen('client')).connections === 500, {
      timeoutMs: PATIENCE_MS,
    });
    await cutAndRestore({});
  });

  test.each(['vip', 'dnsrr'] as const)('a service with three replicas behind %s', async (endpoint) => {
    await deploy({
      server: { environment: { ROLE: 'server' }, replicas: 3, endpoint },
      client: { environment: { ROLE: 'client', SERVER: 'server', STEADY: '24' }, replicas: 2 },
    });
    for (const slot of ['1', '2'])
      await waitFor(`connections of client ${slot}`, async () => (await seen('client', slot)).connections === 24, {
        timeoutMs: PATIENCE_MS,
      });
    const accepted = await Promise.all(['1', '2', '3'].map(async (slot) => (await seen('server', slot)).accepted));
    expect(accepted.reduce((sum, some) => sum + some, 0)).toBe(48);
    // By turns: no replica goes without. (With dnsrr it is the client's resolver that chooses.)
    if (endpoint === 'vip') expect(Math.min(...accepted)).toBeGreaterThanOrEqual(12);
    await cutAndRestore({});
  });

  /** Servers first: clients take no refusal. */
  async function deploy(programs: Readonly<Record<string, Program>>): Promise<void> {
    const servers = Object.entries(programs).filter(([, { environment }]) => environment.ROLE === 'server');
    for (const some of [Object.fromEntries(servers), programs]) {
      await deployAll(some);
      for (const service of services) {
        await waitFor(`${service} to run`, () => seenOf(service), { timeoutMs: PATIENCE_MS });
      }
    }
  }

  async function deployAll(programs: Readonly<Record<string, Program>>): Promise<void> {
    const source = await readFile(new URL('../programs/streams.mjs', import.meta.url), 'utf8');
    services = Object.entries(programs).flatMap(([name, { replicas = 1 }]) =>
      Array.from({ length: replicas }, (_, index) => `${name}.${index + 1}`),
    );
    await stacks.deployCompose(STACK, {
      version: '3.8',
      services: Object.fromEntries(
        Object.entries(programs).map(([name, { environment, replicas = 1, endpoint = 'dnsrr' }]) => [
          name,
          {
            image: 'swarmcut/examples:latest',
            command: ['node', '--input-type=module', '-e', source],
            environment: { ...environment },
            networks: ['net'],
            labels: { 'swarmcut.algorithm': 'chandy-lamport' },
            stop_grace_period: '2s',
            deploy: { replicas, endpoint_mode: endpoint, restart_policy: { condition: 'none' } },
          },
        ]),
      ),
      networks: { net: { driver: 'overlay' } },
    });
  }

  /** A snapshot, which nothing may notice, and a restore on other nodes, after which everything goes on from the cut. */
  async function cutAndRestore(expected: { queuedBytes?: number; storm?: boolean }): Promise<void> {
    const { id } = await snapshot(STACK);
    await expectFlow(expected.storm === true);
    expect(await stacks.coordinate<VerifyReport>(['verify', id])).toMatchObject({ ok: true, problems: [] });
    expect((await inFlight(id)).bytes).toBeGreaterThanOrEqual(expected.queuedBytes ?? 0);
    const where = await placement(STACK);
    const names = [...new Set(services.map((service) => service.replace(/\.\d+$/, '')))];
    await restore(id, ...names.flatMap((name) => ['--to', `${name}=${others(where[`${name}.1`] ?? 'n1')[0]}`]));
    await expectFlow(expected.storm === true);
    await expectNoTraces(STACK);
  }

  /** Every connection of every task receives more than it had, and none has met anything wrong. */
  async function expectFlow(storm: boolean): Promise<void> {
    for (const service of services) {
      const before = await seenOf(service);
      const after = await waitFor(
        `${service} to go on from ${before.least ?? 0} bytes`,
        async () => {
          const now = await seenOf(service);
          const further = before.least === null || (now.least ?? 0) > before.least;
          const stormy = !storm || now.role === 'server' || now.storms > before.storms + 10;
          return (now.errorCount > 0 || (further && stormy)) && now;
        },
        { timeoutMs: PATIENCE_MS },
      );
      if (after.errorCount > 0) {
        // What the others have seen tells more.
        const all = await Promise.all(services.map(async (each) => [each, (await seenOf(each)).errors]));
        expect.fail(`errors: ${JSON.stringify(all)}`);
      }
    }
  }
});

/** @param task `service.slot` */
function seenOf(task: string): Promise<Seen> {
  const [service = '', slot] = task.split('.');
  return seen(service, slot);
}

async function seen(service: string, slot = '1'): Promise<Seen> {
  const task = await stacks.task(STACK, service, slot);
  const text = await stacks.must(task.node, ['docker', 'exec', task.containerId, 'cat', '/tmp/status.json']);
  return JSON.parse(text) as Seen;
}
