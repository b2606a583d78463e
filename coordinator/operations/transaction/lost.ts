import type { ClusterNode, ClusterTask } from '../../orchestrator/index.ts';
import type { CommitRecord, Member } from './replacement-journal.ts';

/**
 * What becomes of a commit whose new tasks could not all be released:
 * - `wait`: one of these may still be there, and is asked again.
 * - `withdraw`: none of the new tasks has ever run, and one never will: the old ones, which stand still, are the truth again.
 * - `forward`: others run, so that there is no way back; those that are lost are lost, but for what is on disk.
 */
export type Outcome =
  | { readonly kind: 'wait' }
  | { readonly kind: 'withdraw'; readonly why: string }
  | { readonly kind: 'forward'; readonly lost: readonly Member[]; readonly why: string };

/**
 * Decides it from what the cluster says now.
 * @param failed the members that could not be released
 * @param tasks all of their services
 */
export function outcomeOf(
  { released }: Pick<CommitRecord, 'released'>,
  failed: readonly Member[],
  tasks: readonly ClusterTask[],
  nodes: readonly ClusterNode[],
): Outcome {
  const reasons = new Map(failed.map((member) => [member, whyLost(member, tasks, nodes)]));
  const lost = failed.filter((member) => reasons.get(member) !== undefined);
  // Those that may come back are waited for: until then nothing can be said of them.
  if (lost.length === 0 || lost.length < failed.length) return { kind: 'wait' };
  const why = lost.map((member) => `${member.key} on ${member.node} (${reasons.get(member) ?? ''})`).join(', ');
  const others = released.some((member) => !failed.includes(member));
  return others ? { kind: 'forward', lost, why } : { kind: 'withdraw', why };
}

/** Why a restored task that waits for its release never runs; undefined while it may. */
function whyLost(
  { node, containerId, taskId }: Member,
  tasks: readonly ClusterTask[],
  nodes: readonly ClusterNode[],
): string | undefined {
  const host = nodes.find(({ hostname }) => hostname === node);
  if (host === undefined) return 'its node is gone';
  if (host.state === 'down') return 'its node is down';
  const task = tasks.find((one) => one.containerId === containerId || one.taskId === taskId);
  if (task === undefined) return 'Swarm does not know it any more';
  if (!task.wanted) return `Swarm has given it up: ${task.state}${task.error === '' ? '' : `, ${task.error}`}`;
  return undefined;
}
