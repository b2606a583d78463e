import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { ASK_MS } from '../session/patience.ts';
import type { ClusterSession } from '../session/session.ts';

export interface Reachable {
  readonly agents: readonly AgentClient[];
  /** Usable nodes whose agent does not answer, and why: Swarm must not place a task there, it would start empty. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/** @throws SwarmcutError `unreachable` when no agent answers at all */
export async function reachableAgents(ctx: CoordinatorContext, session: ClusterSession): Promise<Reachable> {
  const agents: AgentClient[] = [];
  const leftOut = new Map<string, string>();
  await Promise.all(
    session.nodes
      .filter((node) => node.state === 'ready')
      .map(async ({ hostname }) => {
        try {
          const agent = session.agents.of(hostname);
          const info = await agent.info({}, { deadlineMs: ASK_MS });
          if (info.engine === '') throw new SwarmcutError('unreachable', 'its engine does not answer');
          if (!info.shimInstalled) {
            throw new SwarmcutError('precondition', 'the shim is not the default runtime there (`agent install`)');
          }
          agents.push(agent);
        } catch (error) {
          leftOut.set(hostname, messageOf(error));
          ctx.emit({ kind: 'warning', message: `node ${hostname} is left out: ${messageOf(error)}` });
        }
      }),
  );
  // In no order of who was faster: what is found first is told to people.
  agents.sort((a, b) => a.node.localeCompare(b.node));
  if (agents.length > 0) return { agents, leftOut: new Map([...leftOut].sort()) };
  throw new SwarmcutError('unreachable', 'no agent answers on any node of this Swarm', {
    advice: '`coordinator check` tells more; start the agents (`systemctl start swarmcut-agent`)',
  });
}

/**
 * Where a node's agent, shim or engine is away, Swarm would start a new task as an ordinary one: empty, beside the one that it is to be.
 * @param targets services and the nodes that they must go to
 * @throws SwarmcutError `unreachable` when one of these was left out
 */
export function refuseLeftOut(
  targets: Iterable<readonly [service: string, node: string]>,
  { agents, leftOut }: Reachable,
): void {
  for (const [service, node] of targets) {
    if (agents.some((agent) => agent.node === node)) continue;
    throw new SwarmcutError(
      'unreachable',
      `${service} cannot go to ${node}: ${leftOut.get(node) ?? 'Swarm does not call it ready'}`,
      {
        where: { node, service },
        advice:
          'nothing was changed; bring the node and its agent back (`systemctl start swarmcut-agent`), or choose another node',
      },
    );
  }
}
