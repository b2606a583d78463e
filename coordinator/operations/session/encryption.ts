import { join } from 'node:path';
import { LABELS } from '../../../src/config/labels.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import {
  DEFAULT_ENCRYPTION_FILES,
  EncryptionKeys,
  encryptionFiles,
} from '../../../src/storage/encryption/key-files.ts';
import { contentKey } from '../../../src/storage/encryption/snapshot-key.ts';
import {
  newSnapshotKey,
  unwrapSnapshotKey,
  wrapSnapshotKey,
  type SnapshotKeyMark,
  type WrappedKey,
} from '../../../src/storage/encryption/wrapped-key.ts';
import type { CoordinatorContext } from './context.ts';

/** The keys for a snapshot that is being taken. */
export interface SnapshotSealing {
  /** For the agents. */
  readonly keys: { readonly snapshotKey: Buffer; readonly contentKey: Buffer };
  /** For the manifest. */
  readonly snapshotKeyId: string;
  /** To lie beside the manifest. */
  readonly wrapped: WrappedKey;
}

/** What encrypts snapshots and opens them. */
export interface Encryption {
  /** Where the key comes from. @throws SwarmcutError `usage` when there are two */
  keys(): Promise<EncryptionKeys>;
  /**
   * Keys for a new snapshot; undefined when there is no key and none is required.
   * @throws SwarmcutError `precondition`
   */
  begin(id: string, stack: string, wanted: 'required' | 'optional'): Promise<SnapshotSealing | undefined>;
  /** The key of a snapshot; undefined for one that is not encrypted. @throws as `unwrapSnapshotKey` */
  open(manifest: SnapshotKeyMark, wrappedKeyFile: string): Promise<Buffer | undefined>;
}

/** Looks for no file yet: what has nothing to do with encryption, such as putting a stack back, must not fail because of it. */
export function openEncryption({
  directories,
  encryption,
}: Pick<CoordinatorContext, 'directories' | 'encryption'>): Encryption {
  const identity = join(directories.config, 'coordinator');
  let found: Promise<EncryptionKeys> | undefined;
  const keys = (): Promise<EncryptionKeys> =>
    (found ??= encryptionFiles(encryption ?? {}, identity).then(
      (files) => new EncryptionKeys(files, directories.state),
    ));
  return {
    keys,
    async begin(id, stack, wanted) {
      const key = await (await keys()).current();
      if (key === undefined && wanted === 'optional') return undefined;
      if (key === undefined)
        throw new SwarmcutError('precondition', `snapshots of ${stack} must be encrypted, and no key is given`, {
          where: { stack },
          advice: `its label ${LABELS.encrypt} says so: name a file by --encrypt-key-file, or put one at ${join(identity, DEFAULT_ENCRYPTION_FILES.keyFile)} (\`umask 077; openssl rand -hex 32\`)`,
        });
      const { bytes: snapshotKey, id: snapshotKeyId } = newSnapshotKey();
      return {
        keys: { snapshotKey, contentKey: contentKey(key.bytes, stack) },
        snapshotKeyId,
        wrapped: wrapSnapshotKey(snapshotKey, key, id),
      };
    },
    open: async (manifest, file) =>
      manifest.encryption === undefined ? undefined : unwrapSnapshotKey(manifest, file, await keys()),
  };
}
