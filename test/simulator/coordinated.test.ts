/* eslint-disable @typescript-eslint/no-non-null-assertion -- every index is of the test's own making */
import { describe, expect, it } from 'vitest';
import { chandyLamport } from '../../src/algorithms/coordinated/chandy-lamport.ts';
import type { Algorithm } from '../../src/algorithms/contract.ts';
import { kooToueg } from '../../src/algorithms/coordinated/koo-toueg.ts';
import { laiYang } from '../../src/algorithms/coordinated/lai-yang.ts';
import { mattern } from '../../src/algorithms/coordinated/mattern.ts';
import { sync } from '../../src/algorithms/coordinated/sync.ts';
import { DEFAULT_CONFIG, type SimulationConfig } from '../../src/simulator/world/config.ts';
import { CoordinatedWorld } from '../../src/simulator/coordinated/world.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import {
  colourAfterThaw,
  dependencyForgotten,
  everybodyFollows,
  markersLate,
  neverEnds,
  recordingStopsEarly,
  saveBeforeBlock,
  staysFrozen,
} from './broken.ts';

const SEEDS = Number(process.env.SIMULATOR_SEEDS ?? 2000);
const TIMEOUT_MS = 60_000 + SEEDS * 60;

const needsFifo = (algorithm: Algorithm): boolean => algorithm.name.startsWith('chandy-lamport');

function run(algorithm: Algorithm, seed: number, changes: Partial<SimulationConfig> = {}): CoordinatedWorld {
  return new CoordinatedWorld({ ...fuzzConfig(seed, needsFifo(algorithm)), ...changes }, algorithm).run();
}

describe.each([sync, laiYang, chandyLamport, mattern, kooToueg])('$name in a hostile world', (algorithm) => {
  it(
    `keeps every promise with ${SEEDS} seeds`,
    () => {
      let committed = 0;
      let aborted = 0;
      let inTransit = 0;
      let recoveries = 0;
      let spared = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const world = run(algorithm, seed);
        expect(world.violations, `replay: coordinator simulate -a ${algorithm.name} --fuzz 1 --seed ${seed}`).toEqual(
          [],
        );
        committed += world.metrics.roundsCommitted;
        aborted += world.metrics.roundsAborted;
        inTransit += world.metrics.recordedMessages;
        recoveries += world.metrics.recoveries;
        spared += world.metrics.roundsCommitted * world.config.processes - world.metrics.checkpoints;
      }
      // Or the test would prove nothing.
      // Requests that go from cut to cut run into short deadlines more often.
      expect(committed).toBeGreaterThan(algorithm === kooToueg ? SEEDS / 2 : SEEDS);
      expect(aborted).toBeGreaterThan(SEEDS / 20);
      expect(inTransit).toBeGreaterThan(SEEDS);
      expect(recoveries).toBeGreaterThan(SEEDS / 20);
      if (algorithm === kooToueg) expect(spared).toBeGreaterThan(SEEDS / 2);
      else expect(spared).toBe(0);
    },
    TIMEOUT_MS,
  );

  it('gives the same trace for the same seed, and another for another', () => {
    const trace = (seed: number): string => run(algorithm, seed, { trace: true }).trace.lines().join('\n');
    expect(trace(5)).toBe(trace(5));
    expect(run(algorithm, 5).trace.digest).toBe(run(algorithm, 5).trace.digest);
    expect(run(algorithm, 5).trace.digest).not.toBe(run(algorithm, 6).trace.digest);
  });
});

/** The first seed with which a checker complains, and its words. */
function firstViolation(algorithm: Algorithm, seeds = 300): string {
  for (let seed = 1; seed <= seeds; seed++) {
    const [violation] = run(algorithm, seed).violations;
    if (violation !== undefined) return violation;
  }
  return 'none';
}

describe('the checkers find', () => {
  it('markers that leave too late', () => {
    expect(firstViolation(markersLate)).toMatch(/orphan|recorded|other messages/);
  });
  it('a recording that stops early', () => {
    expect(firstViolation(recordingStopsEarly)).toMatch(/sent, \d+ delivered and \d+ recorded/);
  });
  it('a colour that changes after the thaw', () => {
    expect(firstViolation(colourAfterThaw)).toMatch(/snd_una|orphan/);
  });
  it('a save before the block', () => {
    expect(firstViolation(saveBeforeBlock)).toMatch(/snd_una|orphan|recorded/);
  });
  it('a dependency that is forgotten', () => {
    expect(firstViolation(dependencyForgotten)).toMatch(/orphan message/);
  });
  it('a participant that was not needed', () => {
    expect(firstViolation(everybodyFollows)).toMatch(/took part needlessly/);
  });
  it('a process that stays frozen', () => {
    expect(firstViolation(staysFrozen)).toMatch(/had to be let go by its dead man's switch although its agent lived/);
  });
  it('a round that never ends', () => {
    expect(firstViolation(neverEnds)).toMatch(/round \d+ neither ended nor was aborted \(cutting\)/);
  });
  it('money that is lost', () => {
    const world = new CoordinatedWorld({ ...DEFAULT_CONFIG, durationMs: 100 }, laiYang);
    world.at(50, () => {
      world.processes[0]!.state.balance -= 1;
    });
    expect(world.run().violations.join()).toMatch(/money instead of/);
  });
});
