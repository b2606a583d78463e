import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../../agent/sidecar/log-lines.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmcut-log-'));
  file = join(folder, 'sidecar.log');
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

const lines = (path = file) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; moreLikeThis?: number; number?: number });

test('somebody who calls for hours cannot fill the memory: two files of the limit at most, the newest lines in them', () => {
  const log = openLog(file, { maxBytes: 10_000 });
  for (let number = 0; number < 5_000; number++) log('error', 'a call was refused', { number });
  expect(readdirSync(folder).sort()).toEqual(['sidecar.log', 'sidecar.log.old']);
  for (const name of readdirSync(folder)) {
    expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(10_000);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  }
  const kept = [...lines(`${file}.old`), ...lines()].map(({ number }) => number);
  expect(kept.at(-1)).toBe(4_999);
  expect(kept).toEqual(kept.map((_, index) => 5_000 - kept.length + index));
});

test('the limit of a file also counts what an earlier sidecar has left in it', () => {
  const first = openLog(file, { maxBytes: 300 });
  first('error', 'x'.repeat(150));
  const second = openLog(file, { maxBytes: 300 });
  second('error', 'y'.repeat(150));
  expect(lines()).toMatchObject([{ msg: 'y'.repeat(150) }]);
});

test('of a flood the first lines are written, and the number of the others when the time is over', () => {
  vi.useFakeTimers();
  const log = openLog(file, { linesPerPeriod: 3, periodMs: 10_000 });
  for (let i = 0; i < 1_000; i++) log('info', 'a call was refused', { error: 'no preface' });
  log('info', 'a peer');
  log('error', 'the sidecar ends');
  expect(lines().map(({ msg }) => msg)).toEqual([
    ...Array.from({ length: 3 }, () => 'a call was refused'),
    'a peer',
    'the sidecar ends',
  ]);
  vi.advanceTimersByTime(10_000);
  expect(lines().slice(5)).toMatchObject([{ msg: 'a call was refused', moreLikeThis: 997 }]);
  log('info', 'a call was refused');
  expect(lines()).toHaveLength(7);
});
