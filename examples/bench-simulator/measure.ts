import path from 'node:path';
import { execa } from 'execa';
import { DEFAULT_CONFIG, type SimulationConfig } from '../../src/simulator/world/config.ts';
import { newWorld, simulatedAlgorithms } from '../../src/simulator/families.ts';

/** What one run took. CPU time rather than elapsed time, so that a busy machine does not change the figures much. */
export interface Measurement {
  /** Making processes and channels. */
  readonly setUpSeconds: number;
  readonly runSeconds: number;
  readonly peakMegabytes: number;
  readonly events: number;
  /** Without setting up. */
  readonly microsecondsPerEvent: number;
  readonly rounds: number;
  readonly violations: number;
}

const allToAll = { behaviour: 'all-to-all', degree: 8, messageLimit: 1_000_000, durationMs: 1e6 } as const;
/** The same number of messages per second, whatever the number of processes. */
const events = (processes: number): Partial<SimulationConfig> => ({
  ...allToAll,
  processes,
  thinkMs: processes / 100,
  intervalMs: 0,
});

/** The same part of all events belongs to rounds, whatever the number of processes. */
const withRounds = (processes: number): Partial<SimulationConfig> => ({
  ...allToAll,
  processes,
  thinkMs: 100,
  intervalMs: 3000,
});

/** What is measured, by name. All with `chandy-lamport`. */
export const MEASURED = {
  // One round: the next would begin after the last message.
  'million-messages': { ...allToAll, processes: 1000, intervalMs: 6000 },
  'ring-of-10000': { processes: 10_000, topology: 'ring', thinkMs: 1000, durationMs: 21_000 },
  'events-100': events(100),
  'events-1000': events(1000),
  'events-10000': events(10_000),
  'rounds-100': withRounds(100),
  'rounds-1000': withRounds(1000),
  'rounds-10000': withRounds(10_000),
} as const satisfies Readonly<Record<string, Partial<SimulationConfig>>>;
export type MeasuredName = keyof typeof MEASURED;

/** Measures in this process, which should have done nothing else. */
export function measureHere(name: MeasuredName): Measurement {
  const family = simulatedAlgorithms['chandy-lamport'];
  if (family === undefined) throw new Error('no chandy-lamport');
  const cpuSeconds = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const begun = cpuSeconds();
  const world = newWorld({ ...DEFAULT_CONFIG, ...MEASURED[name] }, family);
  const setUp = cpuSeconds();
  world.run();
  const runSeconds = cpuSeconds() - setUp;
  return {
    setUpSeconds: setUp - begun,
    runSeconds,
    peakMegabytes: process.resourceUsage().maxRSS / 1024,
    events: world.metrics.events,
    microsecondsPerEvent: (runSeconds / world.metrics.events) * 1e6,
    rounds: world.metrics.roundsCommitted,
    violations: world.violations.length,
  };
}

/** Measures in a process of its own. @throws Error if it fails, or if a checker of the simulator complains */
export async function measureApart(name: MeasuredName, signal?: AbortSignal): Promise<Measurement> {
  const main = path.join(import.meta.dirname, 'main.js');
  const { stdout } = await execa(
    process.execPath,
    [main, '--one', name],
    signal === undefined ? {} : { cancelSignal: signal },
  );
  const measurement = JSON.parse(stdout) as Measurement;
  if (measurement.violations > 0) throw new Error(`${name}: ${measurement.violations} faults in the simulated run`);
  return measurement;
}
