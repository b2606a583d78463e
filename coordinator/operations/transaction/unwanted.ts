import { pause } from '../../../src/platform/deadlines.ts';
import type { ClusterService } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';

/** Longest wait. Less than a second was seen. Milliseconds. */
const TIMEOUT_MS = 15_000;

/** Milliseconds. */
const LOOK_MS = 50;

/**
 * Waits until the cluster does not want the tasks of a replacement any more, whose services have their specs back. It makes another task for each that fails before
 * that, by the spec of the moment, which may be the old one: nobody would expect that task, and it would start empty, beside the old one. Never throws.
 * @param services that have their specs back
 * @param made the replacement's generations, by id of the service
 */
export async function untilUnwanted(
  ctx: Pick<CoordinatorContext, 'emit'>,
  { cluster, nodes }: Pick<ClusterSession, 'cluster' | 'nodes'>,
  services: readonly ClusterService[],
  made: ReadonlyMap<string, ReadonlySet<number>>,
): Promise<void> {
  if (services.length === 0) return;
  const until = performance.now() + TIMEOUT_MS;
  for (;;) {
    const tasks = await cluster.tasks(services, nodes, 'wanted').catch(() => undefined);
    const left = tasks?.filter(({ serviceId, generation }) => made.get(serviceId)?.has(generation));
    if (left?.length === 0) return;
    if (performance.now() > until) {
      const names = [...new Set(services.map(({ name }) => name))].join(', ');
      ctx.emit({ kind: 'warning', message: `Swarm still wants new tasks of ${names}, which are not restored` });
      return;
    }
    await pause(LOOK_MS);
  }
}
