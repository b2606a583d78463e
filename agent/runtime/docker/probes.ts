import { readlink } from 'node:fs/promises';
import { uptime } from 'node:os';
import { childrenOf, processStat, processTree } from '../../linux/process-tree.ts';
import { ProgressDeadline, pause } from '../../../src/platform/deadlines.ts';
import { processorTime } from '../../../src/platform/processor-time.ts';
import type { HealthCheck } from './health.ts';

/** Longest wait for a probe that neither works nor waits for a processor or a disk: it waits for something. It is frozen with its container then, and may be called failed. Milliseconds. */
const PATIENCE_MS = 1_000;

/** Longest wait for one that works, or would if it had a processor or its file. Milliseconds. */
const LONGEST_MS = 5_000;

/** Milliseconds. */
const INTERVAL_MS = 10;

/** As the process that runs a command in a container calls itself until it has become that command; our shim too, from before its look for a mark. */
const RUNC = 'runc';

/**
 * Waits until no probe of a container's health check is under way. To be called when no new one begins.
 * @param pid of the container's first process
 */
export async function probesEnd(pid: number, { timeoutMs }: Pick<HealthCheck, 'timeoutMs'>): Promise<void> {
  const shim = (await processStat(pid))?.parent;
  if (shim === undefined) return;
  const space = await pidNamespaceOf(pid);
  const until = performance.now() + LONGEST_MS;
  using deadline = new ProgressDeadline({ limitMs: PATIENCE_MS, late: () => new Error('a probe hangs') });
  while (!deadline.signal.aborted && performance.now() < until) {
    const children = (await childrenOf(shim)).filter((child) => child !== pid);
    const maybe = await Promise.all(children.map((child) => mayBeProbe(child, space, timeoutMs)));
    const probes = children.filter((_child, index) => maybe[index]);
    if (probes.length === 0) return;
    const times = await Promise.all(probes.map((probe) => processorTime(probe)));
    const worked = deadline.note({ doing: 'a probe', mark: times.join(' ') });
    if (!worked && (await Promise.all(probes.map((probe) => isHeldUp(probe)))).includes(true)) deadline.touch();
    await pause(INTERVAL_MS);
  }
}

/** Whether a process or one that it waits for would go on if the machine let it: it waits for a processor (R) or a disk (D); proc_pid_stat(5). */
async function isHeldUp(pid: number): Promise<boolean> {
  for (const each of await processTree(pid)) {
    const state = (await processStat(each))?.state;
    if (state === 'R' || state === 'D') return true;
  }
  return false;
}

/**
 * What was started in a container from outside is a child of containerd's shim, as its first process is. A probe is one that is not older than
 * probes may get; so that a person's shell is not waited for. Calls of our shim that wait are no such children: they run outside the container.
 */
async function mayBeProbe(pid: number, space: string | undefined, timeoutMs: number): Promise<boolean> {
  const stat = await processStat(pid);
  if (stat === undefined || (uptime() - stat.startedAtS) * 1000 > timeoutMs) return false;
  return stat.command.startsWith(RUNC) || (await pidNamespaceOf(pid)) === space;
}

async function pidNamespaceOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/pid`).catch(() => undefined);
}
