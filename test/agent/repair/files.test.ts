import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filesLeft } from '../../../agent/repair/files.ts';
import type { FileParts } from '../../../agent/repair/files.ts';
import type { Leftover } from '../../../agent/repair/leftover.ts';
import { armDeadman } from '../../../agent/runtime/criu/deadman.ts';
import { Journal } from '../../../agent/tasks/journal.ts';

const GONE = 'a'.repeat(64);
const THERE = 'b'.repeat(64);
const HELD = 'c'.repeat(64);

/** Of what lies in the run and state directories, only what nobody needs is called left over. */
describe('files that are left', () => {
  let base: string;
  let parts: FileParts;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'swarmcut-repair-'));
    const directories = { state: join(base, 'state'), run: join(base, 'run'), config: join(base, 'config') };
    parts = {
      directories,
      containers: { ids: () => Promise.resolve(new Set([THERE, HELD])) },
      held: { holderOf: (id) => (id === HELD ? 'round 1' : undefined) },
      journal: new Journal(directories.run),
      expectations: { isMoved: () => false },
      sidecars: { of: () => undefined },
      rounds: { has: (id) => id === 'under-way' },
      restores: { has: (id) => id === 'under-way' },
    };
  });

  afterEach(() => {
    rmSync(base, { recursive: true, force: true });
  });

  function file(path: string, text = ''): string {
    const full = join(base, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  }

  const names = (found: readonly Leftover[]): string[] =>
    found
      .filter(({ inUse }) => inUse === undefined)
      .map(({ subject }) => subject.slice(base.length + 1))
      .sort();

  test('are those of containers that are no more', async () => {
    for (const folder of ['network', 'journal', 'released-later'])
      for (const id of [GONE, HELD])
        file(`run/${folder}/${id}.json`, JSON.stringify({ containerId: id, pid: 1, owner: 'x' }));
    for (const folder of ['moved', 'restored', 'still'])
      for (const id of [GONE, HELD]) file(`run/${folder}/${id}`, '0 0\n\n');
    for (const id of [GONE, HELD]) file(`run/sidecars/${id}/config.json`);
    for (const id of [GONE, HELD]) file(`run/at-start/${id}/start.sh`);
    const found = await filesLeft(parts);
    expect(names(found)).toEqual(
      [
        ...['network', 'journal', 'released-later'].map((folder) => `run/${folder}/${GONE}.json`),
        ...['moved', 'restored', 'still', 'sidecars', 'at-start'].map((folder) => `run/${folder}/${GONE}`),
      ].sort(),
    );
    for (const { clear } of found) await clear();
    expect(await filesLeft(parts)).toEqual([]);
    expect(existsSync(join(base, `run/network/${HELD}.json`))).toBe(true);
  });

  test('are journal entries of tasks that nobody has; not of one that is in doubt', async () => {
    const entry = { pid: 1, owner: 'x' };
    file(`run/journal/${THERE}.json`, JSON.stringify({ containerId: THERE, ...entry, inDoubt: true }));
    const [doubtful, ...others] = await filesLeft(parts);
    expect(others).toEqual([]);
    expect(doubtful?.inUse).toContain('whether its successor runs');
    file(`run/journal/${THERE}.json`, JSON.stringify({ containerId: THERE, ...entry }));
    expect(names(await filesLeft(parts))).toEqual([`run/journal/${THERE}.json`]);
  });

  test('are stages of rounds and restores that are over', async () => {
    for (const id of ['over', 'under-way'])
      for (const folder of ['run/stage', 'state/stage', 'run/restore', 'state/restore'])
        file(`${folder}/${id}${folder.endsWith('stage') ? '.bank_branch-a.1' : ''}/x/y`);
    const found = await filesLeft(parts);
    expect(names(found)).toEqual([
      'run/restore/over',
      'run/stage/over.bank_branch-a.1',
      'state/restore/over',
      'state/stage/over.bank_branch-a.1',
    ]);
    for (const { clear } of found) await clear();
    expect(readdirSync(join(base, 'run/stage'))).toEqual(['under-way.bank_branch-a.1']);
  });

  test('are switches that wait for nothing, and their words; not that of a task that has moved away', async () => {
    const runDir = parts.directories.run;
    const arm = (containerId: string) => armDeadman({ containerId, afterMs: 600_000, undo: [], runDir });
    const [gone, there, moved] = await Promise.all([arm(GONE), arm(THERE), arm(`${THERE}-moved`)]);
    file(`run/deadman/${'d'.repeat(64)}.log`, 'fired');
    try {
      const found = await filesLeft(parts);
      const switches = readdirSync(join(runDir, 'deadman')).filter((name) => !name.includes('-moved'));
      expect(names(found)).toEqual(switches.map((name) => `run/deadman/${name}`).sort());
      expect(found.filter(({ inUse }) => inUse !== undefined)).toHaveLength(1);
      for (const { clear, inUse } of found) if (inUse === undefined) await clear();
      expect(readdirSync(join(runDir, 'deadman'))).toEqual([expect.stringContaining('-moved')]);
    } finally {
      for (const one of [gone, there, moved]) await one.cancel();
    }
  });
});
