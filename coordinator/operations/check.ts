import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { NodeInfo } from './session/reports.ts';
import { openClusterSession } from './session/session.ts';

/** Asks every node of the Swarm; unreachable ones are entries with an error. */
export async function checkNodes(ctx: CoordinatorContext): Promise<NodeInfo[]> {
  using session = await openClusterSession(ctx);
  return await Promise.all(
    session.nodes
      .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
      .map(async ({ hostname }): Promise<NodeInfo> => {
        try {
          return await session.agents
            .of(hostname)
            .info({ preflight: true }, { deadlineMs: 60_000, signal: ctx.signal });
        } catch (error) {
          if (isOurs(error)) throw error;
          return { node: hostname, error: textOf(error) };
        }
      }),
  );
}

/** It is the same for every node. */
function isOurs(error: unknown): boolean {
  if (!(error instanceof SwarmcutError)) return false;
  const { node, file } = error.where;
  return error.code === 'precondition' && file !== undefined && node === undefined;
}

/** What is wrong, and in a second line what to do, where that is known. */
function textOf(error: unknown): string {
  const advice = error instanceof SwarmcutError ? error.advice : undefined;
  return advice === undefined ? messageOf(error) : `${messageOf(error)}\n${advice}`;
}
