import { randomBytes, scrypt } from 'node:crypto';
import type { ScryptOptions } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError, messageOf } from '../../model/errors.ts';
import { exists, writeDurably } from '../../platform/files.ts';
import { KEY_BYTES, keyId } from './snapshot-key.ts';

/** Where the encryption key comes from, if there is one. At most one of the two. */
export interface EncryptionFiles {
  /** 32 random bytes: as they are, in hex, or in base 64. */
  readonly keyFile?: string;
  /** A passphrase; a line break at its end does not count. */
  readonly passphraseFile?: string;
}

/** Names of the files that are used without being asked for, if they are there. */
export const DEFAULT_ENCRYPTION_FILES = { keyFile: 'encrypt.key', passphraseFile: 'encrypt.passphrase' } as const;

/**
 * scrypt (RFC 7914): 128 MiB and some 0.4 s for each try, as OWASP's "Password Storage Cheat Sheet" has it. What was written with others is read with those, within
 * limits: who can change the file must not make us take all memory.
 */
const SCRYPT = { n: 2 ** 17, r: 8, p: 1 } as const;

const SALT_BYTES = 16;

/** Shorter passphrases are tried out, whatever scrypt costs. Characters. */
const SHORTEST_PASSPHRASE = 12;

/** How an encryption key comes about from a file; what of it is public. */
export const derivationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('key-file') }),
  z.strictObject({
    kind: z.literal('passphrase'),
    salt: z.base64(),
    n: z
      .number()
      .int()
      .min(2 ** 14)
      .max(2 ** 20),
    r: z.number().int().min(1).max(16),
    p: z.number().int().min(1).max(4),
  }),
]);
export type Derivation = z.infer<typeof derivationSchema>;

/** A key that wraps the keys of snapshots. */
export interface EncryptionKey {
  readonly bytes: Buffer;
  /** 16 hex digits; public. */
  readonly id: string;
  readonly derivation: Derivation;
}

/** The key file or passphrase of this command. Files are read when a key is first needed. */
export class EncryptionKeys {
  readonly #files: EncryptionFiles;
  readonly #saltFile: string;
  readonly #known = new Map<string, Promise<EncryptionKey>>();

  /** @param stateDirectory keeps the salt of the passphrase, so that all snapshots of it have one key */
  constructor(files: EncryptionFiles, stateDirectory: string) {
    this.#files = files;
    this.#saltFile = join(stateDirectory, 'encryption.json');
  }

  /** The file that the key comes from, and how; undefined when there is none: then nothing is encrypted. */
  get source(): { readonly kind: Derivation['kind']; readonly file: string } | undefined {
    const { keyFile, passphraseFile } = this.#files;
    if (keyFile !== undefined) return { kind: 'key-file', file: keyFile };
    return passphraseFile === undefined ? undefined : { kind: 'passphrase', file: passphraseFile };
  }

  /** The key for what is encrypted from now on; undefined without one. @throws SwarmcutError `precondition`, with the file */
  async current(): Promise<EncryptionKey | undefined> {
    const { source } = this;
    if (source === undefined) return undefined;
    return this.derived(source.kind === 'key-file' ? { kind: 'key-file' } : await this.#passphraseDerivation());
  }

  /**
   * The key that comes about in this way.
   * @returns undefined when this command has a key of the other kind, or none @throws SwarmcutError `precondition`, with the file
   */
  async derived(derivation: Derivation): Promise<EncryptionKey | undefined> {
    const { source } = this;
    if (source?.kind !== derivation.kind) return undefined;
    const name = JSON.stringify(derivation);
    const known = this.#known.get(name) ?? derive(source.file, derivation);
    this.#known.set(name, known);
    return known;
  }

  async #passphraseDerivation(): Promise<Derivation> {
    const text = await readFile(this.#saltFile, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (text !== undefined) {
      const known = derivationSchema.safeParse(jsonOf(text));
      if (known.data?.kind === 'passphrase') return known.data;
      throw new SwarmcutError('damaged', 'the salt of the passphrase cannot be read', {
        where: { file: this.#saltFile },
        advice: 'delete the file: the next snapshot makes a new one, and those that there are have their own copy',
      });
    }
    const made: Derivation = { kind: 'passphrase', salt: randomBytes(SALT_BYTES).toString('base64'), ...SCRYPT };
    await writeDurably(this.#saltFile, `${JSON.stringify(made)}\n`);
    return made;
  }
}

/**
 * The files that the command line names, or else those that lie in the coordinator's configuration.
 * @throws SwarmcutError `usage` when there are two
 */
export async function encryptionFiles(given: EncryptionFiles, identityFolder: string): Promise<EncryptionFiles> {
  if (given.keyFile !== undefined && given.passphraseFile !== undefined)
    throw new SwarmcutError('usage', 'a key file and a passphrase are given, and only one can encrypt');
  if (given.keyFile !== undefined || given.passphraseFile !== undefined) return given;
  const keyFile = join(identityFolder, DEFAULT_ENCRYPTION_FILES.keyFile);
  const passphraseFile = join(identityFolder, DEFAULT_ENCRYPTION_FILES.passphraseFile);
  const [hasKey, hasPassphrase] = await Promise.all([exists(keyFile), exists(passphraseFile)]);
  if (hasKey && hasPassphrase)
    throw new SwarmcutError('usage', `there is a key file and a passphrase, and only one can encrypt`, {
      where: { file: keyFile },
      advice: `move one of them elsewhere: ${passphraseFile} is the other`,
    });
  return { ...(hasKey ? { keyFile } : {}), ...(hasPassphrase ? { passphraseFile } : {}) };
}

async function derive(file: string, derivation: Derivation): Promise<EncryptionKey> {
  const content = await readSecret(file);
  const bytes =
    derivation.kind === 'key-file' ? keyOf(content, file) : await stretched(passphraseOf(content, file), derivation);
  return { bytes, id: keyId(bytes, 'encryption key'), derivation };
}

async function readSecret(file: string): Promise<Buffer> {
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0)
      throw new SwarmcutError(
        'precondition',
        `others than its owner may use the key: mode ${(mode & 0o777).toString(8)}`,
        {
          where: { file },
          advice: `chmod 600 ${file}`,
        },
      );
    return await readFile(file);
  } catch (error) {
    if (error instanceof SwarmcutError) throw error;
    throw new SwarmcutError('precondition', `cannot read the key: ${messageOf(error)}`, {
      where: { file },
      cause: error,
    });
  }
}

function keyOf(content: Buffer, file: string): Buffer {
  if (content.length === KEY_BYTES) return content;
  const text = content.toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  const decoded = Buffer.from(text, 'base64');
  if (/^[A-Za-z0-9+/]{43}=$/.test(text) && decoded.length === KEY_BYTES) return decoded;
  throw new SwarmcutError(
    'precondition',
    `there is no key in the file: ${content.length} bytes, neither 32 nor 32 in hex or base 64`,
    {
      where: { file },
      advice: 'make one with `umask 077; openssl rand -hex 32 > FILE`',
    },
  );
}

function passphraseOf(content: Buffer, file: string): Buffer {
  const text = content
    .toString('utf8')
    .replace(/\r?\n$/, '')
    .normalize('NFC');
  if (text.length >= SHORTEST_PASSPHRASE) return Buffer.from(text);
  throw new SwarmcutError('precondition', `the passphrase has less than ${SHORTEST_PASSPHRASE} characters`, {
    where: { file },
    advice: 'take a longer one, or a key file',
  });
}

function stretched(passphrase: Buffer, { salt, n, r, p }: Derivation & { kind: 'passphrase' }): Promise<Buffer> {
  const options: ScryptOptions = { N: n, r, p, maxmem: 256 * n * r + 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, 'base64'), KEY_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
