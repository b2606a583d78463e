import { readQuantity, type Reading, type Units } from './quantity.ts';

const FACTORS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

const SIZE: Units = { factors: FACTORS, likely: ['B'], examples: '200B, 64kB or 20MB' };

const RATE: Units = {
  factors: Object.fromEntries(Object.entries(FACTORS).map(([unit, factor]) => [`${unit}/s`, factor])),
  likely: ['B/s'],
  examples: '100MB/s or 1GB/s',
};

/** Bytes of `200B`, `64kB`, `20MB`, `1GiB`, or what to write instead. */
export function readSize(text: string): Reading {
  return readQuantity(text, SIZE);
}

/** Bytes per second of `100MB/s`, or what to write instead. */
export function readBytesPerSecond(text: string): Reading {
  if ('value' in readSize(text)) return { advice: `did you mean ${text.trim()}/s?` };
  return readQuantity(text, RATE);
}
