import { SwarmcutError } from '../../../src/model/errors.ts';
import { taskKey, type TaskRef } from '../../../src/model/task.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Agents } from '../session/agents.ts';
import type { Cluster, ClusterNode, ClusterTask, Stack } from '../../orchestrator/index.ts';

/** One task of a round and the agent that acts for it. */
export interface RoundTask {
  /** `service.slot`: the process id of the round. */
  readonly key: string;
  readonly ref: TaskRef;
  readonly task: ClusterTask;
  readonly agent: AgentClient;
}

/**
 * The tasks of a stack that take part in a round.
 * @throws SwarmcutError `precondition` when a task is not running: a cut without it would not be the stack's
 */
export function roundTasks(stack: Stack, agents: Agents): RoundTask[] {
  const problems: string[] = [];
  for (const service of stack.services) {
    const tasks = stack.tasks.filter((task) => task.serviceId === service.id);
    const running = tasks.filter((task) => task.state === 'running').length;
    if (service.updating === true && tasks.some(({ outdated }) => outdated === true)) {
      problems.push(`service ${service.name} is being updated`);
      continue;
    }
    if (service.mode === 'job') {
      if (tasks.length > 0) problems.push(`job ${service.name} has ${tasks.length} tasks that have not ended`);
      continue;
    }
    // What has done its work, and is not started again, is settled.
    const ended = stack.ended?.get(service.id) ?? 0;
    const wanted = service.mode === 'replicated' ? Math.max(service.replicas - ended, 0) : tasks.length;
    if (running === wanted && tasks.length === wanted) continue;
    const stuck = tasks.find((task) => task.state !== 'running');
    const why = stuck === undefined ? '' : `: ${stuck.slot} is ${stuck.state}${stuck.error && ` (${stuck.error})`}`;
    problems.push(`service ${service.name} has ${running} of ${wanted} tasks running${why}`);
  }
  if (problems.length > 0) {
    throw new SwarmcutError('precondition', `stack ${stack.name} is not settled: ${problems.join('; ')}`, {
      where: { stack: stack.name },
      advice: `wait until \`docker stack services ${stack.name}\` shows all replicas, or scale down what cannot run`,
    });
  }
  const { tasks } = stack;
  if (tasks.length === 0) {
    throw new SwarmcutError('precondition', `stack ${stack.name} has no running task`, {
      where: { stack: stack.name },
    });
  }
  return tasks.map((task) => ({
    key: taskKey(task),
    ref: { service: task.service, slot: task.slot, taskId: task.taskId, containerId: task.containerId },
    task,
    agent: agents.of(task.node),
  }));
}

/** The overlay networks between these tasks, each once. */
export function overlaySubnets(tasks: readonly ClusterTask[]): string[] {
  return [...new Set(tasks.flatMap((task) => task.networks.flatMap((network) => network.subnets)))].sort();
}

/** Addresses on the stack's networks that tasks of other stacks have, and their services' virtual ones. */
export async function foreignAddresses(
  cluster: Pick<Cluster, 'services' | 'tasks'>,
  nodes: readonly ClusterNode[],
  { name, tasks }: Stack,
): Promise<string[]> {
  const networks = tasks.flatMap((task) => task.networks);
  const others = (await cluster.services()).filter(({ stack }) => stack !== name);
  const foreign = await cluster.tasks(others, nodes, 'wanted');
  return [
    ...foreign.flatMap(({ addresses }) =>
      addresses.filter(({ network }) => networks.some((one) => one.name === network)),
    ),
    ...others.flatMap(({ virtualAddresses = [] }) =>
      virtualAddresses.filter(({ networkId }) => networks.some(({ id }) => id === networkId)),
    ),
  ].map(({ address }) => address);
}
