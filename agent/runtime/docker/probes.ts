import { readlink } from 'node:fs/promises';
import { uptime } from 'node:os';
import { childrenOf, processStat } from '../../linux/process-tree.ts';
import { poll } from '../../../src/platform/deadlines.ts';
import type { HealthCheck } from './health.ts';

/** Longest wait for a probe. One that takes longer is frozen with its container, and may be called failed. Milliseconds. */
const PATIENCE_MS = 1_000;

/** Milliseconds. */
const INTERVAL_MS = 10;

/** As the process that runs a command in a container calls itself until it has become that command. */
const RUNC = 'runc';

/**
 * Waits until no probe of a container's health check is under way. To be called when no new one begins.
 * @param pid of the container's first process
 */
export async function probesEnd(pid: number, { timeoutMs }: Pick<HealthCheck, 'timeoutMs'>): Promise<void> {
  const shim = (await processStat(pid))?.parent;
  if (shim === undefined) return;
  const space = await pidNamespaceOf(pid);
  await poll(
    async () => {
      for (const child of await childrenOf(shim)) {
        if (child !== pid && (await mayBeProbe(child, space, timeoutMs))) return undefined;
      }
      return true;
    },
    { timeoutMs: PATIENCE_MS, intervalMs: INTERVAL_MS },
  );
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
