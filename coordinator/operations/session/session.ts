import { nearest } from '../../../src/model/near.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { Catalogue } from '../../../src/storage/catalogue.ts';
import type { Cluster, ClusterNode, Stack } from '../../orchestrator/index.ts';
import { Agents } from './agents.ts';
import type { CoordinatorContext } from './context.ts';

/** What an operation works with: the cluster, its agents, and the catalogue. */
export interface ClusterSession extends Disposable {
  readonly cluster: Cluster;
  readonly nodes: readonly ClusterNode[];
  readonly agents: Agents;
  readonly catalogue: Catalogue;
}

export async function openClusterSession(ctx: CoordinatorContext): Promise<ClusterSession> {
  const { cluster } = ctx;
  const nodes = await cluster.nodes();
  const agents = new Agents(nodes, ctx.directories.config);
  return {
    cluster,
    nodes,
    agents,
    catalogue: new Catalogue(ctx.directories.state),
    [Symbol.dispose]: () => agents[Symbol.dispose](),
  };
}

/** A stack that exists. @throws SwarmcutError `not-found`, with the names that come near */
export async function existingStack({ cluster, nodes }: ClusterSession, name: string): Promise<Stack> {
  const stack = await cluster.stack(name, nodes);
  if (stack.services.length > 0) return stack;
  const names = await cluster.stackNames();
  const near = nearest(name, names);
  const advice =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : names.length > 0
        ? `the stacks of this Swarm are ${names.join(', ')}`
        : 'this Swarm has no stacks: deploy one with `docker stack deploy`';
  throw new SwarmcutError('not-found', `there is no stack named ${name}`, { where: { stack: name }, advice });
}
