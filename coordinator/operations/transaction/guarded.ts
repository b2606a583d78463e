import type { StackLock } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';

/** Does work that changes services; if this process dies in it, or cannot finish it, the guardian does. */
export async function guarded<Result>(
  ctx: Pick<CoordinatorContext, 'guard'>,
  lock: Pick<StackLock, 'journal' | 'isInDoubt' | 'isLost'>,
  stack: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const guardian = ctx.guard?.(stack);
  try {
    return await work();
  } finally {
    // Who has the lock now has the journal, too.
    if (lock.isLost || (lock.journal === undefined && !lock.isInDoubt)) guardian?.dismiss();
    else guardian?.takeOver();
  }
}
