import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Part } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { isInMemory, orDiskFull } from '../../../src/platform/disk-full.ts';
import { openSealed } from '../../../src/storage/encryption/part-cipher.ts';
import type { PartKeys } from '../../../src/storage/encryption/snapshot-key.ts';
import { megabytes } from '../../../src/model/size.ts';
import { promptCollection } from '../../transfer/prompt-collection.ts';
import { concurrently } from './concurrently.ts';
import { pathInside } from './parts.ts';
import type { PartStore } from './parts.ts';

/** Files that are opened at the same time: one decrypts while another one is written. */
const PARALLEL = 2;

export interface OpeningOptions {
  readonly store: Pick<PartStore, 'path'>;
  readonly keys: PartKeys | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The key of an encrypted part. @throws SwarmcutError `precondition` without the snapshot's key, `damaged` when it is another one's */
export function openedKey({ sha256, path, wrappedKey }: Part, keys: PartKeys | undefined): Buffer {
  if (keys === undefined)
    throw new SwarmcutError('precondition', `part ${path} is encrypted, and the coordinator has sent no key`);
  const key = keys.unwrap(wrappedKey ?? '', sha256);
  if (key !== undefined) return key;
  throw new SwarmcutError('damaged', `the key of part ${path} (${sha256}) is not wrapped by the snapshot's key`);
}

/** Opens an encrypted part into a file, which must lie in memory. @throws SwarmcutError `damaged`, DiskFullError; the file is gone then */
export async function unseal(part: Part, target: string, { store, keys, signal }: OpeningOptions): Promise<void> {
  const key = openedKey(part, keys);
  const source = await store.path(part.sha256);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await rm(target, { force: true });
  using _collection = promptCollection();
  try {
    await using file = await open(target, 'wx', 0o600);
    for await (const plain of openSealed(source, key, signal === undefined ? {} : { signal }))
      await orDiskFull(target, () => file.writeFile(plain));
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
}

/** Opens encrypted parts under their paths into a folder in memory. @throws as {@link unseal}, and for a path that leads out of the folder */
export async function unsealInto(parts: readonly Part[], folder: string, options: OpeningOptions): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await concurrently(parts, PARALLEL, (part) => unseal(part, pathInside(folder, part), options));
}

/**
 * What is opened must not touch a disk.
 * @param bytes that come there
 * @throws SwarmcutError `precondition` when the folder is none in memory, or has too little room
 */
export async function refuseDisk(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (!(await isInMemory(folder)))
    throw new SwarmcutError('precondition', 'encrypted parts are opened in memory only, and this folder is none', {
      where: { file: folder },
      advice: 'give the agent a --run-dir on a tmpfs, such as /run/swarmcut',
    });
  if (bavail * bsize >= bytes) return;
  throw new SwarmcutError(
    'precondition',
    `too little memory: opening the encrypted checkpoint needs ${megabytes(bytes)}, ${megabytes(bavail * bsize)} are free`,
    { where: { file: folder }, advice: 'restore on a node with more memory, or mount a larger tmpfs there' },
  );
}
