import { SwarmcutError } from '../../../src/model/errors.ts';
import { nearest } from '../../../src/model/near.ts';
import type { ClusterSession } from '../session/session.ts';
import type { Stack, ClusterService } from '../../orchestrator/index.ts';
import type { RoundTask } from '../rounds/participants.ts';

/**
 * A stack, or a service with or without its stack's prefix.
 * @throws SwarmcutError `not-found`, with the names that come near; `precondition` for a service without a stack
 */
export async function findTarget(
  session: ClusterSession,
  what: string,
): Promise<{ stack: Stack; services: readonly ClusterService[] }> {
  const stack = await session.cluster.stack(what, session.nodes);
  if (stack.services.length > 0) return { stack, services: stack.services };
  const service = await session.cluster.service(what);
  const owner = service?.stack;
  if (service !== undefined && owner !== undefined) {
    const ownerStack = await session.cluster.stack(owner, session.nodes);
    return { stack: ownerStack, services: ownerStack.services.filter(({ id }) => id === service.id) };
  }
  if (service !== undefined) {
    throw new SwarmcutError('precondition', `service ${what} does not belong to a stack`, {
      where: { service: what },
      advice: 'deploy it with `docker stack deploy`: only stacks can be moved',
    });
  }
  const services = await session.cluster.services();
  const names = [...new Set([...services.map(({ name }) => name), ...(await session.cluster.stackNames())])];
  const near = nearest(what, names);
  throw new SwarmcutError('not-found', `there is no stack or service named ${what}`, {
    advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : `known are ${names.sort().join(', ')}`,
  });
}

/** @throws SwarmcutError `not-found`, with the names that come near */
export function existingNode(name: string, session: ClusterSession): string {
  const node = session.nodes.find((candidate) => candidate.hostname === name);
  if (node !== undefined) return node.hostname;
  const near = nearest(
    name,
    session.nodes.map(({ hostname }) => hostname),
  );
  throw new SwarmcutError('not-found', `there is no node named ${name}`, {
    where: { node: name },
    advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : '`docker node ls` lists them',
  });
}

/**
 * The services that are to move. Swarm places a service's tasks by one set of constraints, so that a service moves as a whole: with
 * `--from`, every service that has a task there.
 * @throws SwarmcutError `precondition` when there is none, or one that cannot be moved live
 */
export function chosenServices(
  services: readonly ClusterService[],
  tasks: readonly RoundTask[],
  from: string | undefined,
  to: string | undefined,
): readonly ClusterService[] {
  const moving = services.filter((service) => {
    const own = tasks.filter(({ task }) => task.serviceId === service.id);
    if (own.length === 0) return false;
    if (from !== undefined) return own.some(({ task }) => task.node === from);
    return to === undefined || own.some(({ task }) => task.node !== to);
  });
  if (moving.length === 0) {
    const place = from === undefined ? `is on ${to ?? 'a node'} already` : `has a task on ${from}`;
    throw new SwarmcutError('precondition', from === undefined ? `everything ${place}` : `nothing of it ${place}`, {
      advice: '`docker stack ps` shows where the tasks are',
    });
  }
  const stuck = moving.find((service) => service.mode === 'global' || service.publishesHostPorts);
  if (stuck !== undefined) {
    const why =
      stuck.mode === 'global' ? 'is global: it has a task on every node' : 'publishes ports of its nodes (mode host)';
    throw new SwarmcutError('precondition', `service ${stuck.name} cannot be moved live: it ${why}`, {
      where: { service: stuck.name },
      advice: 'name the services that are to move one by one, or use snapshot and restore',
    });
  }
  return moving;
}
