import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { patchTimers } from '../../../src/formats/criu-timers.ts';

/** Corrects in a fresh dump what CRIU would restore otherwise than it was (see `patchTimers`). Takes about a millisecond. */
export async function patchImages(imagePath: string): Promise<void> {
  const file = join(imagePath, 'files.img');
  const patched = patchTimers(await readFile(file));
  if (patched !== undefined) await writeFile(file, patched);
}
