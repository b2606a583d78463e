/**
 * What the sidecars cost a task that takes no snapshots: through two of them, through two haproxy in TCP mode, and direct, in turns. No test
 * bed: two pairs of namespaces, with the sidecars started as the agent starts them.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Reporter } from '../testbed/progress.ts';
import { ensureRoot } from '../testbed/images/root.ts';
import { median } from './bench.ts';
import type { BenchItem, Figure } from './bench.ts';
import { LOADS } from './proxy-load.ts';
import type { Result, Way } from './proxy-load.ts';
import { startWays } from './proxy-ways.ts';
import type { Ways } from './proxy-ways.ts';
import { cpuSeconds, memoryOf, memoryPeakMB, resetMemoryPeak } from './veth-bed.ts';

const ROUNDS = 5;
const SECONDS = 3;
/** Before the first round: compiles what runs often, fills caches. */
const WARM_UP_SECONDS = 1;
/** A sidecar gives back what only its start needed within this time. Milliseconds. */
const IDLE_AFTER_MS = 3_000;

type WayName = keyof Ways;
type LoadName = keyof typeof LOADS;
const WAYS = ['direct', 'haproxy', 'sidecars'] as const satisfies readonly WayName[];

/** What one load of one way gave, and what its proxies used for it. */
interface Run extends Result {
  readonly cpuSeconds: number;
}

/** The memory of a way's proxies, the larger of the two. */
interface Memory {
  readonly rssMB: number;
  readonly pssMB: number;
}

async function measure(way: Way, load: LoadName, seconds: number): Promise<Run> {
  const used = async (): Promise<number> => sum(await Promise.all(way.proxies.map(cpuSeconds)));
  const [cpuBefore, carriedBefore] = [await used(), await way.carried?.()];
  const result = await LOADS[load].run(way, seconds);
  if (carriedBefore !== undefined && (await way.carried?.()) === carriedBefore)
    throw new Error(`${load}: the connections went past the sidecars`);
  return { ...result, cpuSeconds: (await used()) - cpuBefore };
}

async function memory({ proxies }: Way): Promise<Memory> {
  const all = await Promise.all(proxies.map(memoryOf));
  return { rssMB: Math.max(...all.map(({ rssMB }) => rssMB)), pssMB: Math.max(...all.map(({ pssMB }) => pssMB)) };
}

/** All runs, by load and way, one a round. */
class Runs {
  readonly #runs = new Map<string, Run[]>();

  add(load: LoadName, way: WayName, run: Run): void {
    const runs = this.#runs.get(`${load} ${way}`) ?? [];
    this.#runs.set(`${load} ${way}`, [...runs, run]);
  }

  /** One number of each run, in the order of the rounds. */
  of(load: LoadName, way: WayName, value: string | ((run: Run) => number)): number[] {
    return (this.#runs.get(`${load} ${way}`) ?? []).map((run) =>
      typeof value === 'string' ? (run.values[value] ?? NaN) : value(run),
    );
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Round by round, so that what else the machine does cancels out. */
function paired(a: readonly number[], b: readonly number[], combine: (a: number, b: number) => number): number[] {
  return a.map((value, round) => combine(value, b[round] ?? NaN));
}

function figure(what: string, samples: readonly number[], unit: Figure['unit'], aim?: number, atLeast = false): Figure {
  return { what, value: median(samples), unit, samples, ...(aim !== undefined && { aim, atLeast }) };
}

/** The three ways beside each other, and the sidecars against haproxy. */
function compared(
  runs: Runs,
  what: string,
  options: { load: LoadName; value: string; unit: Figure['unit']; aim?: number },
): Figure[] {
  const { load, value, unit, aim } = options;
  const of = (way: WayName): number[] => runs.of(load, way, value);
  const ratio = paired(of('sidecars'), of('haproxy'), (ours, theirs) => ours / theirs);
  return [
    ...WAYS.map((way) => figure(`${what}, ${way}`, of(way), unit)),
    figure(`${what}, sidecars against haproxy`, ratio, '×', aim, true),
  ];
}

/** Round trips, and what the proxies add to them. */
function trips(runs: Runs): Figure[] {
  return (['p50', 'p99'] as const).flatMap((value) => {
    const of = (way: WayName): number[] => runs.of('trip', way, value);
    const added = (way: WayName): number[] => paired(of(way), of('direct'), (with_, without) => with_ - without);
    return [
      ...WAYS.map((way) => figure(`round trip of 64 bytes, ${value}, ${way}`, of(way), 'µs')),
      figure(`the same, haproxy above direct`, added('haproxy'), 'µs'),
      figure(`the same, sidecars above direct`, added('sidecars'), 'µs', 150),
    ];
  });
}

/** What the two proxies of a way use, which other work on the machine changes least. */
function processor(runs: Runs): Figure[] {
  const kinds = [
    ['bulk1', 'GB, 1 connection', 's/GB', 1],
    ['bulk8', 'GB, 8 connections', 's/GB', 1],
    ['requests', '1000 requests', 'ms', 1000],
    ['connections', '1000 new connections', 'ms', 1000],
  ] as const;
  return kinds.flatMap(([load, what, unit, factor]) =>
    (['haproxy', 'sidecars'] as const).map((way) => {
      const samples = runs.of(load, way, ({ cpuSeconds, amount }) => (cpuSeconds / amount) * factor);
      return figure(`CPU time of the two proxies per ${what}, ${way}`, samples, unit);
    }),
  );
}

export const proxy: BenchItem = {
  name: 'proxy',
  title: 'sidecars against haproxy and a direct connection',
  withoutBed: true,
  run: async ({ say, signal }) => {
    const root = await ensureRoot(new Reporter(({ message }) => say(message)));
    const { ways, close } = await startWays(root, signal);
    try {
      await pause(IDLE_AFTER_MS, undefined, { signal });
      const idle = { haproxy: await memory(ways.haproxy), sidecars: await memory(ways.sidecars) };
      for (const pid of ways.sidecars.proxies) await resetMemoryPeak(pid);
      const loaded: Memory[] = [];
      const runs = new Runs();
      for (let round = 0; round <= ROUNDS; round++) {
        say(round === 0 ? 'warming up' : `round ${round} of ${ROUNDS}`);
        for (const load of Object.keys(LOADS) as LoadName[]) {
          for (const way of WAYS) {
            const run = await measure(ways[way], load, round === 0 ? WARM_UP_SECONDS : SECONDS);
            if (round > 0) runs.add(load, way, run);
            if (way === 'sidecars') loaded.push(await memory(ways.sidecars));
          }
        }
      }
      const peak = Math.max(...(await Promise.all(ways.sidecars.proxies.map(memoryPeakMB))));
      return [
        ...compared(runs, 'bulk, 1 connection', { load: 'bulk1', value: 'gbits', unit: 'Gbit/s', aim: 1 }),
        ...compared(runs, 'bulk, 8 connections', { load: 'bulk8', value: 'gbits', unit: 'Gbit/s', aim: 1 }),
        ...trips(runs),
        ...compared(runs, 'requests of 1 KiB, 50 connections', { load: 'requests', value: 'rps', unit: '1/s' }),
        ...compared(runs, 'new connections', { load: 'connections', value: 'rps', unit: '1/s' }),
        ...processor(runs),
        { what: 'resident memory of an idle haproxy (RSS)', value: idle.haproxy.rssMB, unit: 'MB' },
        { what: 'resident memory of an idle sidecar (RSS)', value: idle.sidecars.rssMB, unit: 'MB', aim: 60 },
        { what: 'the same, its share of shared pages only (PSS)', value: idle.sidecars.pssMB, unit: 'MB' },
        { what: 'resident memory of a sidecar under load (RSS), peak', value: peak, unit: 'MB', aim: 60 },
        {
          what: 'the same, its share of shared pages only (PSS), after a load, largest',
          value: Math.max(...loaded.map(({ pssMB }) => pssMB)),
          unit: 'MB',
          samples: loaded.map(({ pssMB }) => pssMB),
        },
      ];
    } finally {
      await close();
    }
  },
};
