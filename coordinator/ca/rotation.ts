import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { z } from 'zod';
import { SwarmcutError } from '../../src/model/errors.ts';
import { syncDirectory, writeDurably } from '../../src/platform/files.ts';
import { digestOf, pemBundle } from '../../src/rpc/identity/authorities.ts';
import { readTrust } from '../../src/rpc/identity/identity-files.ts';
import type { Trust } from '../../src/rpc/identity/identity-files.ts';
import { createAuthority } from './certificates.ts';
import { authorityFiles, authorityRecords, coordinatorIdentityDirectory, identityFiles } from './layout.ts';
import { dirname } from 'node:path';

/**
 * Where a rotation of the authority stands. `trust`: all are to trust the new one beside the old. `issue`: all are to get certificates of the new one. `drop`: the new one has taken the old
 * one's place, and all are to trust it alone. In each, what has been done may be done again.
 */
export const ROTATION_PHASES = ['trust', 'issue', 'drop'] as const;
export type RotationPhase = (typeof ROTATION_PHASES)[number];

const rotationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  phase: z.enum(ROTATION_PHASES),
  /** PEM. */
  oldCertificate: z.string(),
  newCertificate: z.string(),
  /** Manifests that were signed under the old authority count no more, either. */
  forgetOld: z.boolean(),
  /** ISO 8601. */
  startedAt: z.string(),
});
export type Rotation = z.infer<typeof rotationSchema>;

/** The rotation under way, if there is one. @throws SwarmcutError `damaged` */
export async function readRotation(configDirectory: string): Promise<Rotation | undefined> {
  const { rotation: file } = authorityRecords(configDirectory);
  if (!existsSync(file)) return undefined;
  const parsed = rotationSchema.safeParse(JSON.parse(await readFile(file, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new SwarmcutError('damaged', 'the record of the rotation of the authority cannot be read', { where: { file } });
}

async function writeRotation(configDirectory: string, rotation: Rotation): Promise<Rotation> {
  const { rotation: file } = authorityRecords(configDirectory);
  await writeDurably(file, `${JSON.stringify(rotation, undefined, 2)}\n`);
  return rotation;
}

/** Makes the new authority, which signs nothing yet. One that there is already is gone on with. */
export async function beginRotation(
  configDirectory: string,
  options: { readonly days: number; readonly forgetOld: boolean; readonly now: Date },
): Promise<Rotation> {
  const present = await readRotation(configDirectory);
  if (present !== undefined) return present;
  const oldCertificate = await readFile(authorityFiles(configDirectory).certificate, 'utf8');
  const made = await createAuthority(options.days, options.now);
  await writeDurably(authorityRecords(configDirectory).nextKey, made.keyPem);
  return writeRotation(configDirectory, {
    schemaVersion: 1,
    phase: 'trust',
    oldCertificate,
    newCertificate: made.certificatePem,
    forgetOld: options.forgetOld,
    startedAt: options.now.toISOString(),
  });
}

/** All trust both: from now on certificates are those of the new authority. */
export function enterIssuing(configDirectory: string, rotation: Rotation): Promise<Rotation> {
  return writeRotation(configDirectory, { ...rotation, phase: 'issue' });
}

/** All have certificates of the new authority: it takes the old one's place. The old key is gone then. */
export async function enterDropping(configDirectory: string, rotation: Rotation): Promise<Rotation> {
  const files = authorityFiles(configDirectory);
  const { nextKey } = authorityRecords(configDirectory);
  // The certificate decides which of the two keys counts: see authorityKey.
  await writeDurably(files.certificate, rotation.newCertificate, 0o644);
  if (existsSync(nextKey)) await writeDurably(files.key, await readFile(nextKey, 'utf8'));
  await rm(nextKey, { force: true });
  return writeRotation(configDirectory, { ...rotation, phase: 'drop' });
}

/** All trust the new authority alone: it is over. */
export async function endRotation(configDirectory: string): Promise<void> {
  const { rotation, nextKey } = authorityRecords(configDirectory);
  await rm(nextKey, { force: true });
  await rm(rotation, { force: true });
  await syncDirectory(dirname(rotation));
}

/** Whom everybody is to trust now: what the coordinator trusts, or, where there is none beside the authority, that one. */
export async function presentTrust(configDirectory: string): Promise<Trust> {
  const identity = coordinatorIdentityDirectory(configDirectory);
  const trust: Trust = existsSync(identityFiles(identity).authority)
    ? readTrust(identity)
    : { trusted: await readFile(authorityFiles(configDirectory).certificate, 'utf8'), retired: '', revoked: [] };
  const rotation = await readRotation(configDirectory);
  if (rotation === undefined) return trust;
  const { phase, oldCertificate, newCertificate, forgetOld } = rotation;
  if (phase !== 'drop') return { ...trust, trusted: pemBundle(oldCertificate, newCertificate) };
  const retired = forgetOld ? '' : pemBundle(trust.retired, oldCertificate);
  return { ...trust, trusted: pemBundle(newCertificate), retired };
}

/**
 * Certificate and key of the authority that issues now.
 * @throws SwarmcutError `not-found` when there is none on this machine
 */
export async function issuingAuthority(
  configDirectory: string,
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const files = authorityFiles(configDirectory);
  const rotation = await readRotation(configDirectory);
  let certificatePem: string;
  try {
    certificatePem = await readFile(files.certificate, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw noAuthority(files.key, cause);
  }
  if (rotation !== undefined && rotation.phase !== 'trust') certificatePem = rotation.newCertificate;
  return { certificatePem, keyPem: await authorityKey(configDirectory, certificatePem) };
}

/** The key that belongs to the certificate: while an authority is replaced, there are two. */
async function authorityKey(configDirectory: string, certificatePem: string): Promise<string> {
  const files = authorityFiles(configDirectory);
  const candidates: string[] = [];
  for (const file of [files.key, authorityRecords(configDirectory).nextKey]) {
    const pem = await readFile(file, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (pem !== undefined) candidates.push(pem);
  }
  const [first] = candidates;
  if (first === undefined) throw noAuthority(files.key);
  // One that fits nothing is told when it is used.
  return candidates.find((pem) => fits(certificatePem, pem)) ?? first;
}

function fits(certificatePem: string, keyPem: string): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

function noAuthority(file: string, cause?: unknown): SwarmcutError {
  return new SwarmcutError('not-found', 'there is no certificate authority', {
    where: { file },
    advice: 'make one with `coordinator ca init`, or say with --config-dir where it is',
    cause,
  });
}

/** For people: the first 16 digits of a certificate's digest. */
export function shortDigest(pem: string): string {
  return digestOf(pem).slice(0, 16);
}
