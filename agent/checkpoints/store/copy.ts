import { open } from 'node:fs/promises';
import { megabytes } from '../../../src/model/size.ts';
import { didSome } from '../../../src/platform/activity.ts';

/** How much is copied at a time; also bounds the memory that it takes. Bytes. */
const BLOCK_BYTES = 1024 * 1024;

/** A disk is waited for after so much, or the whole of a large file would be waited for at its end, without a sign of how far it is. Bytes. */
const SYNC_EVERY_BYTES = 256 * 1024 * 1024;

/**
 * Copies a file, and says while it does that it gets on. What came last may not have reached the platter when this resolves.
 * @param target is made, and must not be there
 */
export async function copyInPieces(source: string, target: string, syncEveryBytes = SYNC_EVERY_BYTES): Promise<void> {
  await using from = await open(source, 'r');
  await using to = await open(target, 'wx', 0o600);
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let copied = 0;
  let synced = 0;
  for (;;) {
    const { bytesRead } = await from.read(block, 0, block.length, null);
    if (bytesRead === 0) return;
    await to.writeFile(block.subarray(0, bytesRead));
    copied += bytesRead;
    if (copied - synced >= syncEveryBytes) {
      await to.datasync();
      synced = copied;
    }
    didSome(`${megabytes(copied)} of a part are written to disk`);
  }
}
