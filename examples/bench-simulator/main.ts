/**
 * Speed of the simulator against its aims (docs/overhead.md, "Speed"). Run: `node dist/examples/bench-simulator/main.js [--json]`.
 * CPU time rather than elapsed time, so that a busy machine does not change the figures much.
 */
import { DEFAULT_CONFIG, type SimulationConfig } from '../../src/simulator/config.ts';
import { newWorld, simulatedAlgorithms } from '../../src/simulator/families.ts';

interface Result {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
  readonly events: number;
  readonly microsecondsPerEvent: number;
  readonly rounds: number;
  readonly violations: number;
}

function measure(name: string, changes: Partial<SimulationConfig>): Result {
  const family = simulatedAlgorithms['chandy-lamport'];
  if (family === undefined) throw new Error('no chandy-lamport');
  const before = process.cpuUsage();
  const world = newWorld({ ...DEFAULT_CONFIG, ...changes }, family).run();
  const { user, system } = process.cpuUsage(before);
  const { events, roundsCommitted } = world.metrics;
  return {
    name,
    cpuSeconds: (user + system) / 1e6,
    peakMegabytes: process.resourceUsage().maxRSS / 1024,
    events,
    microsecondsPerEvent: (user + system) / events,
    rounds: roundsCommitted,
    violations: world.violations.length,
  };
}

const messages = { behaviour: 'all-to-all', degree: 8, messageLimit: 1_000_000, durationMs: 1e6 } as const;
const results = [
  // One round: the next would begin after the last message.
  measure('1 000 processes, degree 8, 1 million messages, 1 round', { ...messages, processes: 1000, intervalMs: 6000 }),
  measure('10 000 processes, ring, 10 rounds', {
    processes: 10_000,
    topology: 'ring',
    thinkMs: 1000,
    durationMs: 21_000,
  }),
  ...[100, 1000, 10_000].map((processes) =>
    measure(`cost of an event, ${processes} processes`, {
      ...messages,
      processes,
      messageLimit: 300_000,
      thinkMs: processes / 100,
      intervalMs: 0,
    }),
  ),
];
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(results)}\n`);
else console.table(results);
