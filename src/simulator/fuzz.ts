import {
  BEHAVIOURS,
  DEFAULT_CONFIG,
  DISTRIBUTIONS,
  NO_FAULTS,
  TOPOLOGIES,
  type SimulationConfig,
} from './world/config.ts';
import { nextBelow, nextFraction, prng } from './world/prng.ts';

/** What a fuzz run is full of: a bit of everything, agents that die in rounds, connections that end and are made anew. */
export const FUZZ_KINDS = ['mixed', 'agents', 'connections'] as const;
export type FuzzKind = (typeof FUZZ_KINDS)[number];

/**
 * The configuration of one fuzz run: small, hostile, and decided by kind and seed alone, so that a failing seed is all that is needed to see
 * the failure again (`coordinator simulate --fuzz 1 --fuzz-kind … --seed …`).
 */
export function fuzzConfig(seed: number, fifoNeeded: boolean, kind: FuzzKind = 'mixed'): SimulationConfig {
  // Connections have ends only where messages keep their order.
  const config = mixed(seed, fifoNeeded || kind === 'connections');
  switch (kind) {
    case 'mixed':
      return config;
    case 'agents': {
      // One round after the other, and agents that mostly stay away for longer than the dead man's switch waits.
      const faults = { ...config.faults, agentCrashesPerSecond: 2, agentDownMs: seed % 4 === 0 ? 100 : 8000 };
      return { ...config, intervalMs: 150, deadlineMs: 1000, stateBytes: 50e6, faults };
    }
    case 'connections':
      return { ...config, faults: { ...config.faults, reconnectsPerSecond: 150 } };
  }
}

function mixed(seed: number, fifoNeeded: boolean): SimulationConfig {
  const random = prng(seed);
  const pick = <T>(list: readonly [T, ...T[]]): T => list[nextBelow(random, list.length)] ?? list[0];
  const often = (part: number, value: number): number => (nextFraction(random) < part ? value : 0);
  return {
    ...DEFAULT_CONFIG,
    seed,
    processes: 2 + nextBelow(random, 5),
    topology: pick(TOPOLOGIES),
    degree: 2,
    behaviour: pick(BEHAVIOURS),
    thinkMs: pick([10, 40, 100]),
    stateBytes: pick([1e6, 20e6, 100e6]),
    fifo: fifoNeeded || nextFraction(random) < 0.5,
    latencyMs: pick([0.2, 5, 30]),
    jitterMs: pick([0, 0.2, 20]),
    durationMs: 2000,
    messageLimit: 2000,
    intervalMs: pick([150, 400, 900]),
    deadlineMs: pick([250, 1000, 4000]),
    costs: {
      ...DEFAULT_CONFIG.costs,
      detectMs: pick([5, 100, 500]),
      logWriteMs: pick([0.1, 1, 10]),
      controlJitterMs: pick([0, 2, 100]),
    },
    faults: {
      ...NO_FAULTS,
      mtbfSeconds: often(0.4, 3),
      loss: often(0.3, 0.1),
      partitionsPerSecond: often(0.2, 1),
      partitionMs: pick([50, 300, 1500]),
      coordinatorCrashesPerSecond: often(0.2, 1),
      coordinatorSlowness: pick([1, 1, 100]),
      agentCrashesPerSecond: often(0.3, 3),
      agentDownMs: pick([20, 300, 8000]),
      reconnectsPerSecond: often(0.3, 30),
    },
    jitterDistribution: pick(DISTRIBUTIONS),
    bytesPerSecond: pick([1e9, 1e6, 20e3]),
    bandwidthDistribution: pick(DISTRIBUTIONS),
  };
}
