import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { didSome } from '../../../src/platform/activity.ts';

/** How much is read at a time; also bounds the memory of a copy. Bytes. */
const BLOCK_BYTES = 1024 * 1024;

export interface Hashed {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Reads a whole file; if `target` is given, writes the same bytes there. */
export async function hashFile(path: string, target?: FileHandle, signal?: AbortSignal): Promise<Hashed> {
  const source = await open(path, 'r');
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let sizeBytes = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await source.read(block, 0, block.length, null);
      if (bytesRead === 0) break;
      const bytes = block.subarray(0, bytesRead);
      hash.update(bytes);
      if (target !== undefined) await target.writeFile(bytes);
      sizeBytes += bytesRead;
      didSome();
    }
  } finally {
    await source.close();
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}
