import { describe, expect, it } from 'vitest';
import { recoveryLine, uselessCheckpoints, type Dependency } from '../../../src/algorithms/message/recovery-line.ts';
import { nextBelow, prng } from '../../../src/simulator/world/prng.ts';

/** The definition, word for word: the greatest state below `start` in which nothing is received that was not sent. */
function byEnumeration(start: readonly number[], dependencies: readonly Dependency[]): number[] {
  let best: number[] | undefined;
  const visit = (line: number[]): void => {
    const process = line.length;
    if (process < start.length) {
      for (let k = 0; k <= (start[process] ?? 0); k++) visit([...line, k]);
      return;
    }
    const consistent = dependencies.every(
      ({ from, fromInterval, to, toInterval }) => fromInterval < (line[from] ?? 0) || toInterval >= (line[to] ?? 0),
    );
    if (consistent) best = best === undefined ? line : best.map((value, i) => Math.max(value, line[i] ?? 0));
  };
  visit([]);
  return best ?? [];
}

describe('recoveryLine', () => {
  it('is the greatest consistent state, on random graphs', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = prng(seed);
      const start = [0, 1, 2].map(() => 1 + nextBelow(random, 4));
      const dependencies: Dependency[] = [];
      for (let i = nextBelow(random, 12); i > 0; i--) {
        const from = nextBelow(random, 3);
        const to = (from + 1 + nextBelow(random, 2)) % 3;
        dependencies.push({ from, fromInterval: nextBelow(random, 5), to, toInterval: nextBelow(random, 5) });
      }
      expect(recoveryLine(start, dependencies), `seed ${seed}`).toEqual(byEnumeration(start, dependencies));
    }
  });

  it('falls back to the beginning in the textbook domino (Elnozahy et al. 2002, figure 5)', () => {
    const zigzag: Dependency[] = [];
    for (let k = 0; k < 3; k++) {
      zigzag.push({ from: 0, fromInterval: k, to: 1, toInterval: k });
      zigzag.push({ from: 1, fromInterval: k, to: 0, toInterval: k });
    }
    // Each checkpoint of 1 lies between the two messages of 0's interval.
    const shifted = zigzag.map((one) => (one.from === 1 ? { ...one, fromInterval: one.fromInterval + 1 } : one));
    expect(recoveryLine([3, 4], shifted.concat({ from: 0, fromInterval: 3, to: 1, toInterval: 3 }))).toEqual([0, 0]);
    expect(uselessCheckpoints([3, 3], shifted)).toBeGreaterThan(0);
  });
});
