import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepLog, keptLogsFolder } from '../../../../agent/runtime/criu/kept-logs.ts';
import { criuError } from '../../../../agent/runtime/criu/runc.ts';

const CONTAINER = '0123456789abcdef';
const LOG = '(00.01) Error (criu/files-reg.c:2158): File lib/x has bad size 1 (expect 2)\n';

let base: string;
let work: string;
let kept: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-logs-'));
  work = join(base, 'work');
  kept = keptLogsFolder(join(base, 'state'));
  mkdirSync(work);
});
afterEach(() => rmSync(base, { recursive: true }));

test.each(['dump', 'restore'] as const)(
  'the log that the error of a failed %s names is there when all else is gone',
  async (step) => {
    writeFileSync(join(work, `${step}.log`), LOG.replace('has bad size', 'is odd'));
    const error = await criuError(step, CONTAINER, work, 'runc failed', kept);
    rmSync(work, { recursive: true });
    const { file = '' } = error.where;
    expect(file).toMatch(new RegExp(`/state/log/criu/[-0-9TZ.]+-${step}-0123456789ab\\.log$`));
    expect(error.advice).toBe(`the full log is ${file}`);
    expect(readFileSync(file, 'utf8')).toContain('File lib/x is odd');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  },
);

test('a log that CRIU has not written is not named', async () => {
  const error = await criuError('restore', CONTAINER, work, 'exec: criu: not found', kept);
  expect(error).toMatchObject({ where: {}, advice: 'CRIU left no log: see that of the agent' });
  expect(error.message).toContain('exec: criu: not found');
});

test('the newest twenty are kept, each with its end', async () => {
  const log = join(work, 'restore.log');
  writeFileSync(log, `${'x'.repeat(5 * 1024 * 1024)}the end`);
  for (let i = 0; i < 25; i++) await keepLog(log, kept, `${String(i).padStart(2, '0')}.log`);
  const names = readdirSync(kept).sort();
  expect(names).toHaveLength(20);
  expect(names[0]).toBe('05.log');
  const text = readFileSync(join(kept, '24.log'), 'utf8');
  expect(text.length).toBeLessThan(4.1 * 1024 * 1024);
  expect(text).toMatch(/^\(\d+ bytes before this are left out\)\n.*the end$/);
});
