import { SwarmcutError } from '../../../src/model/errors.ts';
import { poll } from '../../../src/platform/deadlines.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';
import type { ClusterTask, Stack } from '../../orchestrator/index.ts';

/** Longest time that a task may take to end before a round goes on without it: the stop grace of most is 10 s. Milliseconds. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 250;

/**
 * Waits for tasks that the cluster has told to end, and that have not ended yet. They take no part in a round, but their sidecars still have connections with
 * those that do, and no marker would come from them until they end: it is better to wait before anything is recorded and while nothing has a deadline.
 * Those of nodes that are away are not waited for. Longer than a minute it waits for none.
 * @throws SwarmcutError `interrupted`
 */
export async function endingTasksAreGone(
  ctx: Pick<CoordinatorContext, 'emit' | 'signal'>,
  { cluster, nodes }: Pick<ClusterSession, 'cluster' | 'nodes'>,
  { services }: Pick<Stack, 'services'>,
): Promise<void> {
  const there = new Set(nodes.filter(({ state }) => state === 'ready').map(({ hostname }) => hostname));
  const ending = ({ wanted, state, node }: ClusterTask): boolean => !wanted && state === 'running' && there.has(node);
  let told = false;
  const look = async (): Promise<true | undefined> => {
    if (ctx.signal.aborted) throw new SwarmcutError('interrupted', 'interrupted: nothing has been done');
    const left = (await cluster.tasks(services, nodes, 'all')).filter(ending);
    if (left.length === 0) return true;
    const names = left.map((task) => `${taskKey(task)} on ${task.node}`).join(', ');
    if (!told) ctx.emit({ kind: 'information', message: `waiting for tasks that are about to end: ${names}` });
    told = true;
    return undefined;
  };
  await poll(look, { timeoutMs: PATIENCE_MS, intervalMs: LOOK_MS });
}
