import { createHash, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';

/** TCP port on which a coordinator waits for nodes that join. */
export const DEFAULT_JOIN_PORT = 7434;

/** Path of the one request that there is. */
export const JOIN_PATH = '/join';

/** Of a request or an answer. Bytes. */
export const MAX_JOIN_BYTES = 256 * 1024;

/** What a token says. */
export interface JoinToken {
  /** SHA-256 of the authority's certificate, lower-case hex: whom to believe. */
  readonly authority: string;
  /** What lets the node in: 32 hex digits. */
  readonly secret: string;
}

const PREFIX = 'SCUTJOIN-1-';
const TOKEN = /^SCUTJOIN-1-([0-9a-f]{64})-([0-9a-f]{32})$/;

/** A token with a new secret. @param authority digest of its certificate */
export function newJoinToken(authority: string): JoinToken {
  return { authority, secret: randomBytes(16).toString('hex') };
}

export function joinTokenText({ authority, secret }: JoinToken): string {
  return `${PREFIX}${authority}-${secret}`;
}

/** @returns undefined for what is no token */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [, authority, secret] = TOKEN.exec(text.trim()) ?? [];
  return authority === undefined || secret === undefined ? undefined : { authority, secret };
}

/** Secrets are compared by this: all have one length, and say nothing about what they come from. */
export function secretDigest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

export const joinRequestSchema = z.strictObject({
  secret: z.string().max(256),
  node: z.string().max(256),
  addresses: z.array(z.string().refine((text) => isIP(text) !== 0, 'is not an IP address')).max(64),
  /** PKCS #10, PEM. */
  request: z.string().max(16_384),
});
export type JoinRequest = z.infer<typeof joinRequestSchema>;

export const joinAnswerSchema = z.strictObject({
  /** PEM, as are the next two. */
  certificate: z.string(),
  trusted: z.string(),
  retired: z.string(),
  revoked: z.array(z.string()),
  /** Base 64. */
  stackKey: z.base64(),
});
export type JoinAnswer = z.infer<typeof joinAnswerSchema>;

export const joinRefusalSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), advice: z.string().optional() }),
});
export type JoinRefusal = z.infer<typeof joinRefusalSchema>;
