import type { CoordinatorContext } from '../session/context.ts';
import { ReplacementJournal } from './replacement-journal.ts';

/** Does work that changes services; if this process dies in it, or cannot finish it, the guardian does. */
export async function guarded<Result>(
  ctx: CoordinatorContext,
  stack: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const guardian = ctx.guard?.(stack);
  try {
    return await work();
  } finally {
    const left = await new ReplacementJournal(ctx.directories.state, stack).read().catch(() => undefined);
    if (left === undefined) guardian?.dismiss();
    else guardian?.takeOver();
  }
}
