import { SwarmcutError } from '../../../src/model/errors.ts';
import { assertStackName } from '../../../src/model/stack-name.ts';
import { newId } from '../../../src/model/ids.ts';
import { withStackLock } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { DetachOptions, DetachReport } from '../session/reports.ts';
import { openClusterSession } from '../session/session.ts';
import { everyAgent, listSidecars } from './sidecars.ts';

/**
 * Takes the sidecars of a stack away, on all nodes, also those of a stack that Swarm no longer has.
 * @throws SwarmcutError `precondition` when they carry connections, which would be reset, unless `force` is given
 */
export async function detachSidecars(
  ctx: CoordinatorContext,
  stack: string,
  options: DetachOptions,
): Promise<DetachReport> {
  using opened = await openClusterSession(ctx);
  const id = newId(Date.now(), Math.random());
  assertStackName(stack);
  return await withStackLock(ctx, opened, stack, { command: 'detachment', id }, async (ctx, session) => {
    const found = await listSidecars(ctx, session, stack);
    const sidecars = found.answers.flatMap(({ answer }) => answer);
    const carried = carriedConnections(sidecars);
    if (carried > 0 && options.force !== true) {
      const many = carried === 1 ? '1 connection goes' : `${carried} connections go`;
      throw new SwarmcutError('precondition', `${many} through the sidecars of ${stack} and would be reset`, {
        where: { stack },
        advice: 'nothing was done; give --force if that may be',
      });
    }
    const { unreached } = await everyAgent(ctx, session, (agent) => agent.detach({ stack }, { signal: ctx.signal }));
    ctx.log.info({ stack, sidecars: sidecars.length, carried, unreached }, 'sidecars are detached');
    return { stack, sidecars: sidecars.length, resetConnections: carried, unreached };
  });
}

/**
 * Connections that sidecars carry. Each between two tasks goes through two of them, but after a sidecar has died (or while a node is away)
 * a stream may be seen from one side only: so rather one too many.
 */
export function carriedConnections(sidecars: readonly { readonly streams: number }[]): number {
  return Math.ceil(sidecars.reduce((sum, { streams }) => sum + streams, 0) / 2);
}
