import { SwarmcutError } from '../../../src/model/errors.ts';
import { nearest } from '../../../src/model/near.ts';
import type { ClusterNode } from '../../orchestrator/index.ts';

/** Where services are to go: a node per service, or Swarm's choice for services that are not named. */
export type Targets = ReadonlyMap<string, string>;

/**
 * Reads `--to`: each `service=node`, or `node` for every service that is not named. Services may be written without their stack's prefix.
 * @throws SwarmcutError `usage` or `not-found`, naming what is wrong
 */
export function readTargets(
  to: readonly string[],
  stack: string,
  services: readonly string[],
  nodes: readonly ClusterNode[],
): Targets {
  const targets = new Map<string, string>();
  let everywhere: string | undefined;
  for (const text of to) {
    const [left, right, ...rest] = text.split('=');
    if (left === undefined || left === '' || right === '' || rest.length > 0) {
      throw new SwarmcutError('usage', `--to ${text}: expected a node, or service=node`);
    }
    const node = knownNode(right ?? left, nodes);
    if (right === undefined) {
      if (everywhere !== undefined && everywhere !== node) {
        throw new SwarmcutError('usage', `--to names two nodes for every service: ${everywhere} and ${node}`, {
          advice: 'write service=node for all but one',
        });
      }
      everywhere = node;
    } else {
      targets.set(knownService(left, stack, services), node);
    }
  }
  if (everywhere !== undefined)
    for (const service of services) if (!targets.has(service)) targets.set(service, everywhere);
  return targets;
}

/** @throws SwarmcutError when there is no such node, or it takes no tasks */
export function knownNode(name: string, nodes: readonly ClusterNode[]): string {
  const node = nodes.find((candidate) => candidate.hostname === name || candidate.id === name);
  if (node === undefined) {
    const names = nodes.map(({ hostname }) => hostname).sort();
    const near = nearest(name, names);
    throw new SwarmcutError('not-found', `there is no node named ${name}`, {
      where: { node: name },
      advice:
        near.length > 0 ? `did you mean ${near.join(' or ')}?` : `the nodes of this Swarm are ${names.join(', ')}`,
    });
  }
  if (!node.usable) {
    throw new SwarmcutError(
      'precondition',
      `node ${node.hostname} takes no tasks: it is ${node.state}, ${node.availability}`,
      {
        where: { node: node.hostname },
        advice: `\`docker node update --availability active ${node.hostname}\`, or choose another node`,
      },
    );
  }
  return node.hostname;
}

function knownService(name: string, stack: string, services: readonly string[]): string {
  const found = services.find((service) => service === name || service === `${stack}_${name}`);
  if (found !== undefined) return found;
  const near = nearest(name, services);
  throw new SwarmcutError('not-found', `the snapshot has no service named ${name}`, {
    where: { stack },
    advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : `its services are ${services.join(', ')}`,
  });
}
