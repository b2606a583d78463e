import { describe, expect, it } from 'vitest';
import { chandyLamport } from '../../src/algorithms/coordinated/chandy-lamport.ts';
import type { Algorithm, ParticipantInput } from '../../src/algorithms/contract.ts';
import { mattern } from '../../src/algorithms/coordinated/mattern.ts';
import type { SimulationConfig } from '../../src/simulator/world/config.ts';
import { CoordinatedWorld } from '../../src/simulator/coordinated/world.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import { newEpochIgnored } from './broken.ts';

const SEEDS = Math.ceil(Number(process.env.SIMULATOR_SEEDS ?? 2000) / 5);

/** Connections end all the time, some while a round runs. */
function run(algorithm: Algorithm, seed: number, changes: Partial<SimulationConfig> = {}): CoordinatedWorld {
  return new CoordinatedWorld({ ...fuzzConfig(seed, true, 'connections'), ...changes }, algorithm).run();
}

const replay = ({ name }: Algorithm, seed: number): string =>
  `replay: coordinator simulate -a ${name} --fuzz 1 --fuzz-kind connections --seed ${seed}`;

/** The algorithm, and how many of its cuts were made by an input of this kind. */
function counted(algorithm: Algorithm, kind: ParticipantInput['kind']): { algorithm: Algorithm; cuts: () => number } {
  let cuts = 0;
  const participant: Algorithm['participant'] = (options) => {
    const inner = algorithm.participant(options);
    return {
      step(input) {
        const effects = inner.step(input);
        if (input.kind === kind && effects.some((effect) => effect.kind === 'freeze')) cuts++;
        return effects;
      },
      get busy() {
        return inner.busy;
      },
    };
  };
  return { algorithm: { ...algorithm, participant }, cuts: () => cuts };
}

describe('connections that end and are made anew during rounds', () => {
  it.each([chandyLamport, mattern])(
    `$name makes consistent cuts (${SEEDS} seeds)`,
    (algorithm) => {
      const { algorithm: observed, cuts } = counted(algorithm, 'opened');
      let reconnects = 0;
      let committed = 0;
      let recorded = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { violations, metrics } = run(observed, seed);
        expect(violations, replay(algorithm, seed)).toEqual([]);
        reconnects += metrics.reconnects;
        committed += metrics.roundsCommitted;
        recorded += metrics.recordedMessages;
      }
      // Or the test would prove nothing.
      expect(reconnects).toBeGreaterThan(20 * SEEDS);
      expect(committed).toBeGreaterThan(SEEDS / 2);
      expect(recorded).toBeGreaterThan(SEEDS);
      // The epoch of a new channel has acted as a marker. (With mattern the first message does it.)
      if (algorithm === chandyLamport) expect(cuts()).toBeGreaterThan(0);
    },
    30_000 + SEEDS * 60,
  );

  it('are missed by an algorithm that ignores the epoch of a new channel, and the checker finds it', () => {
    // Two processes, one of which has long run on when the other hears of the round: nobody but the new channel could tell it.
    const { costs } = fuzzConfig(1, true);
    const apart = {
      processes: 2,
      latencyMs: 0.2,
      deadlineMs: 4000,
      costs: { ...costs, dumpBaseMs: 5, controlJitterMs: 100 },
    };
    const first = (algorithm: Algorithm): string => {
      for (let seed = 1; seed <= 300; seed++) {
        const [violation] = run(algorithm, seed, apart).violations;
        if (violation !== undefined) return violation;
      }
      return 'none';
    };
    expect(first(newEpochIgnored)).toMatch(/orphan message|delivered and \d+ recorded/);
    expect(first(chandyLamport)).toBe('none');
  }, 30_000);

  it('leave no recording behind when an agent dies in the middle of a step', () => {
    // Found by a long run: p0's agent died between `advance` and the `stop-recording` of the same step.
    expect(run(mattern, 758).violations, replay(mattern, 758)).toEqual([]);
  });
});
