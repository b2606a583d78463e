import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OPERATIONS } from './operations.ts';
import type { Operation, OperationKind } from './operations.ts';
import { StreamPair } from './stream-pair.ts';
import type { Counts } from './stream-pair.ts';
import type { Side } from './surroundings.ts';

/** Bytes: a frame's head in pieces, a few frames, more than a window. */
const BYTES = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 9_000 }) },
  { weight: 1, arbitrary: fc.constant(400_000) },
);
const SIDES = fc.constantFrom<Side>(0, 1);

const operations = (kinds: readonly OperationKind[]): fc.Arbitrary<Operation[]> =>
  fc.array(fc.record({ kind: fc.constantFrom(...kinds), side: SIDES, bytes: BYTES }), {
    minLength: 20,
    maxLength: 120,
    size: 'max',
  });

/** These happen more often than the rest: without them little else does. */
const COMMON: readonly OperationKind[] = [
  ...(['write', 'write', 'read-app', 'read-tunnel', 'read-tunnel', 'mark', 'take', 'flow', 'flow', 'flow'] as const),
  ...(['accept', 'cut', 'cut', 'release', 'release', 'restore', 'move', 'arrive', 'resume'] as const),
];
/** More streams end. */
const CLOSING: readonly OperationKind[] = ['close', 'close', 'flow', 'flow'];
/** On a machine that has much else to do. */
const TIMEOUT_MS = 60_000;
const SEED = 20_240_601;
const RUNS = Number(process.env.STREAM_RUNS ?? 800);

/** Runs the operations on pairs of ends; every fault is thrown. */
function check(kinds: readonly OperationKind[], reusable = false): Counts {
  const total: Counts = { cuts: 0, recordedBytes: 0, moves: 0, restores: 0, freed: 0 };
  const property = fc.property(operations([...COMMON, ...kinds]), (list) => {
    const pair = new StreamPair(reusable);
    for (const operation of list) pair.do(operation);
    pair.finish();
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += pair.counts[key];
  });
  fc.assert(property, { seed: SEED, numRuns: RUNS });
  return total;
}

describe(
  'two ends of a stream deliver every byte once and in order, and sent == delivered + recorded at every cut',
  { timeout: TIMEOUT_MS },
  () => {
    test('with any interleaving of data, markers, FIN, parking, resuming and restoring', () => {
      const { cuts, recordedBytes, moves, restores } = check(OPERATIONS);
      expect(cuts).toBeGreaterThan(RUNS / 2);
      expect(recordedBytes).toBeGreaterThan(1000 * RUNS);
      expect(moves).toBeGreaterThan(RUNS / 25);
      expect(restores).toBeGreaterThan(RUNS / 100);
    });

    test('with resets, too', () => {
      expect(check([...OPERATIONS, 'reset']).cuts).toBeGreaterThan(RUNS / 2);
    });

    test('over a tunnel that is used again, with nothing of them left in it', () => {
      const { cuts, moves, freed } = check([...OPERATIONS, ...CLOSING], true);
      expect(cuts).toBeGreaterThan(RUNS / 2);
      expect(moves).toBeGreaterThan(RUNS / 25);
      expect(freed).toBeGreaterThan(RUNS / 10);
    });

    test('over such a tunnel with resets and losses, too', () => {
      expect(check([...OPERATIONS, ...CLOSING, 'reset', 'lose'], true).freed).toBeGreaterThan(RUNS / 20);
    });

    test('with tunnels that are lost, too', () => {
      expect(check([...OPERATIONS, 'reset', 'lose']).cuts).toBeGreaterThan(RUNS / 4);
    });
  },
);
