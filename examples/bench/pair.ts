/** What programs see of snapshots and migrations: numbered ping-pong, one number each 5 ms and round trip. */
import { waitFor } from '../testbed/index.ts';
import type { Stacks } from '../demo/stacks.ts';
import { median } from './bench.ts';
import type { BenchItem, Figure } from './bench.ts';

const ROUNDS = 10;
const MIGRATIONS = 6;
const TASK_COUNTS = [2, 6, 12, 24];
const ALGORITHMS = ['lai-yang', 'sync'];
const PATIENCE_MS = 30_000;

/** Longest time between two answers during `act`, in milliseconds. */
async function worstGapDuring(stacks: Stacks, act: () => Promise<unknown>): Promise<number> {
  await stacks.resetGaps(await stacks.task('pair', 'client'));
  await act();
  const ended = await stacks.status('pair', 'client');
  const after = await waitFor(
    'a status from after the operation',
    async () => {
      const now = await stacks.status('pair', 'client');
      return now.n > ended.n + 10 && now.atMs > ended.atMs && now;
    },
    { timeoutMs: PATIENCE_MS },
  );
  if (after.errors > 0) throw new Error(`pair saw errors: ${after.errorList.join('; ')}`);
  return after.worstGapMs;
}

/** The gap of `pair` while a snapshot is taken. */
export const gap: BenchItem = {
  name: 'gap',
  title: 'gap that an application sees during a snapshot',
  run: async ({ stacks, say }) => {
    await stacks.deploy('pair');
    const figures: Figure[] = [];
    const idle: number[] = [];
    for (let round = 0; round < 3; round++) {
      idle.push(await worstGapDuring(stacks, () => stacks.coordinate(['list'])));
    }
    figures.push({
      what: 'gap of pair without a snapshot (noise), worst of 3',
      value: Math.max(...idle),
      unit: 'ms',
      samples: idle,
    });
    for (const algorithm of ALGORITHMS) {
      const samples: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        say(`${algorithm}: snapshot ${round + 1} of ${ROUNDS}`);
        samples.push(
          await worstGapDuring(stacks, () => stacks.coordinate(['snapshot', 'pair', '--algorithm', algorithm])),
        );
      }
      figures.push(
        {
          what: `gap of pair during a snapshot, ${algorithm}, median of ${ROUNDS}`,
          value: median(samples),
          unit: 'ms',
          aim: 300,
          samples,
        },
        { what: `the same, worst of ${ROUNDS}`, value: Math.max(...samples), unit: 'ms' },
      );
    }
    await stacks.remove('pair');
    return figures;
  },
};

/** The gap of `pair` while its client, or its server, moves. */
export const migration: BenchItem = {
  name: 'migrate',
  title: 'downtime of a live migration, as the other end sees it',
  run: async ({ stacks, say }) => {
    await stacks.deploy('pair');
    const gaps: number[] = [];
    const own: number[] = [];
    for (let round = 0; round < MIGRATIONS; round++) {
      const service = round % 2 === 0 ? 'server' : 'client';
      const { node } = await stacks.task('pair', service);
      const target = stacks.nodes[(stacks.nodes.indexOf(node) + 1) % stacks.nodes.length] ?? 'n1';
      say(`${service} from ${node} to ${target}`);
      gaps.push(
        await worstGapDuring(stacks, async () => {
          const report = await stacks.coordinate<{ downtimeMs: number }>([
            'migrate',
            `pair_${service}`,
            '--to',
            target,
          ]);
          own.push(report.downtimeMs);
        }),
      );
    }
    await stacks.remove('pair');
    return [
      {
        what: `downtime of a migration seen by pair, median of ${MIGRATIONS}`,
        value: median(gaps),
        unit: 'ms',
        aim: 1000,
        samples: gaps,
      },
      { what: 'the same, worst', value: Math.max(...gaps), unit: 'ms' },
      { what: "the coordinator's own figure, median", value: median(own), unit: 'ms', samples: own },
    ];
  },
};

/** How long a snapshot of so many tasks takes, from the request to the written manifest. */
export const wall: BenchItem = {
  name: 'wall',
  title: 'wall time of a snapshot by number of tasks',
  run: async ({ stacks, say }) => {
    const figures: Figure[] = [];
    for (const count of TASK_COUNTS) {
      await stacks.deploy('pair', {
        change: ({ services: { client } }) => {
          if (client === undefined) throw new Error('the example has no client any more');
          // Many clients at full speed would measure the processor, not the snapshot.
          client.environment = { ...client.environment, PAIR_PERIOD_MS: '50' };
          client.deploy = { ...client.deploy, replicas: count - 1 };
        },
        slots: count > 2,
      });
      const samples: number[] = [];
      for (let round = 0; round < 3; round++) {
        say(`${count} tasks: snapshot ${round + 1} of 3`);
        samples.push((await stacks.coordinate<{ wallMs: number }>(['snapshot', 'pair'])).wallMs);
      }
      figures.push({
        what: `snapshot of ${count} tasks, wall time, median of 3`,
        value: median(samples),
        unit: 'ms',
        samples,
      });
      await stacks.remove('pair');
    }
    return figures;
  },
};
