import { describe, expect, it } from 'vitest';
import { DISTRIBUTIONS, type Distribution } from '../../src/simulator/world/config.ts';
import { nextFrom, prng } from '../../src/simulator/world/prng.ts';

const MEAN = 1000;
const DRAWS = 20_000;

function sample(distribution: Distribution): number[] {
  const random = prng(1);
  return Array.from({ length: DRAWS }, () => nextFrom(distribution, random, MEAN)).sort((a, b) => a - b);
}

describe('nextFrom', () => {
  it.each(DISTRIBUTIONS)('%s: whole numbers, none negative, with the mean that is asked for', (distribution) => {
    const values = sample(distribution);
    expect(values.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    // The mean of a Pareto sample converges slowly.
    const tolerance = distribution === 'pareto' ? 0.1 : 0.03;
    const mean = values.reduce((sum, value) => sum + value, 0) / DRAWS;
    expect(Math.abs(mean / MEAN - 1)).toBeLessThan(tolerance);
  });

  it.each([
    ['constant', MEAN, MEAN],
    ['uniform', MEAN, 1980],
    ['exponential', MEAN * Math.log(2), MEAN * Math.log(100)],
    ['pareto', MEAN * (Math.SQRT2 - 1), MEAN * 9],
  ] as const)('%s: has the median and the 99th percentile of its kind', (distribution, median, p99) => {
    const values = sample(distribution);
    expect((values[DRAWS / 2] ?? 0) / median).toBeCloseTo(1, 1);
    expect((values[DRAWS * 0.99] ?? 0) / p99).toBeCloseTo(1, 1);
  });
});
