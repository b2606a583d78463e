import { SwarmcutError } from '../../../../src/model/errors.ts';
import { taskKey } from '../../../../src/model/task.ts';
import type { ClusterService, ClusterTask } from '../../../orchestrator/index.ts';

/**
 * New tasks that the cluster has ended before their containers came, and that it never makes again: the service's restart condition is `none`. A drained target does that.
 * Waiting for them would only end with the patience of whoever waits.
 */
export class LostTasks {
  /** The newest that was seen of each slot: the cluster may soon forget one that has ended. */
  readonly #seen = new Map<string, ClusterTask>();
  /** Missing at the last look already: a look may be older than the change of a service that ended it. */
  #suspects: ReadonlySet<string> = new Set();

  /**
   * To be called with each look.
   * @param missing keys of tasks that have not arrived
   * @param all tasks of the services as they are now, the newest of a slot last
   * @param generations of the new tasks, by service id: those of an earlier one have been superseded, and others are on their way
   * @throws SwarmcutError `failed` when one is lost at two looks in a row
   */
  look(
    missing: readonly string[],
    all: readonly ClusterTask[],
    services: readonly ClusterService[],
    generations: ReadonlyMap<string, number>,
  ): void {
    const isNew = (task: ClusterTask): boolean => task.generation === generations.get(task.serviceId);
    const made = all.filter(isNew);
    for (const task of made) this.#seen.set(taskKey(task), task);
    const wanted = new Set(made.filter((task) => task.wanted).map(taskKey));
    const once = new Map(services.filter(({ neverRestarted }) => neverRestarted).map((each) => [each.id, each]));
    const lost = missing.flatMap((key) => {
      const task = this.#seen.get(key);
      return task !== undefined && isNew(task) && !wanted.has(key) && once.has(task.serviceId) ? [{ key, task }] : [];
    });
    const again = lost.find(({ key, task }) => this.#suspects.has(`${key} ${task.taskId}`));
    this.#suspects = new Set(lost.map(({ key, task }) => `${key} ${task.taskId}`));
    if (again !== undefined) throw lostError(again.key, again.task);
  }
}

function lostError(key: string, { service, slot, node, error }: ClusterTask): SwarmcutError {
  const place = node === '' ? '' : ` on ${node}`;
  const why = error === '' ? '' : ` (${error})`;
  return new SwarmcutError(
    'failed',
    `Swarm has ended the new task of ${key}${place} before it was restored${why}, and makes no other: the restart condition of ${service} is none`,
    {
      where: { service, slot, ...(node === '' ? {} : { node }) },
      advice: `was the node drained meanwhile, or the service changed? See \`docker service ps --no-trunc ${service}\`, and run the command again.`,
    },
  );
}
