import { endpointText } from '../../../src/model/connection.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Sidecar__Output } from '../../../src/rpc/generated/swarmcut/Sidecar.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { SidecarReport, SidecarsReport } from '../session/reports.ts';
import { existingStack, openClusterSession, type ClusterSession } from '../session/session.ts';
import type { Stack } from '../../orchestrator/index.ts';

/** What the agents of all nodes answered to one question about sidecars. */
export interface Answers<Answer> {
  readonly answers: readonly { readonly node: string; readonly answer: Answer }[];
  readonly unreached: readonly { readonly node: string; readonly error: string }[];
}

/** The sidecars of a stack, as its agents see them now. */
export async function sidecarsOf(ctx: CoordinatorContext, stackName: string): Promise<SidecarsReport> {
  using session = await openClusterSession(ctx);
  const stack = await existingStack(session, stackName);
  return sidecarsReport(stack, await listSidecars(ctx, session, stackName));
}

export async function listSidecars(
  ctx: CoordinatorContext,
  session: ClusterSession,
  stack: string,
): Promise<Answers<readonly Sidecar__Output[]>> {
  return everyAgent(ctx, session, async (agent) => (await agent.sidecars({ stack }, { signal: ctx.signal })).sidecars);
}

/**
 * Asks the agents of all nodes at once. An agent that does not answer is no reason not to tell the others; neither is a node that is down, but
 * one that Swarm itself cannot reach is not worth waiting for.
 * @throws whatever an agent that did answer refused
 */
export async function everyAgent<Answer>(
  ctx: CoordinatorContext,
  session: ClusterSession,
  ask: (agent: AgentClient) => Promise<Answer>,
): Promise<Answers<Answer>> {
  const answers: { node: string; answer: Answer }[] = [];
  const unreached: { node: string; error: string }[] = [];
  await Promise.all(
    session.nodes.map(async ({ hostname: node, state }) => {
      if (state !== 'ready') {
        unreached.push({ node, error: `the node is ${state}` });
        return;
      }
      try {
        answers.push({ node, answer: await ask(session.agents.of(node)) });
      } catch (error) {
        if (!(error instanceof SwarmcutError) || error.code !== 'unreachable') throw error;
        unreached.push({ node, error: messageOf(error) });
        ctx.log.warn({ node, reason: messageOf(error) }, 'an agent was not reached');
      }
    }),
  );
  const byNode = (a: { node: string }, b: { node: string }): number => a.node.localeCompare(b.node);
  return { answers: answers.sort(byNode), unreached: unreached.sort(byNode) };
}

/** Puts what the agents answered beside the tasks that Swarm runs. */
export function sidecarsReport(stack: Stack, found: Answers<readonly Sidecar__Output[]>): SidecarsReport {
  const sidecars = found.answers
    .flatMap(({ node, answer }) => answer.flatMap((sidecar) => reportOf(node, sidecar)))
    .sort((a, b) => a.service.localeCompare(b.service) || a.slot.localeCompare(b.slot, undefined, { numeric: true }));
  const attached = new Set(sidecars.map(taskKey));
  const jobs = new Set(stack.services.filter(({ mode }) => mode === 'job').map(({ id }) => id));
  const without = stack.tasks
    .filter(({ state, serviceId }) => state === 'running' && !jobs.has(serviceId))
    .map(taskKey)
    .filter((key) => !attached.has(key));
  return { stack: stack.name, sidecars, without: without.sort(), unreached: found.unreached };
}

function reportOf(
  node: string,
  { task, alive, streams, peers, direct, rssBytes, starts }: Sidecar__Output,
): SidecarReport[] {
  if (task === null) return [];
  const old = direct.flatMap(({ local, remote }) =>
    local === null || remote === null ? [] : [{ local: endpointText(local), remote: endpointText(remote) }],
  );
  return [{ service: task.service, slot: task.slot, node, alive, streams, peers, direct: old, rssBytes, starts }];
}
