import { messageOf } from '../../../src/model/errors.ts';
import { newId } from '../../../src/model/ids.ts';
import { passesByItself } from '../../../src/model/obstacles.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import type { CoordinatorContext } from '../session/context.ts';

/** How often a round is made when what is in its way passes by itself. */
const ATTEMPTS = 4;

/** How long to wait before the next one: each time longer by this. */
const AGAIN_AFTER_MS = 250;

/**
 * Some of what CRIU refuses is there for a moment only (src/model/obstacles.ts): the round is made again, under another id, a few times.
 * @param first id of the first round
 */
export async function untilItPasses<T>(
  ctx: Pick<CoordinatorContext, 'emit' | 'signal'>,
  first: string,
  round: (id: string) => Promise<T>,
): Promise<T> {
  let id = first;
  for (let attempt = 1; ; attempt++) {
    try {
      return await round(id);
    } catch (error) {
      const message = messageOf(error);
      if (attempt === ATTEMPTS || ctx.signal.aborted || !passesByItself(message)) throw error;
      ctx.emit({ kind: 'information', message: `${message}: it passes by itself, and is tried again` });
      await pause(AGAIN_AFTER_MS * attempt);
      id = newId(Date.now(), Math.random());
    }
  }
}
