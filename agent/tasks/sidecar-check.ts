import type { Algorithm } from '../../src/algorithms/index.ts';
import { connectionKey } from '../../src/model/connection.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { TaskRef } from '../../src/model/task.ts';
import { firstFew } from '../../src/model/visible.ts';
import type { TaskSidecar } from '../sidecars/task-sidecar.ts';

/**
 * The sidecar that runs this task's part of a round; undefined for the algorithms of the kernel interceptor.
 * @param sidecar that of the task, if it has one
 * @throws SwarmcutError `precondition` when the task has none and needs one, has one and must not, or has connections with peers that are
 *   older than its sidecar: they would be in no channel
 */
export async function sidecarFor<Known extends Pick<TaskSidecar, 'alive' | 'status'>>(
  algorithm: Pick<Algorithm, 'name' | 'interceptor'>,
  stack: string,
  task: TaskRef,
  sidecar: Known | undefined,
): Promise<Known | undefined> {
  const where = { service: task.service, slot: task.slot };
  if (algorithm.interceptor === 'kernel') {
    if (sidecar === undefined) return undefined;
    throw new SwarmcutError('precondition', `the task has a sidecar, past which ${algorithm.name} cannot see`, {
      where,
      advice: `use --algorithm chandy-lamport, or take the sidecars away with \`coordinator detach ${stack}\``,
    });
  }
  if (sidecar === undefined)
    throw new SwarmcutError('precondition', `the task has no sidecar, which ${algorithm.name} needs`, {
      where,
      advice: `run \`coordinator attach ${stack}\` once; the container label swarmcut.algorithm attaches it from the beginning`,
    });
  if (!sidecar.alive)
    throw new SwarmcutError('precondition', "the task's sidecar has died and is being started again", {
      where,
      advice: 'try again in a second; its log is in the run directory of the agent, under sidecars/',
    });
  const { direct } = await sidecar.status();
  if (direct.length === 0) return sidecar;
  const names = firstFew(direct.map(connectionKey));
  throw new SwarmcutError(
    'precondition',
    `${direct.length} connections with peers are older than the task's sidecar and pass it by: ${names}`,
    { where, advice: 'wait until they have ended, restart the services, or use --algorithm lai-yang after a detach' },
  );
}
