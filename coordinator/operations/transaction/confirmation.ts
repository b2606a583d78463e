import { ProgressDeadline, pause } from '../../../src/platform/deadlines.ts';
import { Furthest, statesOf } from './furthest.ts';
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

/** Time of a health check that only the image declares, and which is therefore not known here: that of the engine's defaults. Milliseconds. */
const UNKNOWN_VERDICT_MS = 240_000;

/**
 * Waits until the cluster calls all of these tasks running (healthy, where there is a check), or has ended one of them.
 * @param members as they were released
 * @param wait `limitMs`: longest time, beyond that of declared health checks, in which nothing changes in what the cluster says of them.
 *   `patient`: one that is starting may have a check that only its image declares
 * @returns what is not so when the time is up
 */
export async function confirmRunning(
  { cluster, nodes }: Pick<ClusterSession, 'cluster' | 'nodes'>,
  services: readonly ClusterService[],
  members: readonly Member[],
  { limitMs, patient }: { readonly limitMs: number; readonly patient: boolean },
): Promise<Confirmation> {
  const verdictMs = Math.max(0, ...services.map(({ verdictMs: each }) => each));
  using deadline = new ProgressDeadline({ limitMs: limitMs + verdictMs, late: ({ doing }) => new Error(doing) });
  const furthest = new Furthest();
  let changedAt = performance.now();
  for (;;) {
    const tasks = await cluster.tasks(services, nodes, 'all');
    const found = confirmation(members, tasks);
    if (found.late.length === 0 || found.ended.length > 0) return found;
    const ours = tasks.filter((task) => members.some((member) => isOf(member, task)));
    if (deadline.note({ doing: statesOf(ours), mark: furthest.note(ours) })) changedAt = performance.now();
    const open = ours.filter(({ state }) => state !== 'running');
    const checked = open.length > 0 && open.every(({ state }) => state === 'starting');
    if (patient && checked && performance.now() - changedAt < UNKNOWN_VERDICT_MS) deadline.touch();
    if (deadline.signal.aborted) return found;
    await pause(LOOK_MS);
  }
}

function isOf({ containerId, taskId }: Member, task: ClusterTask): boolean {
  return task.containerId === containerId || task.taskId === taskId;
}

/** @param tasks all of the members' services */
export function confirmation(members: readonly Member[], tasks: readonly ClusterTask[]): Confirmation {
  const late: string[] = [];
  const ended: string[] = [];
  for (const member of members) {
    const { key, node } = member;
    const task = tasks.find((one) => isOf(member, one));
    if (task?.wanted === true && task.state === 'running') continue;
    if (task === undefined) late.push(`${key} on ${node}`);
    else if (task.wanted) late.push(`${key} on ${node} (${task.state})`);
    else ended.push(`${key} on ${node} (${task.state}${task.error === '' ? '' : `: ${task.error}`})`);
  }
  return { late, ended };
}
