import { messageOf } from '../../src/model/errors.ts';
import type { CoordinatorContext, NodeInfo } from '../api.ts';
import { openSession } from '../orchestrator/swarm/session.ts';

/** Asks every node of the Swarm; unreachable ones are entries with an error. */
export async function checkNodes(ctx: CoordinatorContext): Promise<NodeInfo[]> {
  using session = await openSession(ctx);
  return await Promise.all(
    session.nodes
      .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
      .map(async ({ hostname }): Promise<NodeInfo> => {
        try {
          return await session.agents
            .of(hostname)
            .info({ preflight: true }, { deadlineMs: 60_000, signal: ctx.signal });
        } catch (error) {
          return { node: hostname, error: messageOf(error) };
        }
      }),
  );
}
