import { PartKeys, partKey } from './snapshot-key.ts';

/** What encrypts the parts of a snapshot. */
export interface PartSealing {
  /** The key for a part. @param plainSha256 of what is to be encrypted, hex */
  keyOf(plainSha256: string): Buffer;
  /** The key as it may lie on a disk. @param sha256 of the encrypted part */
  wrap(key: Uint8Array, sha256: string): string;
}

/** @param snapshotKey wraps the parts' keys @param contentKey makes them */
export function partSealing(snapshotKey: Uint8Array, contentKey: Uint8Array): PartSealing {
  const keys = new PartKeys(snapshotKey);
  return {
    keyOf: (plainSha256) => partKey(contentKey, plainSha256),
    wrap: (key, sha256) => keys.wrap(key, sha256),
  };
}
