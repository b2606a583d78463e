import { describe, expect, it } from 'vitest';
import { chandyLamport } from '../../src/algorithms/coordinated/chandy-lamport.ts';
import type { Algorithm } from '../../src/algorithms/contract.ts';
import { kooToueg } from '../../src/algorithms/coordinated/koo-toueg.ts';
import { laiYang } from '../../src/algorithms/coordinated/lai-yang.ts';
import { mattern } from '../../src/algorithms/coordinated/mattern.ts';
import { sync } from '../../src/algorithms/coordinated/sync.ts';
import type { SimulationConfig } from '../../src/simulator/world/config.ts';
import { CoordinatedWorld } from '../../src/simulator/coordinated/world.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import { clockless } from './broken.ts';

const SEEDS = Math.ceil(Number(process.env.SIMULATOR_SEEDS ?? 2000) / 10);

function run(algorithm: Algorithm, seed: number, changes: Partial<SimulationConfig> = {}): CoordinatedWorld {
  const config = fuzzConfig(seed, algorithm.name.startsWith('chandy-lamport'), 'agents');
  return new CoordinatedWorld({ ...config, ...changes }, algorithm).run();
}

describe.each([sync, laiYang, chandyLamport, mattern, kooToueg])('$name whose agents die', (algorithm) => {
  it(
    `leaves nobody frozen or blocked past the deadline (${SEEDS} seeds)`,
    () => {
      let fired = 0;
      let committed = 0;
      let deaths = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { violations, metrics } = run(algorithm, seed);
        const replay = `replay: coordinator simulate -a ${algorithm.name} --fuzz 1 --fuzz-kind agents --seed ${seed}`;
        expect(violations, replay).toEqual([]);
        fired += metrics.switchesFired;
        committed += metrics.roundsCommitted;
        deaths += metrics.agentCrashes;
      }
      // Or the test would prove nothing.
      expect(fired).toBeGreaterThan(SEEDS / 10);
      expect(committed).toBeGreaterThan(SEEDS / 10);
      expect(deaths).toBeGreaterThan(SEEDS);
    },
    30_000 + SEEDS * 60,
  );
});

/** The first seed with which a checker complains, and its words. */
function firstViolation(algorithm: Algorithm, changes: Partial<SimulationConfig> = {}): string {
  for (let seed = 1; seed <= 200; seed++) {
    const [violation] = run(algorithm, seed, changes).violations;
    if (violation !== undefined) return violation;
  }
  return 'none';
}

describe('the checker finds', () => {
  it("agents without a dead man's switch", () => {
    expect(firstViolation(laiYang, { deadMansSwitch: false })).toMatch(/was frozen for [\d.]+ ms, and at most/);
  });

  it('participants that leave the deadline to the switch', () => {
    expect(firstViolation(clockless)).toMatch(/dead man's switch although its agent lived/);
  });
});
