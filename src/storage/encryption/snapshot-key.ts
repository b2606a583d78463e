import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** Of every key here. Bytes: AES-256. */
export const KEY_BYTES = 32;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** Another key for each purpose, from one. */
function derive(key: Uint8Array, purpose: string, bytes: number = KEY_BYTES): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `swarmcut ${purpose} v1`, bytes));
}

/** Says which key it is, and tells nothing of it: 16 hex digits. */
export function keyId(key: Uint8Array, purpose: 'encryption key' | 'snapshot key'): string {
  return derive(key, `${purpose} id`, 8).toString('hex');
}

/**
 * Encrypts a key with another one.
 * @param context what it is for: it can be unwrapped for nothing else
 * @returns nonce, encrypted key, tag
 */
export function wrapKey(key: Uint8Array, wrapping: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, wrapping, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined when it was not wrapped with this key for this purpose, or was changed */
export function unwrapKey(wrapped: Uint8Array, wrapping: Uint8Array, context: string): Buffer | undefined {
  if (wrapped.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, wrapping, wrapped.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(wrapped.subarray(NONCE_BYTES + KEY_BYTES));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, NONCE_BYTES + KEY_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** What makes the keys of parts: the same for all snapshots of a stack under one encryption key, so that equal parts stay equal when encrypted. */
export function contentKey(encryptionKey: Uint8Array, stack: string): Buffer {
  return derive(encryptionKey, `content key of stack ${stack}`);
}

/** The key of one part. Equal texts get equal keys, and no two texts the same one, which is why its nonces may be counted. */
export function partKey(content: Uint8Array, plainSha256: string): Buffer {
  return createHmac('sha256', content).update(`swarmcut part v1\0${plainSha256}`).digest();
}

/** The keys of a snapshot's parts, by the snapshot's own. */
export class PartKeys {
  readonly #wrapping: Buffer;

  /** @param snapshotKey 32 bytes */
  constructor(snapshotKey: Uint8Array) {
    this.#wrapping = derive(snapshotKey, 'part keys');
  }

  /** @param sha256 of the encrypted part @returns base 64 */
  wrap(key: Uint8Array, sha256: string): string {
    return wrapKey(key, this.#wrapping, `swarmcut part key v1\0${sha256}`).toString('base64');
  }

  /** @returns undefined when it is not a key of this part, or of another snapshot */
  unwrap(wrapped: string, sha256: string): Buffer | undefined {
    return unwrapKey(Buffer.from(wrapped, 'base64'), this.#wrapping, `swarmcut part key v1\0${sha256}`);
  }
}
