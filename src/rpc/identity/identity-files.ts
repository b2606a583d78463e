import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError, messageOf } from '../../model/errors.ts';
import { syncDirectory, writeDurably } from '../../platform/files.ts';

/** File names in the folder with a process's certificate. `ca.crt` may have several certificates, one after another. */
export const CERTIFICATE_FILES = { ca: 'ca.crt', certificate: 'tls.crt', key: 'tls.key' } as const;

/** Certificates of former authorities, whose signatures of manifests still count; need not be there. */
const RETIRED_FILE = 'ca-retired.crt';

/** Serial numbers of certificates that count no more; need not be there. */
const REVOKED_FILE = 'revoked.json';

/** A key whose certificate has not come yet, or has come just now. */
const NEXT_KEY_FILE = 'tls.key.next';

/** Public certificates may be read by everybody; keys never. */
const CERTIFICATE_FILE_MODE = 0o644;

/** One file of an identity. @throws SwarmcutError `precondition` when it cannot be read */
export function readIdentityFile(folder: string, which: keyof typeof CERTIFICATE_FILES): Buffer {
  const path = join(folder, CERTIFICATE_FILES[which]);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SwarmcutError('precondition', `cannot read ${path}: ${messageOf(error)}`, {
      where: { file: path },
      advice: 'Run `coordinator ca init`, and `coordinator ca issue <node>` for each node, and copy the files there.',
      cause: error,
    });
  }
}

/**
 * A certificate and the key that belongs to it. While a certificate is being replaced, that key may still have its other name: the certificate decides.
 * @throws SwarmcutError `precondition` when a file cannot be read
 */
export function readKeyPair(folder: string): { readonly certificate: Buffer; readonly key: Buffer } {
  // A replacement between two reads shows as a pair that does not fit, once.
  for (let attempt = 0; ; attempt++) {
    const certificate = readIdentityFile(folder, 'certificate');
    const key = readIdentityFile(folder, 'key');
    if (fits(certificate, key)) return { certificate, key };
    const next = readNextKey(folder);
    if (next !== undefined && fits(certificate, next)) return { certificate, key: next };
    // TLS says what is wrong with a pair that will never fit.
    if (attempt === 2) return { certificate, key };
  }
}

function fits(certificate: Buffer, key: Buffer): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** The key of {@link writeNextKey}, PEM; undefined when there is none. */
export function readNextKey(folder: string): Buffer | undefined {
  return readIfThere(join(folder, NEXT_KEY_FILE));
}

/** Keeps a key whose certificate is still to come. Durable when it resolves. */
export function writeNextKey(folder: string, keyPem: string): Promise<void> {
  return writeDurably(join(folder, NEXT_KEY_FILE), keyPem);
}

/** Replaces the certificate by one for the key of {@link writeNextKey}: at once, whatever dies meanwhile. */
export async function writeNextCertificate(folder: string, certificatePem: string): Promise<void> {
  await writeDurably(join(folder, CERTIFICATE_FILES.certificate), certificatePem, CERTIFICATE_FILE_MODE);
  // From here on the pair is the new one: see readKeyPair.
  await rename(join(folder, NEXT_KEY_FILE), join(folder, CERTIFICATE_FILES.key));
  await syncDirectory(folder);
}

/** Whom a process believes. */
export interface Trust {
  /** Certificates of authorities, PEM: their certificates let in. */
  readonly trusted: string;
  /** Of former ones, PEM: they only vouch for manifests that were signed under them. */
  readonly retired: string;
  /** Serial numbers of certificates that count no more: lower-case hex. */
  readonly revoked: readonly string[];
}

const revokedSchema = z.strictObject({
  schemaVersion: z.literal(1),
  serials: z.array(z.string().regex(/^[0-9a-f]+$/)),
});

/** @throws SwarmcutError `precondition` when a file cannot be read, `damaged` for a list of revoked certificates that is none */
export function readTrust(folder: string): Trust {
  return {
    trusted: readIdentityFile(folder, 'ca').toString('utf8'),
    retired: readIfThere(join(folder, RETIRED_FILE))?.toString('utf8') ?? '',
    revoked: readRevoked(folder),
  };
}

/** @throws SwarmcutError `damaged`: nobody may be let in because a list cannot be read */
export function readRevoked(folder: string): readonly string[] {
  const file = join(folder, REVOKED_FILE);
  const text = readIfThere(file);
  if (text === undefined) return [];
  const parsed = revokedSchema.safeParse(jsonOf(text.toString('utf8')));
  if (parsed.success) return parsed.data.serials;
  throw new SwarmcutError('damaged', 'the list of revoked certificates cannot be read', {
    where: { file },
    advice: 'copy it from another node, or delete it and run `coordinator ca revoke` again',
  });
}

/** Durable when it resolves. */
export async function writeTrust(folder: string, { trusted, retired, revoked }: Trust): Promise<void> {
  // What takes trust away first.
  if (revoked.length > 0 || readRevoked(folder).length > 0)
    await writeDurably(
      join(folder, REVOKED_FILE),
      `${JSON.stringify({ schemaVersion: 1, serials: [...revoked] } satisfies z.infer<typeof revokedSchema>)}\n`,
    );
  if (retired !== '' || readIfThere(join(folder, RETIRED_FILE)) !== undefined)
    await writeDurably(join(folder, RETIRED_FILE), retired, CERTIFICATE_FILE_MODE);
  await writeDurably(join(folder, CERTIFICATE_FILES.ca), trusted, CERTIFICATE_FILE_MODE);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SwarmcutError('precondition', `cannot read ${path}: ${messageOf(error)}`, {
      where: { file: path },
      cause: error,
    });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
