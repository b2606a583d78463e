/** What Swarm's labels say about a container. All undefined for one that Swarm did not start. */
export interface SwarmLabels {
  readonly service: string | undefined;
  readonly taskId: string | undefined;
  /** See `TaskRef.slot`. */
  readonly slot: string | undefined;
}

const SERVICE_NAME = 'com.docker.swarm.service.name';
const TASK_ID = 'com.docker.swarm.task.id';
const TASK_NAME = 'com.docker.swarm.task.name';
const NODE_ID = 'com.docker.swarm.node.id';

/**
 * Task names are `<service>.<slot>.<task id>`, for a global service `<service>.<node id>.<task id>`. Service names may contain dots.
 * @param nodeName what stands for the slot of a global service
 */
export function swarmLabels(labels: Readonly<Record<string, string>>, nodeName: string): SwarmLabels {
  const service = labels[SERVICE_NAME];
  const taskId = labels[TASK_ID];
  const name = labels[TASK_NAME];
  if (service === undefined || taskId === undefined || name === undefined) {
    return { service, taskId, slot: undefined };
  }
  const middle =
    name.startsWith(`${service}.`) && name.endsWith(`.${taskId}`)
      ? name.slice(service.length + 1, -taskId.length - 1)
      : undefined;
  return { service, taskId, slot: middle === labels[NODE_ID] ? nodeName : middle };
}
