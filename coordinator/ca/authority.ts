import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readFile, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { writeDurably } from '../../src/platform/files.ts';
import { requestedKey } from '../../src/rpc/identity/certificate-request.ts';
import { writeTrust, type Trust } from '../../src/rpc/identity/identity-files.ts';
import { certify, createAuthority, issueCertificate } from './certificates.ts';
import type { Identity, SubjectName } from './certificates.ts';
import { noteIssued } from './issued.ts';
import { issuingAuthority, presentTrust } from './rotation.ts';
import {
  STACK_KEY_BYTES,
  STACK_KEY_FILE,
  authorityFiles,
  authorityRecords,
  coordinatorIdentityDirectory,
  identityFiles,
} from './layout.ts';

/** Ten years for the authority, two for what it signs. */
export const DEFAULT_AUTHORITY_DAYS = 3650;
export const DEFAULT_CERTIFICATE_DAYS = 730;

/** Public certificates may be read by everybody; keys never. */
const CERTIFICATE_FILE_MODE = 0o644;

/** As Docker takes them for node host names. */
const NODE_PATTERN = /^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/;

const COORDINATOR: Parameters<typeof issueCertificate>[1] = {
  commonName: 'coordinator',
  names: [
    { type: 'dns', value: 'coordinator' },
    { type: 'url', value: 'swarmcut://coordinator' },
  ],
};

/** Files that were written, and until when the certificate in them is valid. */
export interface Issued {
  readonly files: readonly string[];
  readonly notAfter: Date;
}

/**
 * Makes the authority and the coordinator's own certificate.
 * @throws SwarmcutError `conflict` when there is an authority already and `force` is not set: every certificate it signed would become useless.
 */
export async function initAuthority(
  configDirectory: string,
  options: { readonly days: number; readonly certificateDays: number; readonly force: boolean; readonly now: Date },
): Promise<Issued> {
  const files = authorityFiles(configDirectory);
  for (const file of [files.key, files.certificate]) {
    if (!options.force && existsSync(file)) {
      throw new SwarmcutError('conflict', 'there is a certificate authority already; nothing was changed', {
        where: { file },
        advice:
          'use `coordinator ca issue <node>` for another node, or --force to start anew: then every node needs a new certificate',
      });
    }
  }
  const authority = await createAuthority(options.days, options.now);
  // What was rotated, issued and revoked was the former authority's.
  for (const file of Object.values(authorityRecords(configDirectory))) await rm(file, { force: true });
  await writeDurably(files.key, authority.keyPem);
  await writeDurably(files.certificate, authority.certificatePem, CERTIFICATE_FILE_MODE);
  const stackKey = join(dirname(files.key), STACK_KEY_FILE);
  await writeDurably(stackKey, randomBytes(STACK_KEY_BYTES));

  const identity = await issueCertificate(authority, COORDINATOR, options.certificateDays, options.now);
  await noteIssued(configDirectory, COORDINATOR.commonName, identity.certificatePem, options.now);
  const trust: Trust = { trusted: authority.certificatePem, retired: '', revoked: [] };
  const written = await writeIdentity(coordinatorIdentityDirectory(configDirectory), trust, identity);
  return { files: [files.certificate, files.key, stackKey, ...written], notAfter: identity.notAfter };
}

/**
 * Makes a key and a certificate for one node's agent and writes them, with the authority's certificate, into a directory.
 * Files that are there are replaced: that is how a certificate is renewed.
 * @throws SwarmcutError `usage` for a bad node name or address, `not-found` when there is no authority, `damaged` when it cannot be read.
 */
export async function issueForNode(
  configDirectory: string,
  node: string,
  options: {
    readonly addresses: readonly string[];
    readonly outDirectory: string;
    readonly days: number;
    readonly now: Date;
  },
): Promise<Issued> {
  const subject = agentSubject(node, options.addresses);
  const authority = await issuingAuthority(configDirectory);
  const secret = await readStackKey(configDirectory);
  const identity = await orDamaged(configDirectory, () =>
    issueCertificate(authority, subject, options.days, options.now),
  );
  await noteIssued(configDirectory, node, identity.certificatePem, options.now);
  const written = await writeIdentity(options.outDirectory, await presentTrust(configDirectory), identity);
  const stackKey = join(options.outDirectory, STACK_KEY_FILE);
  await writeDurably(stackKey, secret);
  return { files: [...written, stackKey], notAfter: identity.notAfter };
}

/** Who gets a certificate. */
export type CertificateFor =
  | { readonly role: 'coordinator' }
  | {
      readonly role: 'agent';
      readonly node: string;
      /** Under which the agent is reached. */
      readonly addresses: readonly string[];
    };

/**
 * A certificate for a key that somebody else has.
 * @param request PKCS #10, PEM; what names it asks for does not count
 * @throws SwarmcutError `usage` for a bad name, address or request, `not-found` when there is no authority, `damaged` when it cannot be used
 */
export async function issueForRequest(
  configDirectory: string,
  whom: CertificateFor,
  request: string,
  options: { readonly days: number; readonly now: Date },
): Promise<string> {
  const subject = whom.role === 'coordinator' ? COORDINATOR : agentSubject(whom.node, whom.addresses);
  const name = subject.commonName;
  const key = await requestedKey(request);
  if (key === undefined)
    throw new SwarmcutError(
      'usage',
      `what ${name} sends is no request for a certificate, or its signature does not match`,
    );
  const authority = await issuingAuthority(configDirectory);
  const { certificatePem } = await orDamaged(configDirectory, () =>
    certify(authority, key, subject, options.days, options.now),
  );
  await noteIssued(configDirectory, name, certificatePem, options.now);
  return certificatePem;
}

/** @throws SwarmcutError `usage` for a bad node name or address */
function agentSubject(node: string, addresses: readonly string[]): { commonName: string; names: SubjectName[] } {
  // Records name certificates by node, and the coordinator's by this.
  if (!NODE_PATTERN.test(node) || node === COORDINATOR.commonName) {
    throw new SwarmcutError('usage', `"${node}" is not a node's host name`, {
      advice: 'give the name as `docker node ls` shows it (letters, digits, dots, dashes, underscores)',
    });
  }
  for (const address of addresses) {
    if (isIP(address) === 0) {
      throw new SwarmcutError('usage', `"${address}" is not an IP address`, { where: { node } });
    }
  }
  return {
    commonName: node,
    names: [
      { type: 'dns', value: node },
      ...addresses.map((value): SubjectName => ({ type: 'ip', value })),
      { type: 'url', value: `swarmcut://agent/${node}` },
    ],
  };
}

async function orDamaged<Result>(configDirectory: string, issue: () => Promise<Result>): Promise<Result> {
  try {
    return await issue();
  } catch (cause) {
    throw new SwarmcutError('damaged', 'the certificate authority cannot be used: its files are not what they were', {
      where: { file: authorityFiles(configDirectory).key },
      advice: 'restore the files from a backup, or start anew with `coordinator ca init --force`',
      cause,
    });
  }
}

/**
 * Makes another key and certificate for a coordinator, for another manager: agents obey, and everybody believes, each that the authority has signed.
 * @throws SwarmcutError `not-found` when there is no authority
 */
export async function issueForCoordinator(
  configDirectory: string,
  options: { readonly outDirectory: string; readonly days: number; readonly now: Date },
): Promise<Issued> {
  const authority = await issuingAuthority(configDirectory);
  const identity = await orDamaged(configDirectory, () =>
    issueCertificate(authority, COORDINATOR, options.days, options.now),
  );
  await noteIssued(configDirectory, COORDINATOR.commonName, identity.certificatePem, options.now);
  const files = await writeIdentity(options.outDirectory, await presentTrust(configDirectory), identity);
  return { files, notAfter: identity.notAfter };
}

/** The secret of the stacks' keys; made here if the authority is older than it. All nodes get the same one. */
export async function readStackKey(configDirectory: string): Promise<Buffer> {
  const file = join(dirname(authorityFiles(configDirectory).key), STACK_KEY_FILE);
  if (!existsSync(file)) {
    const made = `${file}.${randomBytes(6).toString('hex')}`;
    await writeDurably(made, randomBytes(STACK_KEY_BYTES));
    // Does not replace one that another command has made at the same time.
    await link(made, file).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
    await rm(made);
  }
  const key = await readFile(file);
  if (key.length === STACK_KEY_BYTES) return key;
  throw new SwarmcutError('damaged', `the key has ${key.length} bytes instead of ${STACK_KEY_BYTES}`, {
    where: { file },
    advice: 'restore it from a backup, or delete it and issue the certificates of all nodes again',
  });
}

async function writeIdentity(directory: string, trust: Trust, identity: Identity): Promise<string[]> {
  const files = identityFiles(directory);
  await writeTrust(directory, trust);
  await writeDurably(files.certificate, identity.certificatePem, CERTIFICATE_FILE_MODE);
  await writeDurably(files.key, identity.keyPem);
  return [files.authority, files.certificate, files.key];
}
