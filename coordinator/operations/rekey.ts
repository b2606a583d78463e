import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { Directories } from '../../src/model/paths.ts';
import { EncryptionKeys, encryptionFiles, type EncryptionFiles } from '../../src/storage/encryption/key-files.ts';
import {
  readWrappedKey,
  unwrapSnapshotKey,
  wrapSnapshotKey,
  writeWrappedKey,
} from '../../src/storage/encryption/wrapped-key.ts';
import { openCatalogue } from './session/catalogue.ts';

export interface RekeyOptions {
  readonly directories: Directories;
  /** Of the new key; without, the file in the coordinator's configuration. */
  readonly encryption: EncryptionFiles;
  /** Of the key that the snapshots have now. */
  readonly old: EncryptionFiles;
}

/** What became of the snapshots, by id. */
export interface RekeyReport {
  /** Of the new key. */
  readonly keyId: string;
  readonly rewrapped: readonly string[];
  /** They had the new key already. */
  readonly unchanged: readonly string[];
  /** They are not encrypted. */
  readonly plain: readonly string[];
  /** They keep their key, each with the reason. */
  readonly failed: readonly { readonly id: string; readonly error: SwarmcutError }[];
}

/**
 * Wraps the keys of snapshots with another encryption key. Parts and manifests stay as they are. Each wrapped key is replaced at once or not at all, so
 * it can be broken off anywhere and done again: what has the new key is left alone.
 * @throws SwarmcutError `precondition` when there is no new key, or a key file cannot be read; nothing was changed then
 */
export async function rekeySnapshots(ids: readonly string[], options: RekeyOptions): Promise<RekeyReport> {
  const { directories } = options;
  const identity = join(directories.config, 'coordinator');
  const fresh = new EncryptionKeys(await encryptionFiles(options.encryption, identity), directories.state);
  const key = await fresh.current();
  if (key === undefined)
    throw new SwarmcutError('precondition', 'there is no new key', {
      advice: `name its file by --encrypt-key-file, or put it at ${join(identity, 'encrypt.key')}`,
    });
  const old = new EncryptionKeys(options.old, directories.state);
  const catalogue = openCatalogue(directories);
  const report = { keyId: key.id, rewrapped: [] as string[], unchanged: [] as string[], plain: [] as string[] };
  const failed: { id: string; error: SwarmcutError }[] = [];
  for (const id of ids) {
    const file = catalogue.wrappedKeyPath(id);
    try {
      const { manifest } = await catalogue.read(id);
      if (manifest.encryption === undefined) {
        report.plain.push(id);
      } else if ((await readWrappedKey(file, id)).keyId === key.id) {
        // It must be the key that it says: what is not looked at now would be found out when the old key is gone.
        await unwrapSnapshotKey(manifest, file, fresh);
        report.unchanged.push(id);
      } else {
        const snapshotKey = await unwrapSnapshotKey(manifest, file, old);
        if (snapshotKey === undefined) continue;
        await writeWrappedKey(file, wrapSnapshotKey(snapshotKey, key, id));
        report.rewrapped.push(id);
      }
    } catch (error) {
      if (!(error instanceof SwarmcutError)) throw error;
      failed.push({ id, error });
    }
  }
  return { ...report, failed };
}
