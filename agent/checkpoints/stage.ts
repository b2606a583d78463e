import { readdir, readFile, readlink, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { megabytes } from '../../src/model/size.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { TaskRef } from '../../src/model/task.ts';
import type { ContainerFacts } from '../runtime/docker/containers.ts';

/** `f_type` of tmpfs and ramfs: statfs(2). */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);

/** What a dump needs besides memory pages: images of files, mounts, registers … Bytes. */
const OVERHEAD_BYTES = 16 * 1024 * 1024;

/** A stage in memory may take this part of what is available, so that a snapshot never drives the node into swapping. */
const MEMORY_SHARE = 0.5;

export interface Stage {
  readonly kind: 'memory' | 'disk';
  readonly dir: string;
}

/** How large the dump of a container may get: the private and shared memory of all its processes. Bytes. */
export async function estimateBytes(facts: Pick<ContainerFacts, 'pid'>): Promise<number> {
  const namespace = await readlink(`/proc/${facts.pid}/ns/pid`).catch(() => '');
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => undefined)) !== namespace) return 0;
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      return kibibytes(status, 'RssAnon') + kibibytes(status, 'RssShmem') + kibibytes(status, 'VmSwap');
    }),
  );
  return sizes.reduce((sum, size) => sum + size * 1024, OVERHEAD_BYTES);
}

/**
 * Where a dump of this size goes first: into memory if there is plenty, since the task stands still meanwhile; else to disk.
 * @param memoryOnly what is dumped must not touch a disk as it is
 * @throws SwarmcutError `precondition` when neither has room; nothing has been frozen then
 */
export async function chooseStage(
  directories: Directories,
  bytes: number,
  task: TaskRef,
  memoryOnly = false,
): Promise<Stage> {
  const run = await statfs(directories.run);
  const meminfo = await readFile('/proc/meminfo', 'utf8');
  const available = kibibytes(meminfo, 'MemAvailable') * 1024;
  const inMemory =
    MEMORY_FILE_SYSTEMS.has(run.type) && bytes <= Math.min(run.bavail * run.bsize, available * MEMORY_SHARE);
  const disk = await statfs(directories.state);
  const free = disk.bavail * disk.bsize;
  if (bytes > free) {
    throw new SwarmcutError(
      'precondition',
      `too little disk space: the checkpoint may need ${megabytes(bytes)}, ${megabytes(free)} are free`,
      {
        where: { service: task.service, slot: task.slot, file: directories.state },
        advice: 'remove old snapshots (`coordinator rm`), or give the agent a larger --state-dir',
      },
    );
  }
  if (memoryOnly && !inMemory) throw noMemory(directories.run, bytes, task);
  return inMemory
    ? { kind: 'memory', dir: join(directories.run, 'stage') }
    : { kind: 'disk', dir: join(directories.state, 'stage') };
}

function noMemory(run: string, bytes: number, { service, slot }: TaskRef): SwarmcutError {
  return new SwarmcutError(
    'precondition',
    `too little memory: an encrypted checkpoint is first dumped into memory, and this one may need ${megabytes(bytes)}`,
    {
      where: { service, slot, file: run },
      advice: `at most half of the available memory is used, and ${run} must be a tmpfs with room; without encryption, the disk would do`,
    },
  );
}

function kibibytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
}
