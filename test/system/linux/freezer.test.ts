import { execa } from 'execa';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFreezer } from '../../../agent/linux/freezer.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmcut-freezer-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A hierarchy of our own sight on it: the machine's may be anywhere. */
async function mounted(type: 'cgroup' | 'cgroup2'): Promise<string> {
  const at = join(folder, type);
  mkdirSync(at);
  await execa('mount', ['-t', type, ...(type === 'cgroup' ? ['-o', 'freezer'] : []), 'none', at]);
  return at;
}

/** CPU time of a process, in ticks: it stands still while the process is frozen. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  return Number(fields[13]) + Number(fields[14]);
}

describe.each([
  { type: 'cgroup', controller: 'freezer' },
  { type: 'cgroup2', controller: '' },
] as const)('the freezer of $type', ({ type, controller }) => {
  test('stops every process before it says so, and lets them go on', async () => {
    const mount = await mounted(type);
    const cgroup = join(mount, `swarmcut-freezer-test-${process.pid}`);
    mkdirSync(cgroup);
    const program = execa('sh', ['-c', 'while :; do :; done'], { reject: false });
    const { pid = Number.NaN } = program;
    const stateFile = join(folder, `${type}.json`);
    // As runc has it where both are there.
    const paths = { '': type === 'cgroup2' ? cgroup : '/nowhere', ...(type === 'cgroup' ? { freezer: cgroup } : {}) };
    writeFileSync(stateFile, JSON.stringify({ id: 'c1', cgroup_paths: paths }));
    try {
      writeFileSync(join(cgroup, 'cgroup.procs'), String(pid));
      const freezer = findFreezer(stateFile);
      expect(Object.keys(paths)).toContain(controller);
      expect(await freezer?.freeze()).toBe(true);
      const frozenAt = ticks(pid);
      expect(await freezer?.freeze()).toBe(true);
      expect(ticks(pid)).toBe(frozenAt);
      freezer?.thaw();
      await expect.poll(() => ticks(pid), { timeout: 10_000 }).toBeGreaterThan(frozenAt);
    } finally {
      // A frozen one could not even die.
      findFreezer(stateFile)?.thaw();
      program.kill('SIGKILL');
      await program;
      rmdirSync(cgroup);
      await execa('umount', [mount]);
    }
  });
});

test('a container whose state names no freezer is runc’s', () => {
  const stateFile = join(folder, 'none.json');
  writeFileSync(stateFile, JSON.stringify({ id: 'c1', cgroup_paths: { memory: '/x' } }));
  expect(findFreezer(stateFile)).toBeUndefined();
});
