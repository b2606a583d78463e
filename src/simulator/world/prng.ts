import type { Distribution } from './config.ts';

/**
 * Seeded pseudo-random numbers: `mulberry32` (Tommy Ettinger, public domain), 32 bits of state, which makes it cheap to put into every
 * process's own state. Integer arithmetic only, so the same seed gives the same numbers on every machine.
 */
export interface Prng {
  state: number;
}

export function prng(seed: number): Prng {
  return { state: mix(seed >>> 0) };
}

/** The next number, an unsigned 32-bit integer. */
function nextUint32(random: Prng): number {
  random.state = (random.state + 0x6d2b79f5) | 0;
  let t = Math.imul(random.state ^ (random.state >>> 15), 1 | random.state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return (t ^ (t >>> 14)) >>> 0;
}

/** From 0 (inclusive) to 1 (exclusive). */
export function nextFraction(random: Prng): number {
  return nextUint32(random) / 4_294_967_296;
}

/** An integer from 0 (inclusive) to `bound` (exclusive). */
export function nextBelow(random: Prng, bound: number): number {
  return Math.floor(nextFraction(random) * bound);
}

/**
 * Exponentially distributed with this mean, rounded to an integer. `Math.log` is V8's own port of fdlibm, the same on every machine;
 * rounding to whole microseconds takes away what a last digit could do.
 */
export function nextExponential(random: Prng, mean: number): number {
  return Math.round(-mean * Math.log(1 - nextFraction(random)));
}

/** A whole number with this mean. Square roots are exact everywhere (IEEE 754); see {@link nextExponential} for the logarithm. */
export function nextFrom(distribution: Distribution, random: Prng, mean: number): number {
  switch (distribution) {
    case 'constant':
      return Math.round(mean);
    case 'uniform':
      return Math.round(2 * mean * nextFraction(random));
    case 'exponential':
      return nextExponential(random, mean);
    case 'pareto':
      return Math.round(mean * (1 / Math.sqrt(1 - nextFraction(random)) - 1));
  }
}

/** Scrambles an integer (the finaliser of MurmurHash3): neighbouring seeds give unrelated streams. */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One 32-bit number out of two. */
export function combine(a: number, b: number): number {
  return mix((Math.imul(a, 31) + b) | 0);
}
