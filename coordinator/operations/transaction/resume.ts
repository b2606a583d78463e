import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { acquireStackLock, type StackLock } from '../../../src/storage/locks.ts';
import { putServicesBack } from './recovery.ts';
import { ReplacementJournal } from './replacement-journal.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { openClusterSession } from '../session/session.ts';

/** Agents or the engine may be away: it is tried again for as long as agents keep tasks waiting (10 minutes). Milliseconds. */
const PATIENCE_MS = 600_000;
const RETRY_MS = 2_000;
const LOCK_RETRY_MS = 100;

/**
 * Finishes what an operation on a stack has left that died, forward or backward, without a person. If somebody works on the stack, that one
 * does it.
 * @throws what stood in its way to the last
 */
export async function resumeStack(ctx: CoordinatorContext, stack: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      const lock = await waitForLock(ctx, stack, until);
      try {
        using session = await openClusterSession(ctx);
        await putServicesBack(ctx, session, stack);
        if ((await new ReplacementJournal(ctx.directories.state, stack).read()) === undefined) return;
        throw new SwarmcutError('unreachable', 'some agents do not know yet that it is over');
      } finally {
        await lock.release();
      }
    } catch (error) {
      if (performance.now() > until || ctx.signal.aborted) throw error;
      ctx.log.warn({ stack, reason: messageOf(error) }, 'cannot finish what was left: trying again');
      await pause(RETRY_MS, ctx.signal);
    }
  }
}

async function waitForLock(ctx: CoordinatorContext, stack: string, until: number): Promise<StackLock> {
  for (;;) {
    try {
      return await acquireStackLock(ctx.directories.run, stack, { command: 'recovery', id: String(process.pid) });
    } catch (error) {
      const busy = error instanceof SwarmcutError && error.code === 'conflict';
      if (!busy || performance.now() > until) throw error;
      await pause(LOCK_RETRY_MS, ctx.signal);
    }
  }
}
