import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { digestGiven, type GivenMount } from './given.ts';
import { readEngineFiles } from './engine-files.ts';
import type { Surroundings } from './record.ts';
import { changedSysctls } from './sysctls.ts';

/** What {@link surroundingsOf} needs to know of a container. */
export interface SurroundedTask {
  readonly id: string;
  /** Of its first process. */
  readonly pid: number;
  readonly imageDigest: string;
}

const stateSchema = z.object({
  config: z.object({
    mounts: z.array(z.object({ destination: z.string(), source: z.string().optional() })).nullish(),
  }),
});

/**
 * What a running task lives in. Nothing of it changes by the program's work, so it is read before the freeze.
 * @param stateFile runc's `state.json`
 * @throws SystemCallError, or the system's error, when the task is gone
 */
export async function surroundingsOf(task: SurroundedTask, stateFile: string): Promise<Surroundings> {
  const salt = randomBytes(16).toString('hex');
  const state = stateSchema.parse(JSON.parse(await readFile(stateFile, 'utf8')));
  const mounts = (state.config.mounts ?? []).map(({ destination, source }): GivenMount =>
    source === undefined ? { destination } : { destination, source },
  );
  return {
    version: 1,
    image: task.imageDigest,
    sysctls: Object.fromEntries(changedSysctls(`/proc/${task.pid}/ns/net`)),
    engineFiles: await readEngineFiles(task.pid),
    given: await digestGiven(task.id, mounts, salt),
    salt,
  };
}
