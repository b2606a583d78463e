import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { armDeadman, findDeadmen } from '../../../../agent/runtime/criu/deadman.ts';

let runDir: string;
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'deadman-'));
});
afterEach(async () => {
  for (const deadman of await findDeadmen(runDir)) await deadman.cancel();
  rmSync(runDir, { recursive: true, force: true });
});

const FAR_MS = 3_600_000;

describe("dead man's switch", () => {
  it('runs all undo commands in order, also after one that fails', async () => {
    const out = join(runDir, "out with ' quote");
    const deadman = await armDeadman({
      containerId: 'c1',
      afterMs: 10,
      runDir,
      undo: [['sh', '-c', 'echo one >>"$0"', out], ['false'], ['sh', '-c', 'echo two >>"$0"', out]],
    });
    await vi.waitFor(() => expect(readFileSync(out, 'utf8')).toBe('one\ntwo\n'), { timeout: 10_000 });
    expect(await deadman.fired()).toBe(true);
    expect(await deadman.cancel()).toEqual({ fired: true });
    expect(readFileSync(join(runDir, 'deadman', 'c1.log'), 'utf8')).toContain('fired after 0.010 s');
  });

  it('does nothing once called off, and leaves no process and no file', async () => {
    const out = join(runDir, 'out');
    const deadman = await armDeadman({ containerId: 'c2', afterMs: FAR_MS, runDir, undo: [['touch', out]] });
    const [name] = readdirSync(join(runDir, 'deadman'));
    const pid = Number(name?.split('.')[1]);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    expect(await deadman.cancel()).toEqual({ fired: false });
    expect(readdirSync(join(runDir, 'deadman'))).toEqual([]);
    await vi.waitFor(() => expect(() => execFileSync('pgrep', ['-r', 'R,S,D', '-g', String(pid)])).toThrow());
    expect(await deadman.cancel()).toEqual({ fired: false });
  });

  it('can be found and called off by another agent', async () => {
    await armDeadman({ containerId: 'c3', afterMs: FAR_MS, runDir, undo: [['true']] });
    const [found, ...others] = await findDeadmen(runDir);
    expect(others).toEqual([]);
    expect(found?.containerId).toBe('c3');
    expect(await found?.cancel()).toEqual({ fired: false });
    expect(await findDeadmen(runDir)).toEqual([]);
  });

  it('that fired while there was no agent leaves nothing once the next one has looked', async () => {
    await armDeadman({ containerId: 'c6', afterMs: 10, runDir, undo: [['true']] });
    const names = (): string[] => readdirSync(join(runDir, 'deadman')).filter((name) => !name.endsWith('.log'));
    await vi.waitFor(() => expect(names()).toEqual([expect.stringMatching(/^c6\.\d+\.fired$/)]), { timeout: 10_000 });
    expect(await findDeadmen(runDir)).toEqual([]);
    expect(names()).toEqual([]);
  });

  it('that nobody will ask about leaves nothing when it has fired', async () => {
    const mark = join(runDir, 'fired');
    await armDeadman({ containerId: 'c7', afterMs: 10, runDir, undo: [['touch', mark]], unattended: true });
    await vi.waitFor(() => {
      expect(existsSync(mark)).toBe(true);
      expect(readdirSync(join(runDir, 'deadman'))).toEqual([]);
    }, 10_000);
  });

  it('is put off without a gap', async () => {
    const first = await armDeadman({ containerId: 'c4', afterMs: FAR_MS, runDir, undo: [['true']] });
    const second = await first.rearm(2 * FAR_MS);
    expect(second.firesAtMs).toBeGreaterThan(first.firesAtMs);
    expect(await findDeadmen(runDir)).toHaveLength(1);
    expect(await second.cancel()).toEqual({ fired: false });
  });

  it('hangs on nothing of the process that armed it', async () => {
    await armDeadman({ containerId: 'c5', afterMs: FAR_MS, runDir, undo: [['true']] });
    const [name] = readdirSync(join(runDir, 'deadman'));
    const pid = Number(name?.split('.')[1]);
    const [, , group, session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .map(Number);
    expect([group, session]).toEqual([pid, pid]);
    await vi.waitFor(() =>
      expect([0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))).toEqual(Array(3).fill('/dev/null')),
    );
  });
});
