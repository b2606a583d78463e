import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { withStackLock } from '../lock/stack-lock.ts';
import { putServicesBack } from './recovery.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { openClusterSession } from '../session/session.ts';

/** Agents or the engine may be away: it is tried again for as long as agents keep tasks waiting (10 minutes). Milliseconds. */
const PATIENCE_MS = 600_000;
const RETRY_MS = 2_000;

/**
 * Finishes what an operation on a stack has left that died, forward or backward, without a person. If somebody works on the stack, that one
 * does it, and this one looks whether something is left. The lease of the process that has died, if it was one of this machine, is taken over at once.
 * @throws what stood in its way to the last
 */
export async function resumeStack(ctx: CoordinatorContext, stack: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      using session = await openClusterSession(ctx);
      const work = {
        command: 'recovery',
        id: String(process.pid),
        waitMs: Math.max(0, until - performance.now()),
      };
      await withStackLock(ctx, session, stack, work, async (locked, own) => {
        await putServicesBack(locked, own, stack);
        if (own.lock.journal !== undefined)
          throw new SwarmcutError('unreachable', 'some agents do not know yet that it is over');
      });
      return;
    } catch (error) {
      if (performance.now() > until || ctx.signal.aborted) throw error;
      ctx.log.warn({ stack, reason: messageOf(error) }, 'cannot finish what was left: trying again');
      await pause(RETRY_MS, ctx.signal);
    }
  }
}
