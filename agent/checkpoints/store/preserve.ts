import type { Ledger } from './ledger.ts';
import type { PartStore } from './parts.ts';

/**
 * Writes what this node has of a snapshot to disk, where until now some of it was only in memory. When this resolves it survives a power cut.
 * @returns bytes written
 * @throws SwarmcutError `not-found` for a snapshot that this node has nothing of; DiskFullError
 */
export async function preserveSnapshot(
  snapshotId: string,
  ledger: Pick<Ledger, 'get' | 'has' | 'release'>,
  store: Pick<PartStore, 'pin' | 'persist'>,
): Promise<number> {
  const hashes = Object.values(ledger.get(snapshotId).tasks).flatMap(({ parts }) => parts.map(({ sha256 }) => sha256));
  // The round may be given up meanwhile: what is written after that must be found and swept.
  const owner = `preserve/${snapshotId}`;
  store.pin(owner, hashes);
  try {
    return await store.persist(hashes);
  } finally {
    await ledger.release(owner);
  }
}
