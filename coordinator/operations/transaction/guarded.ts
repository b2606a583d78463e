import { pause } from '../../../src/platform/deadlines.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import { NotReleased } from './commit.ts';
import { putServicesBack } from './recovery.ts';

/** A node that has died is known to be down after some 20 s: so long a person waits for what becomes of the commit. Milliseconds. */
const RESOLVE_MS = 45_000;
const RETRY_MS = 2_000;

/** Does work that changes services; if this process dies in it, or cannot finish it, the guardian does. */
export async function guarded<Result>(
  ctx: CoordinatorContext,
  session: LockedSession,
  stack: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const guardian = ctx.guard?.(stack);
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotReleased) await resolve(ctx, session, stack);
    throw error;
  } finally {
    const { lock } = session;
    // Who has the lock now has the journal, too.
    if (lock.isLost || (lock.journal === undefined && !lock.isInDoubt)) guardian?.dismiss();
    else guardian?.takeOver();
  }
}

/** A commit that could not be carried out: what becomes of it is told. Never throws; what is left is the guardian's. */
async function resolve(ctx: CoordinatorContext, session: LockedSession, stack: string): Promise<void> {
  const until = performance.now() + RESOLVE_MS;
  for (;;) {
    try {
      await putServicesBack(ctx, session, stack);
      return;
    } catch {
      if (performance.now() > until || ctx.signal.aborted) return;
    }
    await pause(RETRY_MS, ctx.signal).catch(() => undefined);
  }
}
