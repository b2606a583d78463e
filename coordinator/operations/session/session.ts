import { join } from 'node:path';
import { nearest } from '../../../src/model/near.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { assertStackName } from '../../../src/model/stack-name.ts';
import { Signer } from '../../../src/rpc/index.ts';
import type { Catalogue } from '../../../src/storage/catalogue.ts';
import type { Cluster, ClusterNode, Stack } from '../../orchestrator/index.ts';
import { Agents } from './agents.ts';
import { openCatalogue } from './catalogue.ts';
import type { CoordinatorContext } from './context.ts';
import { openEncryption, type Encryption } from './encryption.ts';

/** What an operation works with: the cluster, its agents, and the catalogue. */
export interface ClusterSession extends Disposable {
  readonly cluster: Cluster;
  readonly nodes: readonly ClusterNode[];
  readonly agents: Agents;
  readonly catalogue: Catalogue;
  /** Our own key, for what agents must be able to show to others. */
  readonly signer: Signer;
  /** What encrypts snapshots and opens them. */
  readonly encryption: Encryption;
}

export async function openClusterSession(ctx: CoordinatorContext): Promise<ClusterSession> {
  const { cluster } = ctx;
  const encryption = openEncryption(ctx);
  const nodes = await cluster.nodes();
  const agents = new Agents(nodes, ctx.directories.config);
  return {
    cluster,
    nodes,
    agents,
    catalogue: openCatalogue(ctx.directories),
    signer: new Signer(join(ctx.directories.config, 'coordinator')),
    encryption,
    [Symbol.dispose]: () => agents[Symbol.dispose](),
  };
}

/** A stack that exists. @throws SwarmcutError `usage` for what is no name; `not-found`, with the names that come near */
export async function existingStack({ cluster, nodes }: ClusterSession, name: string): Promise<Stack> {
  assertStackName(name);
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
