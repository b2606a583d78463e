import { SwarmcutError } from '../../../../src/model/errors.ts';
import { taskKey } from '../../../../src/model/task.ts';
import type { ClusterService, ClusterTask } from '../../../orchestrator/index.ts';

/**
 * New tasks whose containers will not come any more, so that waiting for them would only end with the patience of whoever waits:
 *
 * - the cluster has ended one, and never makes it again, since the service's restart condition is `none` (a drained target does that);
 * - one runs already: nobody has held its container, so it has started empty.
 */
export class LostTasks {
  /** The newest that was seen of each slot: the cluster may soon forget one that has ended. */
  readonly #seen = new Map<string, ClusterTask>();
  /** What was said at the last look: a look may be older than the change of a service that ended a task, or than an agent's word. */
  #suspected: ReadonlySet<string> = new Set();

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
    const wanted = new Map<string, ClusterTask>();
    for (const task of all.filter(isNew)) {
      this.#seen.set(taskKey(task), task);
      if (task.wanted) wanted.set(taskKey(task), task);
    }
    const once = new Set(services.filter(({ neverRestarted }) => neverRestarted).map(({ id }) => id));
    const suspected = new Set<string>();
    for (const key of missing) {
      const lost = lossOf(key, wanted.get(key), this.#seen.get(key), (task) => isNew(task) && once.has(task.serviceId));
      if (lost === undefined) continue;
      const { message } = lost;
      if (this.#suspected.has(message)) throw lost;
      suspected.add(message);
    }
    this.#suspected = suspected;
  }
}

/** @param wanted the one that is to run, if there is one @param seen the newest that there was @param isLast no other one comes after it */
function lossOf(
  key: string,
  wanted: ClusterTask | undefined,
  seen: ClusterTask | undefined,
  isLast: (task: ClusterTask) => boolean,
): SwarmcutError | undefined {
  if (wanted?.state === 'running') return startedError(key, wanted);
  return wanted === undefined && seen !== undefined && isLast(seen) ? endedError(key, seen) : undefined;
}

function endedError(key: string, task: ClusterTask): SwarmcutError {
  const { service, error } = task;
  const why = error === '' ? '' : ` (${error})`;
  return new SwarmcutError(
    'failed',
    `Swarm has ended the new task of ${key}${onNode(task)} before it was restored${why}, and makes no other: the restart condition of ${service} is none`,
    {
      where: placeOf(task),
      advice: `was the node drained meanwhile, or the service changed? See \`docker service ps --no-trunc ${service}\`, and run the command again.`,
    },
  );
}

function startedError(key: string, task: ClusterTask): SwarmcutError {
  return new SwarmcutError('failed', `the new task of ${key} runs${onNode(task)} without having been restored`, {
    where: placeOf(task),
    advice: 'is the agent there running, and the shim the default runtime? See `coordinator check`.',
  });
}

function onNode({ node }: ClusterTask): string {
  return node === '' ? '' : ` on ${node}`;
}

function placeOf({ service, slot, node }: ClusterTask): { service: string; slot: string; node?: string } {
  return { service, slot, ...(node === '' ? {} : { node }) };
}
