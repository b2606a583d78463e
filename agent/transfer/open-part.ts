import { open, type FileHandle } from 'node:fs/promises';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { PartStore } from '../checkpoints/store/index.ts';

/** A part as it lies in the store, for reading. @throws SwarmcutError `not-found` */
export async function openPart(store: PartStore, sha256: string): Promise<{ file: FileHandle; sizeBytes: number }> {
  for (;;) {
    const found = await store.find(sha256);
    if (found === undefined) throw new SwarmcutError('not-found', `this node does not have part ${sha256}`);
    try {
      return { file: await open(found.path, 'r'), sizeBytes: found.sizeBytes };
    } catch (error) {
      // It has left the memory between the two: it is on disk now (`Ledger.release`), or gone.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
