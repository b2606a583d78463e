import { taskKey } from '../../../src/model/task.ts';
import type { ClusterTask } from '../../orchestrator/index.ts';

/** How new tasks become running ones. Whatever else a task may be, it is on no way there. */
const WAY: readonly string[] = [
  'new',
  'pending',
  'allocated',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
];

/**
 * How far the cluster has ever got with each of some tasks. One that fails and is made again and again gets no further: that is no progress, however
 * often its state changes.
 */
export class Furthest {
  readonly #reached = new Map<string, number>();

  /** @returns a mark that changes if and only if one has got further */
  note(tasks: readonly ClusterTask[]): string {
    for (const task of tasks) {
      const key = taskKey(task);
      const rank = WAY.indexOf(task.state) + (task.node === '' ? 0 : WAY.length);
      this.#reached.set(key, Math.max(rank, this.#reached.get(key) ?? 0));
    }
    return JSON.stringify([...this.#reached].sort());
  }
}

/** For people: what the cluster says of tasks. */
export function statesOf(tasks: readonly ClusterTask[]): string {
  const state = (task: ClusterTask): string =>
    `${taskKey(task)} ${task.state}${task.node && ` on ${task.node}`}${task.error && ` (${task.error})`}`;
  return tasks.length === 0 ? 'Swarm has made no new task' : tasks.map(state).join(', ');
}
