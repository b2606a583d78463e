import { messageOf } from '../../src/model/errors.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { NodeInfo } from './session/reports.ts';
import { openSession } from './session/session.ts';

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
