import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { join as joinPath } from 'node:path';
import { checkServerIdentity, connect } from 'node:tls';
import { z } from 'zod';
import { EXIT_CODES, SwarmcutError, messageOf, type ErrorCode } from '../../src/model/errors.ts';
import { ensureDirectory, writeDurably } from '../../src/platform/files.ts';
import {
  CERTIFICATE_FILES,
  readNextKey,
  writeNextCertificate,
  writeNextKey,
  writeTrust,
} from '../../src/rpc/identity/identity-files.ts';
import {
  JOIN_PATH,
  MAX_JOIN_BYTES,
  joinAnswerSchema,
  joinRefusalSchema,
  parseJoinToken,
  type JoinAnswer,
  type JoinRequest,
  type JoinToken,
} from '../../src/rpc/identity/join-protocol.ts';
import { peerOf, peerText } from '../../src/rpc/roles.ts';

/** For the whole request. Milliseconds. */
const TIMEOUT_MS = 30_000;

export interface JoinOptions {
  readonly token: string;
  readonly host: string;
  readonly port: number;
  readonly node: string;
  /** Under which this agent is reached. */
  readonly addresses: readonly string[];
  /** The agent's identity goes into its `agent/`. */
  readonly configDirectory: string;
  /** Replaces an identity that is there. */
  readonly force: boolean;
}

/**
 * Gets this agent a certificate from a coordinator that waits for it (`coordinator join-token`). The coordinator must have a certificate of the authority whose digest is in the token; before that is known, nothing is
 * said to it. The key never leaves this machine.
 * @returns the folder that was written
 * @throws SwarmcutError; what was there is still there then
 */
export async function joinCluster(options: JoinOptions): Promise<string> {
  const token = parseJoinToken(options.token);
  if (token === undefined)
    throw new SwarmcutError('usage', 'this is not a token', { advice: 'copy it whole: it begins with SCUTJOIN-1-' });
  const folder = joinPath(options.configDirectory, 'agent');
  const present = joinPath(folder, CERTIFICATE_FILES.certificate);
  if (existsSync(present) && !options.force)
    throw new SwarmcutError('conflict', 'this node has a certificate already', {
      where: { file: present },
      advice: 'use --force to replace it',
    });
  const authority = await pinnedAuthority(options, token);
  await ensureDirectory(folder);
  // Loaded here: no other command needs the library, which is large.
  const { certificateRequest, newPrivateKey } = await import('../../src/rpc/identity/certificate-request.ts');
  const known = readNextKey(folder)?.toString('utf8');
  const key = known ?? (await newPrivateKey());
  if (known === undefined) await writeNextKey(folder, key);
  const { node, addresses } = options;
  const answer = await ask(options, authority, {
    secret: token.secret,
    node,
    addresses: [...addresses],
    request: await certificateRequest(key),
  });
  await writeDurably(joinPath(folder, 'stack.key'), Buffer.from(answer.stackKey, 'base64'));
  await writeTrust(folder, answer);
  // Last: from here on the identity is the new one.
  await writeNextCertificate(folder, answer.certificate);
  return folder;
}

/** The authority's certificate (PEM) as the coordinator shows it, if it is the one that the token names. */
async function pinnedAuthority({ host, port }: JoinOptions, token: JoinToken): Promise<string> {
  const chain = await new Promise<Buffer[]>((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, servername: 'coordinator' });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('it does not answer')));
    socket.once('error', (error) => reject(unreachable(host, port, error)));
    socket.once('secureConnect', () => {
      const found: Buffer[] = [];
      let certificate = socket.getPeerCertificate(true);
      // The last one of a chain is its own issuer.
      while (!found.some((raw) => raw.equals(certificate.raw))) {
        found.push(certificate.raw);
        certificate = certificate.issuerCertificate;
      }
      socket.on('error', () => undefined).destroy();
      resolve(found);
    });
  });
  const authority = chain.find((raw) => createHash('sha256').update(raw).digest('hex') === token.authority);
  if (authority !== undefined)
    return `-----BEGIN CERTIFICATE-----\n${authority.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  throw new SwarmcutError(
    'precondition',
    `who answers at ${host}:${port} is not the coordinator that made the token: its authority has another digest`,
    { advice: 'is the address right? If it is, somebody is in between' },
  );
}

function ask({ host, port }: JoinOptions, authority: string, body: JoinRequest): Promise<JoinAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host,
        port,
        path: JOIN_PATH,
        method: 'POST',
        ca: authority,
        servername: 'coordinator',
        agent: false,
        timeout: TIMEOUT_MS,
        checkServerIdentity: (_name, certificate) => {
          const peer = peerOf(certificate);
          return peer.role === 'coordinator'
            ? checkServerIdentity('coordinator', certificate)
            : new Error(`it is ${peerText(peer)}, and no coordinator`);
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_JOIN_BYTES) request.destroy(new Error('its answer is too long'));
          else chunks.push(chunk);
        });
        response.once('error', (error) => reject(unreachable(host, port, error)));
        response.once('end', () => {
          try {
            resolve(answerOf(Buffer.concat(chunks).toString('utf8')));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(messageOf(error)));
          }
        });
      },
    );
    request.once('timeout', () => request.destroy(new Error('it does not answer')));
    request.once('error', (error) => reject(unreachable(host, port, error)));
    request.end(JSON.stringify(body));
  });
}

/** @throws SwarmcutError the coordinator's own words, or that it cannot be understood */
function answerOf(text: string): JoinAnswer {
  const parsed = z.union([joinAnswerSchema, joinRefusalSchema]).safeParse(jsonOf(text));
  if (!parsed.success)
    throw new SwarmcutError('failed', 'the answer of the coordinator cannot be understood', {
      advice: 'are agent and coordinator of the same version?',
    });
  if (!('error' in parsed.data)) return parsed.data;
  const { code, message, advice } = parsed.data.error;
  throw new SwarmcutError(code in EXIT_CODES ? (code as ErrorCode) : 'failed', `the coordinator refuses: ${message}`, {
    ...(advice === undefined ? {} : { advice }),
  });
}

function unreachable(host: string, port: number, error: unknown): SwarmcutError {
  const at = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  return new SwarmcutError('unreachable', `the coordinator at ${at} cannot be reached: ${messageOf(error)}`, {
    advice: 'it listens while `coordinator join-token --wait` runs there: until the token is used or has expired',
    cause: error,
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
