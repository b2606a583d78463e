import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';

/**
 * The next epoch of a stack: counted in the cluster's own state, whichever manager it is. Where none has been counted there yet, or the count was
 * removed, it begins behind every epoch that is known otherwise.
 */
export function nextEpoch(
  ctx: Pick<CoordinatorContext, 'directories'>,
  { lock, catalogue }: Pick<LockedSession, 'lock' | 'catalogue'>,
  stack: string,
): Promise<number> {
  return lock.nextEpoch(async () => {
    const known = (await catalogue.list()).map((entry) =>
      'manifest' in entry && entry.manifest.stack === stack ? entry.manifest.epoch : 0,
    );
    return Math.max(await countedHere(ctx.directories.state, stack), ...known);
  });
}

/** Earlier versions counted for each manager by itself. */
async function countedHere(stateDir: string, stack: string): Promise<number> {
  const text = await readFile(join(stateDir, 'epochs', encodeURIComponent(stack)), 'utf8').catch(() => '0');
  const last = Number.parseInt(text, 10);
  return Number.isSafeInteger(last) && last > 0 ? last : 0;
}
