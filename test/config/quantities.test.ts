import { describe, expect, test } from 'vitest';
import { parseDurationMs, readDuration } from '../../src/config/duration.ts';
import { readBytesPerSecond, readSize } from '../../src/config/size.ts';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['2m', 120_000],
  ['7d', 604_800_000],
  ['0s', undefined],
  ['-1s', undefined],
  ['30', undefined],
  ['1m30s', undefined],
])('duration %s is %s', (text, milliseconds) => {
  expect(parseDurationMs(text)).toBe(milliseconds);
});

describe('a duration', () => {
  test.each([
    ['200us', 0.2],
    ['0.2ms', 0.2],
    ['0s', 0],
    [' 1.5 m ', 90_000],
  ])('%s is %d ms, exactly', (text, value) => {
    expect(readDuration(text)).toEqual({ value });
  });

  test('without a unit is refused with the two that come near', () => {
    expect(readDuration('20')).toEqual({ advice: 'did you mean 20s or 20ms?' });
    expect(readDuration('0.5')).toEqual({ advice: 'did you mean 0.5s or 0.5ms?' });
    expect(readDuration('1e3')).toEqual({ advice: 'did you mean 1000s or 1000ms?' });
  });

  test.each(['', 'soon', '-5', '1m30s', '5 weeks', 'Infinity'])('%j: how it is written', (text) => {
    expect(readDuration(text)).toEqual({ advice: 'write it like 500ms, 30s or 2m' });
  });
});

describe('a size', () => {
  test.each([
    ['200B', 200],
    ['20MB', 20e6],
    ['1.5kB', 1500],
    ['4KiB', 4096],
    ['2 GiB', 2 * 2 ** 30],
  ])('%s is %d bytes', (text, value) => {
    expect(readSize(text)).toEqual({ value });
  });

  test('without a unit is refused', () => {
    expect(readSize('200')).toEqual({ advice: 'did you mean 200B?' });
    expect(readSize('20e6')).toEqual({ advice: 'did you mean 20000000B?' });
    expect(readSize('20 megabytes')).toEqual({ advice: 'write it like 200B, 64kB or 20MB' });
  });

  test('per second', () => {
    expect(readBytesPerSecond('1GB/s')).toEqual({ value: 1e9 });
    expect(readBytesPerSecond('1GB')).toEqual({ advice: 'did you mean 1GB/s?' });
    expect(readBytesPerSecond('5')).toEqual({ advice: 'did you mean 5B/s?' });
    expect(readBytesPerSecond('fast')).toEqual({ advice: 'write it like 100MB/s or 1GB/s' });
  });
});
