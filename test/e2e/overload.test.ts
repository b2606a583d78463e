import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bankAt,
  expectGoesOn,
  expectNoTraces,
  goOnAndCheck,
  others,
  placement,
  restore,
  snapshot,
  stacks,
  tracesIn,
} from './harness.ts';
import type { BankCheck } from './harness.ts';

/** Processes that want a processor all the time, on all nodes together. `npm run test:overload`: 30. */
const PROCESSES = Number(process.env.SWARMCUT_OVERLOAD ?? 12);

/** Everything, or what there is time for among all other tests. */
const LONG = process.env.SWARMCUT_OVERLOAD !== undefined;

/** Each of them ends by itself after so long, whatever becomes of this. Seconds. */
const LONGEST_S = 3_600;

/** A command may take this long here. It has limits of its own, but for what gets on. Milliseconds. */
const PATIENCE = { timeoutMs: 580_000 };

/** Endless loops in the nodes, beside the agents. */
class Overload {
  readonly #pids = new Map<string, string[]>();

  async begin(processes: number): Promise<void> {
    for (const [index, node] of stacks.nodes.entries()) {
      const many = Math.floor((processes + index) / stacks.nodes.length);
      const one = `timeout ${LONGEST_S} sh -c 'while :; do :; done' </dev/null >/dev/null 2>&1 & echo $!`;
      const script = Array.from({ length: many }, () => one).join('\n');
      this.#pids.set(node, (await stacks.must(node, ['sh', '-c', script])).split('\n'));
    }
  }

  async end(): Promise<void> {
    for (const [node, pids] of this.#pids) await stacks.run(node, ['kill', ...pids]);
    this.#pids.clear();
  }
}

/**
 * More processes want to run than there are processors, for as long as the operations last. Whatever is slow then is slow, not broken: a command
 * succeeds, or it says what has not got on and leaves everything as it was. Nothing stays frozen or blocked, and nothing is lost.
 */
describe.each(LONG ? (['lai-yang', 'chandy-lamport', 'sync'] as const) : (['chandy-lamport'] as const))(
  'under overload with %s',
  (algorithm) => {
    const overload = new Overload();
    const failures: string[] = [];
    let id = '';

    beforeAll(async () => {
      await stacks.deploy('bank', { algorithm });
      await stacks.deploy('pair', { algorithm });
      await bankAt(2_000);
      await overload.begin(PROCESSES);
    });

    afterAll(async () => {
      await overload.end();
      for (const each of failures) console.log(each);
      await stacks.remove('bank', { volumes: true });
      await stacks.remove('pair');
    });

    /** @returns whether it succeeded; if not, it has said why, and everything is as it was */
    async function attempted(args: readonly string[]): Promise<boolean> {
      const begun = performance.now();
      const { exitCode, error, stderr } = await stacks.coordinator(args, PATIENCE);
      const seconds = Math.round((performance.now() - begun) / 1000);
      console.log(`${algorithm}: ${args.join(' ')}: ${exitCode === 0 ? 'done' : 'failed'} after ${seconds} s`);
      if (exitCode === 0) return true;
      // An error without a code is one that nobody has thought of; a command that was killed has none at all.
      expect(error?.code, stderr).toMatch(/^(failed|interrupted|unreachable|precondition)$/);
      failures.push(`${algorithm}: ${args.join(' ')}: after ${seconds} s: ${error?.message ?? ''}`);
      return false;
    }

    async function nothingStandsStill(stack: string): Promise<void> {
      await expectNoTraces(stack, tracesIn);
    }

    test('a snapshot', async () => {
      const before = await stacks.checkBank('bank', ['--status', '--timeout', '30000']);
      ({ id } = await snapshot('bank'));
      await nothingStandsStill('bank');
      await goOnAndCheck('bank', before);
      expect(await stacks.coordinate(['verify', id], PATIENCE)).toMatchObject({ ok: true, problems: [] });
    });

    test('a dump that takes longer than its task may stand still says how far it was', async () => {
      const before = await stacks.checkBank('bank', ['--status', '--timeout', '30000']);
      const { exitCode, error } = await stacks.coordinator(['snapshot', 'bank', '--freeze-timeout', '20ms'], PATIENCE);
      expect(exitCode).not.toBe(0);
      expect(error?.message).toMatch(/after [\d.]+ s, (CRIU has written|it is being)/);
      await nothingStandsStill('bank');
      await goOnAndCheck('bank', before);
    });

    test('a migration', async () => {
      const where = await placement('pair');
      const target = others(where['client.1'] ?? 'n1')[0];
      const { n } = await stacks.status('pair', 'client');
      const moved = await attempted(['migrate', 'pair_client', '--to', target]);
      expect(await placement('pair')).toEqual(moved ? { ...where, 'client.1': target } : where);
      const status = await expectGoesOn('pair');
      expect(status).toMatchObject({ errors: 0, reconnects: 0 });
      expect(status.n).toBeGreaterThanOrEqual(n);
      await nothingStandsStill('pair');
    });

    describe.runIf(LONG)('and', () => {
      async function bankMoved(args: readonly string[], before: BankCheck): Promise<void> {
        await attempted(args);
        await nothingStandsStill('bank');
        await goOnAndCheck('bank', before);
      }

      test('a restore in place', async () => {
        const before = await stacks.checkBank('bank', ['--status', '--timeout', '30000']);
        const where = await placement('bank');
        const to = ['branch-a', 'branch-b', 'branch-c'].flatMap((service) => [
          '--to',
          `${service}=${where[`${service}.1`] ?? 'n1'}`,
        ]);
        const taken = await stacks.coordinate<{ id: string }>(['snapshot', 'bank'], PATIENCE);
        await bankMoved(['restore', taken.id, ...to], before);
      });

      test('a restore elsewhere', async () => {
        const before = await stacks.checkBank('bank', ['--status', '--timeout', '30000']);
        const where = await placement('bank');
        const taken = await stacks.coordinate<{ id: string }>(['snapshot', 'bank'], PATIENCE);
        const to = ['branch-a', 'branch-b', 'branch-c'].flatMap((service) => [
          '--to',
          `${service}=${others(where[`${service}.1`] ?? 'n1')[0]}`,
        ]);
        await bankMoved(['restore', taken.id, ...to], before);
      });

      test('a migration of a service with two tasks', async () => {
        const before = await stacks.checkBank('bank', ['--status', '--timeout', '30000']);
        const where = await placement('bank');
        const target = others(where['branch-b.1'] ?? 'n1')[0];
        await bankMoved(['migrate', 'bank_branch-b', '--to', target], before);
      });

      test('a restore of a stack that is gone', async () => {
        const taken = await stacks.coordinate<{ id: string }>(['snapshot', 'pair'], PATIENCE);
        await stacks.remove('pair');
        await restore(taken.id);
        await expectGoesOn('pair');
        await nothingStandsStill('pair');
      });
    });
  },
);
