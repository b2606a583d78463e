import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { SwarmcutError } from '../../model/errors.ts';
import { writeDurably } from '../../platform/files.ts';
import { derivationSchema } from './key-files.ts';
import type { EncryptionKey, EncryptionKeys } from './key-files.ts';
import { KEY_BYTES, keyId, unwrapKey, wrapKey } from './snapshot-key.ts';

/** Beside the manifest of an encrypted snapshot: its key, wrapped by the encryption key. Replaced when that one changes. */
export const WRAPPED_KEY = 'key.json';

const wrappedKeySchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Of the encryption key that opens it. */
  keyId: z.string().regex(/^[0-9a-f]{16}$/),
  derivation: derivationSchema,
  /** Nonce, encrypted key, tag: base 64. */
  wrapped: z.base64(),
});

/** The contents of {@link WRAPPED_KEY}. */
export type WrappedKey = z.infer<typeof wrappedKeySchema>;

/** What the manifest says of the snapshot's key: signed, and the same whatever wraps it. */
export interface SnapshotKeyMark {
  readonly id: string;
  readonly encryption?: { readonly snapshotKey: string } | undefined;
}

/** A new snapshot's key. */
export function newSnapshotKey(): { readonly bytes: Buffer; readonly id: string } {
  const bytes = randomBytes(KEY_BYTES);
  return { bytes, id: keyId(bytes, 'snapshot key') };
}

/** Wraps a snapshot's key. @param snapshotId it can be unwrapped for no other snapshot */
export function wrapSnapshotKey(snapshotKey: Uint8Array, key: EncryptionKey, snapshotId: string): WrappedKey {
  const wrapped = wrapKey(snapshotKey, key.bytes, contextOf(snapshotId)).toString('base64');
  return { schemaVersion: 1, keyId: key.id, derivation: key.derivation, wrapped };
}

/** @throws SwarmcutError `damaged` when it is missing or cannot be read */
export async function readWrappedKey(file: string, snapshotId: string): Promise<WrappedKey> {
  let text: string | undefined;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const parsed = wrappedKeySchema.safeParse(text === undefined ? undefined : jsonOf(text));
  if (parsed.success) return parsed.data;
  const why = text === undefined ? 'is missing' : 'cannot be read';
  throw new SwarmcutError('damaged', `snapshot ${snapshotId} is encrypted, and its wrapped key ${why}`, {
    where: { file },
    advice: 'put the file back from a backup; without it nobody can read the snapshot',
  });
}

/** Durable when it resolves; the former content is there until then. */
export function writeWrappedKey(file: string, key: WrappedKey): Promise<void> {
  return writeDurably(file, `${JSON.stringify(key, undefined, 2)}\n`);
}

/**
 * The key of a snapshot.
 * @returns undefined for one that is not encrypted
 * @throws SwarmcutError `precondition` when no key or another one is given, saying which is needed; `damaged` when the right one does not open it
 */
export async function unwrapSnapshotKey(
  { id, encryption }: SnapshotKeyMark,
  file: string,
  keys: EncryptionKeys,
): Promise<Buffer | undefined> {
  if (encryption === undefined) return undefined;
  const stored = await readWrappedKey(file, id);
  const key = await keys.derived(stored.derivation);
  if (key?.id !== stored.keyId) throw wrongKey(id, stored, keys, key);
  const bytes = unwrapKey(Buffer.from(stored.wrapped, 'base64'), key.bytes, contextOf(id));
  if (bytes !== undefined && keyId(bytes, 'snapshot key') === encryption.snapshotKey) return bytes;
  throw new SwarmcutError(
    'damaged',
    bytes === undefined
      ? `key ${key.id} is the right one, and does not open the wrapped key of snapshot ${id}: the file was changed`
      : `the wrapped key of snapshot ${id} is not the one that its manifest names`,
    { where: { file }, advice: 'put the file back from a backup' },
  );
}

function wrongKey(
  id: string,
  { keyId: needed, derivation }: WrappedKey,
  keys: EncryptionKeys,
  given: EncryptionKey | undefined,
): SwarmcutError {
  const { source } = keys;
  const kind = derivation.kind === 'passphrase' ? 'a passphrase' : 'a key file';
  const option = derivation.kind === 'passphrase' ? '--encrypt-passphrase-file' : '--encrypt-key-file';
  const what =
    source === undefined
      ? 'and no key is given'
      : given === undefined
        ? `and what is given is ${source.kind === 'passphrase' ? 'a passphrase' : 'a key file'}`
        : derivation.kind === 'passphrase'
          ? 'and the passphrase that is given is another one'
          : `and the key that is given is ${given.id}`;
  return new SwarmcutError('precondition', `snapshot ${id} is encrypted with key ${needed} (${kind}), ${what}`, {
    ...(source === undefined ? {} : { where: { file: source.file } }),
    advice: `nothing was done; name the file with that key by ${option}`,
  });
}

function contextOf(snapshotId: string): string {
  return `swarmcut snapshot key v1\0${snapshotId}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
