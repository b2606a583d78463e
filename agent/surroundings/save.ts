import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { digestGiven, type GivenMount } from './given.ts';
import { readEngineFiles } from './engine-files.ts';
import type { Surroundings } from './record.ts';
import { socketOptions } from './socket-options.ts';
import { changedSysctls } from './sysctls.ts';
import { threadSettings } from './threads.ts';

/** What {@link surroundingsOf} needs to know of a container. */
export interface SurroundedTask {
  readonly id: string;
  /** Of its first process. */
  readonly pid: number;
  readonly imageDigest: string;
}

const stateSchema = z.object({
  cgroup_paths: z.record(z.string(), z.string()).nullish(),
  config: z.object({
    mounts: z.array(z.object({ destination: z.string(), source: z.string().optional() })).nullish(),
  }),
});

/** What its processes have set for themselves, besides: read at the cut. @param around as {@link surroundingsOf} found it */
export async function withSettings(pid: number, around: Surroundings): Promise<Surroundings> {
  const [threads, sockets] = await Promise.all([threadSettings(pid, around.processors), socketOptions(pid)]);
  return { ...around, threads, sockets };
}

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
  const processors = await processorsOf(state.cgroup_paths ?? {});
  return {
    version: 1,
    image: task.imageDigest,
    sysctls: Object.fromEntries(changedSysctls(`/proc/${task.pid}/ns/net`)),
    engineFiles: await readEngineFiles(task.pid),
    given: await digestGiven(task.id, mounts, salt),
    salt,
    ...(processors === undefined ? {} : { processors }),
    threads: [],
    sockets: [],
  };
}

/** Of the container's cgroup, by controller; the hierarchy of cgroup v2 has no name. */
async function processorsOf(cgroups: Readonly<Record<string, string>>): Promise<string | undefined> {
  const { cpuset, '': unified } = cgroups;
  const file = cpuset === undefined ? `${unified ?? ''}/cpuset.cpus.effective` : `${cpuset}/cpuset.effective_cpus`;
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text.trim();
}
