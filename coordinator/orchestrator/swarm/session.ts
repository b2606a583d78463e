import { nearest } from '../../../src/model/near.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { Catalogue } from '../../../src/storage/catalogue.ts';
import type { CoordinatorContext } from '../../api.ts';
import { Agents } from './agents.ts';
import { Swarm } from './swarm.ts';
import type { Stack, SwarmNode } from './types.ts';

/** What an operation works with: the Swarm, its agents, and the catalogue. */
export interface Session extends Disposable {
  readonly swarm: Swarm;
  readonly nodes: readonly SwarmNode[];
  readonly agents: Agents;
  readonly catalogue: Catalogue;
}

export async function openSession(ctx: CoordinatorContext): Promise<Session> {
  const swarm = new Swarm({ socketPath: ctx.dockerSocket, agentPort: ctx.agentPort });
  const nodes = await swarm.nodes();
  const agents = new Agents(nodes, ctx.directories.config);
  return {
    swarm,
    nodes,
    agents,
    catalogue: new Catalogue(ctx.directories.state),
    [Symbol.dispose]: () => agents[Symbol.dispose](),
  };
}

/** A stack that exists. @throws SwarmcutError `not-found`, with the names that come near */
export async function existingStack({ swarm, nodes }: Session, name: string): Promise<Stack> {
  const stack = await swarm.stack(name, nodes);
  if (stack.services.length > 0) return stack;
  const names = await swarm.stackNames();
  const near = nearest(name, names);
  const advice =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : names.length > 0
        ? `the stacks of this Swarm are ${names.join(', ')}`
        : 'this Swarm has no stacks: deploy one with `docker stack deploy`';
  throw new SwarmcutError('not-found', `there is no stack named ${name}`, { where: { stack: name }, advice });
}
