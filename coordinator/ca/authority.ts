import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readFile, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { writeDurably } from '../../src/platform/files.ts';
import { createAuthority, issueCertificate } from './certificates.ts';
import type { Identity, SubjectName } from './certificates.ts';
import {
  STACK_KEY_BYTES,
  STACK_KEY_FILE,
  authorityFiles,
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
  await writeDurably(files.key, authority.keyPem);
  await writeDurably(files.certificate, authority.certificatePem, CERTIFICATE_FILE_MODE);
  const stackKey = join(dirname(files.key), STACK_KEY_FILE);
  await writeDurably(stackKey, randomBytes(STACK_KEY_BYTES));

  const identity = await issueCertificate(authority, COORDINATOR, options.certificateDays, options.now);
  const written = await writeIdentity(
    coordinatorIdentityDirectory(configDirectory),
    authority.certificatePem,
    identity,
  );
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
  if (!NODE_PATTERN.test(node)) {
    throw new SwarmcutError('usage', `"${node}" is not a node's host name`, {
      advice: 'give the name as `docker node ls` shows it (letters, digits, dots, dashes, underscores)',
    });
  }
  for (const address of options.addresses) {
    if (isIP(address) === 0) {
      throw new SwarmcutError('usage', `"${address}" is not an IP address`, { where: { node } });
    }
  }
  const authority = await readAuthority(configDirectory);
  const secret = await readStackKey(configDirectory);
  const names: SubjectName[] = [
    { type: 'dns', value: node },
    ...options.addresses.map((value): SubjectName => ({ type: 'ip', value })),
    { type: 'url', value: `swarmcut://agent/${node}` },
  ];
  let identity: Identity;
  try {
    identity = await issueCertificate(authority, { commonName: node, names }, options.days, options.now);
  } catch (cause) {
    throw new SwarmcutError('damaged', 'the certificate authority cannot be used: its files are not what they were', {
      where: { file: authorityFiles(configDirectory).key },
      advice: 'restore the files from a backup, or start anew with `coordinator ca init --force`',
      cause,
    });
  }
  const written = await writeIdentity(options.outDirectory, authority.certificatePem, identity);
  const stackKey = join(options.outDirectory, STACK_KEY_FILE);
  await writeDurably(stackKey, secret);
  return { files: [...written, stackKey], notAfter: identity.notAfter };
}

/**
 * Makes another key and certificate for a coordinator, for another manager: agents obey, and everybody believes, each that the authority has signed.
 * @throws SwarmcutError `not-found` when there is no authority
 */
export async function issueForCoordinator(
  configDirectory: string,
  options: { readonly outDirectory: string; readonly days: number; readonly now: Date },
): Promise<Issued> {
  const authority = await readAuthority(configDirectory);
  const identity = await issueCertificate(authority, COORDINATOR, options.days, options.now);
  const files = await writeIdentity(options.outDirectory, authority.certificatePem, identity);
  return { files, notAfter: identity.notAfter };
}

/** The secret of the stacks' keys; made here if the authority is older than it. All nodes get the same one. */
async function readStackKey(configDirectory: string): Promise<Buffer> {
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

async function readAuthority(configDirectory: string): Promise<{ certificatePem: string; keyPem: string }> {
  const files = authorityFiles(configDirectory);
  try {
    const [certificatePem, keyPem] = await Promise.all([
      readFile(files.certificate, 'utf8'),
      readFile(files.key, 'utf8'),
    ]);
    return { certificatePem, keyPem };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new SwarmcutError('not-found', 'there is no certificate authority', {
      where: { file: files.key },
      advice: 'make one with `coordinator ca init`, or say with --config-dir where it is',
      cause,
    });
  }
}

async function writeIdentity(directory: string, authorityPem: string, identity: Identity): Promise<string[]> {
  const files = identityFiles(directory);
  await writeDurably(files.authority, authorityPem, CERTIFICATE_FILE_MODE);
  await writeDurably(files.certificate, identity.certificatePem, CERTIFICATE_FILE_MODE);
  await writeDurably(files.key, identity.keyPem);
  return [files.authority, files.certificate, files.key];
}
