import { SwarmcutError } from '../../src/model/errors.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import type { HealthCheck } from '../runtime/docker/health.ts';
import type { TaskInterceptor } from '../network/task-interceptor.ts';
import type { JournalEntry } from './journal.ts';

/** A running container, and what it is blocked and frozen with. */
export interface OpenedTask {
  readonly containerId: string;
  /** Of its first process. */
  readonly pid: number;
  readonly interceptor: TaskInterceptor;
  readonly runc: Pick<Runc, 'pause' | 'resume' | 'command'>;
  readonly health: HealthCheck | undefined;
  /** Directory of its dump, to be removed if the agent dies. */
  readonly stageDir?: string;
}

/** A running container behind the kernel interceptor. @throws SwarmcutError as `Containers.facts` does */
export async function openTask(containers: Pick<Containers, 'facts'>, containerId: string): Promise<OpenedTask> {
  const { pid, networkNamespace, health } = await containers.facts(containerId);
  return {
    containerId,
    pid,
    health,
    interceptor: new KernelInterceptor({ netns: networkNamespace }),
    runc: new Runc({ root: await findRuncRoot(containerId) }),
  };
}

/**
 * As {@link openTask}, for a task that an earlier agent has noted. From runc: the engine does not answer for a container while a stop of it waits in the
 * shim.
 * @throws SwarmcutError `failed` when it has ended
 */
export async function openNoted({ containerId, pid, health }: JournalEntry): Promise<OpenedTask> {
  const runc = new Runc({ root: await findRuncRoot(containerId) });
  const state = await runc.state(containerId);
  if (state.pid !== pid)
    throw new SwarmcutError('failed', `container ${containerId.slice(0, 12)} is not running (${state.status})`);
  return { containerId, pid, health, interceptor: new KernelInterceptor({ netns: `/proc/${pid}/ns/net` }), runc };
}
