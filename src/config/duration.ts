import { readQuantity, type Reading, type Units } from './quantity.ts';

const DURATION: Units = {
  factors: { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
  likely: ['s', 'ms'],
  examples: '500ms, 30s or 2m',
};

/** Milliseconds of `200us`, `500ms`, `30s`, `1.5m`, `2h`, `7d`, or what to write instead. Labels, options and files read durations with this. */
export function readDuration(text: string): Reading {
  return readQuantity(text, DURATION);
}

/** Whole milliseconds of a duration that may not be zero; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const reading = readDuration(text);
  const milliseconds = 'value' in reading ? Math.round(reading.value) : 0;
  return milliseconds > 0 ? milliseconds : undefined;
}

/** What to write instead of a duration that {@link parseDurationMs} does not understand. */
export function durationAdvice(text: string): string {
  const reading = readDuration(text);
  return 'advice' in reading ? reading.advice : `write it like ${DURATION.examples}`;
}
