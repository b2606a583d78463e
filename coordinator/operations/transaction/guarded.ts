import { SwarmcutError } from '../../../src/model/errors.ts';
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
    const told: string[] = [];
    const emit: CoordinatorContext['emit'] = (event) => {
      if (event.kind === 'warning') told.push(event.message);
      ctx.emit(event);
    };
    if (!(error instanceof NotReleased) || !(await resolved({ ...ctx, emit }, session, stack))) throw error;
    const lost = error.members.map(({ key, node }) => `${key} on ${node}`).join(', ');
    throw new SwarmcutError('failed', [`new tasks could not be released at once: ${lost}`, ...told].join('; '), {
      where: { stack },
      advice: '`docker stack ps` shows what runs',
      cause: error,
    });
  } finally {
    const { lock } = session;
    // Who has the lock now has the journal, too.
    if (lock.isLost || (lock.journal === undefined && !lock.isInDoubt)) guardian?.dismiss();
    else guardian?.takeOver();
  }
}

/** A commit that could not be carried out: what becomes of it is told. Never throws. @returns false if it is left to the guardian */
async function resolved(ctx: CoordinatorContext, session: LockedSession, stack: string): Promise<boolean> {
  const until = performance.now() + RESOLVE_MS;
  for (;;) {
    try {
      await putServicesBack(ctx, session, stack);
      return true;
    } catch {
      if (performance.now() > until || ctx.signal.aborted) return false;
    }
    await pause(RETRY_MS, ctx.signal).catch(() => undefined);
  }
}
