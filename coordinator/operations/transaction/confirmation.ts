import { poll } from '../../../src/platform/deadlines.ts';
import type { ClusterSession } from '../session/session.ts';
import type { ClusterService, ClusterTask } from '../../orchestrator/index.ts';
import type { Member } from './replacement-journal.ts';

const LOOK_MS = 100;

/** What the cluster says of restored tasks. */
export interface Confirmation {
  /** It wants them, and does not call them running yet: their health checks have come to no verdict. */
  readonly late: readonly string[];
  /** It has ended them, or calls their node lost. With what it says of them. */
  readonly ended: readonly string[];
}

/**
 * Waits until the cluster calls all of these tasks running, or has ended one of them.
 * @param members as they were released
 * @returns what is not so when the time is up
 */
export async function confirmRunning(
  session: Pick<ClusterSession, 'cluster' | 'nodes'>,
  services: readonly ClusterService[],
  members: readonly Member[],
  timeoutMs: number,
): Promise<Confirmation> {
  let last: Confirmation = { late: [], ended: [] };
  const look = async (): Promise<Confirmation | undefined> => {
    const tasks = await session.cluster.tasks(services, session.nodes, 'all');
    last = confirmation(members, tasks);
    return last.late.length === 0 || last.ended.length > 0 ? last : undefined;
  };
  return (await poll(look, { timeoutMs, intervalMs: LOOK_MS })) ?? last;
}

/** @param tasks all of the members' services */
export function confirmation(members: readonly Member[], tasks: readonly ClusterTask[]): Confirmation {
  const late: string[] = [];
  const ended: string[] = [];
  for (const { key, node, containerId, taskId } of members) {
    const task = tasks.find((one) => one.containerId === containerId || one.taskId === taskId);
    if (task?.wanted === true && task.state === 'running') continue;
    if (task === undefined) late.push(`${key} on ${node}`);
    else if (task.wanted) late.push(`${key} on ${node} (${task.state})`);
    else ended.push(`${key} on ${node} (${task.state}${task.error === '' ? '' : `: ${task.error}`})`);
  }
  return { late, ended };
}
