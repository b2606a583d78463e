/** What programs see of snapshots and migrations: numbered ping-pong, one number each 5 ms and round trip. */
import { waitFor } from '../testbed/index.ts';
import type { Stacks } from '../demo/stacks.ts';
import { median } from './bench.ts';
import type { BenchItem, Figure } from './bench.ts';

const ROUNDS = 10;
const MIGRATIONS = 6;
const TASK_COUNTS = [2, 6, 12, 24];
/** Longest gap wanted, ms. A stack with sidecars is one of its own: they and the kernel's interceptor do not go together. */
const ALGORITHMS = [
  { algorithm: 'lai-yang', stack: 'pair', aim: 300 },
  { algorithm: 'sync', stack: 'pair', aim: 300 },
  { algorithm: 'chandy-lamport', stack: 'pair-sidecars', aim: 250 },
] as const;
const PATIENCE_MS = 30_000;

/** Longest time between two answers during `act`, in milliseconds. */
async function worstGapDuring(stacks: Stacks, act: () => Promise<unknown>, stack = 'pair'): Promise<number> {
  await stacks.resetGaps(await stacks.task(stack, 'client'));
  await act();
  const ended = await stacks.status(stack, 'client');
  const after = await waitFor(
    'a status from after the operation',
    async () => {
      const now = await stacks.status(stack, 'client');
      return now.n > ended.n + 10 && now.atMs > ended.atMs && now;
    },
    { timeoutMs: PATIENCE_MS },
  );
  if (after.errors > 0) throw new Error(`pair saw errors: ${after.errorList.join('; ')}`);
  return after.worstGapMs;
}

/** What a snapshot's manifest has of a task's standstill (DumpTimes in src/model/checkpoint.ts). */
interface Times {
  readonly frozenAtMs: number;
  readonly thawedAtMs: number;
  /** CRIU's own figure. */
  readonly frozenUs: number;
}

/** How long tasks stood still, the longest of them: by CRIU's word, and from cut to thaw. Milliseconds. */
export interface Standstill {
  readonly criuMs: number;
  readonly wallMs: number;
}

/** One algorithm's rounds. */
interface Series {
  readonly algorithm: string;
  readonly stack: string;
  readonly aim: number;
  readonly gaps: number[];
  readonly standstills: Standstill[];
}

/** How long the tasks of a snapshot stood still. */
export async function standstill(stacks: Stacks, snapshot: string): Promise<Standstill> {
  const { tasks } = await stacks.coordinate<{ tasks: { times: Times }[] }>(['inspect', snapshot]);
  return {
    criuMs: Math.max(...tasks.map(({ times }) => times.frozenUs / 1000)),
    wallMs: Math.max(...tasks.map(({ times }) => times.thawedAtMs - times.frozenAtMs)),
  };
}

/** The gap of `pair` while a snapshot is taken, with all algorithms in turns. */
export const gap: BenchItem = {
  name: 'gap',
  title: 'gap that an application sees during a snapshot',
  run: async ({ stacks, say }) => {
    await stacks.deploy('pair', { algorithm: 'lai-yang' });
    await stacks.deploy('pair', { stack: 'pair-sidecars', algorithm: 'chandy-lamport' });
    const idle: number[] = [];
    for (let round = 0; round < 3; round++) {
      idle.push(await worstGapDuring(stacks, () => stacks.coordinate(['list'])));
    }
    const series: Series[] = ALGORITHMS.map((each) => ({ ...each, gaps: [], standstills: [] }));
    for (let round = 0; round < ROUNDS; round++) {
      for (const { algorithm, stack, gaps, standstills } of series) {
        say(`${algorithm}: snapshot ${round + 1} of ${ROUNDS}`);
        let id = '';
        const take = async (): Promise<void> => {
          ({ id } = await stacks.coordinate<{ id: string }>(['snapshot', stack, '--algorithm', algorithm]));
        };
        gaps.push(await worstGapDuring(stacks, take, stack));
        standstills.push(await standstill(stacks, id));
      }
    }
    for (const stack of ['pair', 'pair-sidecars']) await stacks.remove(stack);
    return [
      {
        what: 'gap of pair without a snapshot (noise), worst of 3',
        value: Math.max(...idle),
        unit: 'ms',
        samples: idle,
      },
      ...series.flatMap(gapFigures),
    ];
  },
};

function gapFigures({ algorithm, aim, gaps, standstills }: Series): Figure[] {
  const [criu, wall] = [standstills.map(({ criuMs }) => criuMs), standstills.map(({ wallMs }) => wallMs)];
  return [
    {
      what: `gap of pair during a snapshot, ${algorithm}, median of ${ROUNDS}`,
      value: median(gaps),
      unit: 'ms',
      aim,
      samples: gaps,
    },
    { what: `the same, worst of ${ROUNDS}`, value: Math.max(...gaps), unit: 'ms' },
    { what: `frozen by CRIU's own figure, ${algorithm}, median`, value: median(criu), unit: 'ms', samples: criu },
    { what: `from cut to thaw, ${algorithm}, median`, value: median(wall), unit: 'ms', samples: wall },
  ];
}

/** The gap of `pair` while its client, or its server, moves. */
export const migration: BenchItem = {
  name: 'migrate',
  title: 'downtime of a live migration, as the other end sees it',
  run: async ({ stacks, say }) => {
    await stacks.deploy('pair', { algorithm: 'lai-yang' });
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
        algorithm: 'lai-yang',
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
