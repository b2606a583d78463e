import { taskKey } from '../../../src/model/task.ts';
import type { ClusterTask } from '../../orchestrator/index.ts';

/**
 * Ids of the tasks that count, of these generations. When the node of an old task is drained, Swarm makes another new one for a slot whose new one is there
 * already. It is to wait until the old one has ended; then Swarm wants both, until it looks at the service again with its next update. It keeps the first
 * that it finds of those that need not wait: that of the lowest id (swarmkit, manager/orchestrator/update/updater.go, `worker`; the tasks come from
 * `store.ByServiceID`, in the order of their ids).
 * @param generations by service id
 */
export function keptTasks(
  tasks: readonly ClusterTask[],
  generations: ReadonlyMap<string, number>,
): ReadonlySet<string> {
  const kept = new Map<string, ClusterTask>();
  for (const task of wanted(tasks, generations)) {
    const other = kept.get(taskKey(task));
    if (other === undefined || rank(task) < rank(other)) kept.set(taskKey(task), task);
  }
  return new Set([...kept.values()].map(({ taskId }) => taskId));
}

/** Ids of services for which Swarm wants tasks beside those that it keeps. */
export function servicesWithSpares(
  tasks: readonly ClusterTask[],
  generations: ReadonlyMap<string, number>,
): ReadonlySet<string> {
  const kept = keptTasks(tasks, generations);
  const spares = wanted(tasks, generations).filter(({ taskId }) => !kept.has(taskId));
  return new Set(spares.map(({ serviceId }) => serviceId));
}

function wanted(tasks: readonly ClusterTask[], generations: ReadonlyMap<string, number>): ClusterTask[] {
  return tasks.filter((task) => task.wanted && task.generation === generations.get(task.serviceId));
}

function rank({ waits, taskId }: ClusterTask): string {
  return `${waits === true ? 1 : 0}${taskId}`;
}
