import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDeadmen } from '../../../agent/runtime/criu/deadman.ts';
import { Standstills } from '../../../agent/runtime/shim/standstills.ts';
import { Journal } from '../../../agent/tasks/journal.ts';
import { openNoted } from '../../../agent/tasks/open-task.ts';
import { adoptTasks, recoverTasks } from '../../../agent/tasks/recover.ts';
import type { Directories } from '../../../src/model/paths.ts';
import { createLogger } from '../../../src/platform/logger.ts';

const log = createLogger({ program: 'agent', level: 'silent' });

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'recover-'));
});
afterEach(() => rmSync(base, { recursive: true }));

const directories = (): Directories => ({ run: join(base, 'run'), state: join(base, 'state'), config: base });
const still = { endsInMs: 60_000, decided: false, health: undefined };
const marked = (): string[] => readdirSync(join(base, 'run', 'still'));

it('what waits in the shim for an agent that has died goes on', async () => {
  const dead = new Standstills(directories());
  dead.mark({ ...still, containerId: 'c1' });
  dead.mark({ ...still, containerId: 'c2', decided: true });
  const standstills = new Standstills(directories());
  await recoverTasks(directories(), { journal: new Journal(join(base, 'run')), standstills, log });
  // What has moved stays frozen: its health checks must not fail before Swarm ends it.
  expect(marked()).toEqual(['c2']);
});

describe('a task that an earlier agent has left in doubt', () => {
  const doubtful = { containerId: 'c1', pid: 2 ** 30, owner: 'm1', inDoubt: true };

  /** Whatever died: its switch is armed, its journal entry there, and a stop of it waits in the shim. */
  async function left(): Promise<{ journal: Journal; standstills: Standstills }> {
    const journal = new Journal(join(base, 'run'));
    await journal.note(doubtful);
    mkdirSync(join(base, 'run', 'deadman'));
    const record = { containerId: 'c1', firesAtMs: Date.now() + 60_000, undo: [] };
    writeFileSync(join(base, 'run', 'deadman', `c1.${doubtful.pid}.json`), JSON.stringify(record));
    const standstills = new Standstills(directories());
    standstills.mark({ ...still, containerId: 'c1' });
    await recoverTasks(directories(), { journal, standstills, log });
    return { journal, standstills };
  }

  it('keeps the engine waiting that would end it: its successor may never run', async () => {
    await left();
    expect(marked()).toEqual(['c1']);
  });

  it('is taken over as it was noted, since the engine does not answer for one that it is ending', async () => {
    const taken: string[] = [];
    const held = { adopt: ({ id }: { id: string }) => Promise.resolve(void taken.push(id)) };
    const open = (entry: { containerId: string }) => Promise.resolve(entry as never);
    await adoptTasks(join(base, 'run'), { ...(await left()), held, open, log });
    expect([taken, marked()]).toEqual([['m1'], ['c1']]);
  });

  it('is forgotten when it has ended', async () => {
    const held = { adopt: () => Promise.resolve() };
    const { journal, standstills } = await left();
    await adoptTasks(join(base, 'run'), { journal, standstills, held, open: openNoted, log });
    expect([marked(), await journal.entries(), await findDeadmen(join(base, 'run'))]).toEqual([[], [], []]);
  });
});
