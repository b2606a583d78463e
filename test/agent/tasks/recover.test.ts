import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Standstills } from '../../../agent/runtime/shim/standstills.ts';
import { Journal } from '../../../agent/tasks/journal.ts';
import { recoverTasks } from '../../../agent/tasks/recover.ts';
import { createLogger } from '../../../src/platform/logger.ts';

const log = createLogger({ program: 'agent', level: 'silent' });

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'recover-'));
});
afterEach(() => rmSync(base, { recursive: true }));

it('what waits in the shim for an agent that has died goes on', async () => {
  const directories = { run: join(base, 'run'), state: join(base, 'state'), config: base };
  const dead = new Standstills(directories);
  const still = { endsInMs: 60_000, decided: false, health: undefined };
  dead.mark({ ...still, containerId: 'c1' });
  dead.mark({ ...still, containerId: 'c2', decided: true });
  const standstills = new Standstills(directories);
  await recoverTasks(directories, { journal: new Journal(directories.run), standstills, log });
  // What has moved stays frozen: its health checks must not fail before Swarm ends it.
  expect(readdirSync(join(directories.run, 'still'))).toEqual(['c2']);
});
