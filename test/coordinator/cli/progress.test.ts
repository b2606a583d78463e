import { expect, test } from 'vitest';
import { plainLines } from '../../../coordinator/cli/progress.ts';
import { bytesText, durationText } from '../../../coordinator/cli/output.ts';

test('plain lines: one per finished step, with the time it took', () => {
  const lines: string[] = [];
  let now = 1000;
  const { reporter } = plainLines(
    (line) => lines.push(line),
    () => now,
  );
  reporter.begin('bank_a.1', 'freeze');
  reporter.begin('bank_b.1', 'freeze');
  now += 14;
  reporter.done('bank_a.1', 'freeze');
  now += 1500;
  reporter.failed('bank_b.1', 'freeze', 'no such container');
  reporter.done('', 'commit', '2 tasks');
  reporter.info('node n2 is slow');
  expect(lines).toEqual([
    '[  0.014 s] bank_a.1: freeze, 14 ms',
    '[  1.514 s] bank_b.1: freeze FAILED, 1.51 s: no such container',
    '[  1.514 s] commit (2 tasks)',
    '[  1.514 s] node n2 is slow',
  ]);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [1_250_000, '1.25 MB'],
  [99_960_000, '100 MB'],
  [999_600_000, '1.00 GB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0.44, '0.4 ms'],
  [12, '12 ms'],
  [999.6, '1.00 s'],
  [59_999, '1 min 0 s'],
  [250_000, '4 min 10 s'],
])('%d ms are %s', (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text);
});
