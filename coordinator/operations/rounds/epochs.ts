import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../../src/platform/files.ts';

/**
 * The next epoch of a stack. Counted durably before the round begins, whether the round succeeds or not, so that two rounds in a row
 * never share a colour (the epoch's parity).
 */
export async function nextEpoch(stateDir: string, stack: string): Promise<number> {
  const file = join(stateDir, 'epochs', encodeURIComponent(stack));
  const text = await readFile(file, 'utf8').catch(() => '0');
  const last = Number.parseInt(text, 10);
  const epoch = (Number.isSafeInteger(last) && last > 0 ? last : 0) + 1;
  await writeDurably(file, `${epoch}\n`);
  return epoch;
}
