import { KernelInterceptor } from '../network/interceptor.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import type { HealthCheck } from '../runtime/docker/health.ts';
import type { TaskInterceptor } from '../network/task-interceptor.ts';

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
