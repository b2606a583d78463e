import { timingSafeEqual, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { deferred } from '../../src/platform/deferred.ts';
import { digestOf, issuerIn, pemCertificates, serialOf } from '../../src/rpc/identity/authorities.ts';
import { readKeyPair } from '../../src/rpc/identity/identity-files.ts';
import {
  JOIN_PATH,
  MAX_JOIN_BYTES,
  joinRequestSchema,
  newJoinToken,
  secretDigest,
  type JoinAnswer,
  type JoinRefusal,
  type JoinRequest,
  type JoinToken,
} from '../../src/rpc/identity/join-protocol.ts';
import { DEFAULT_CERTIFICATE_DAYS, issueForRequest, readStackKey } from './authority.ts';
import { issuedCertificates } from './issued.ts';
import { coordinatorIdentityDirectory } from './layout.ts';
import { presentTrust } from './rotation.ts';

/** One that says nothing must not keep others from joining. Milliseconds. */
const REQUEST_TIMEOUT_MS = 10_000;
const CLOSE_GRACE_MS = 1_000;

/** At the same time: strangers must not use up our descriptors. */
const MAX_CONNECTIONS = 64;

export interface JoinOptions {
  readonly configDirectory: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** How many nodes may join. */
  readonly uses: number;
  /** Wall clock, milliseconds since 1970. */
  readonly expiresAtMs: number;
  /** Only a node of this name. */
  readonly node?: string;
  /** Also when a node of the name has a certificate that counts. */
  readonly replace: boolean;
  /** Validity of the certificates. */
  readonly days?: number;
  readonly nowMs?: () => number;
  /** A node has got its certificate. */
  readonly onJoined?: (joined: JoinedNode) => void;
  /** Somebody was refused. */
  readonly onRefused?: (message: string, address: string) => void;
}

export interface JoinedNode {
  readonly node: string;
  /** Of its certificate. */
  readonly serial: string;
  readonly notAfter: string;
}

export interface JoinListener {
  /** To be shown once: it is kept nowhere. */
  readonly token: JoinToken;
  readonly port: number;
  /** Settles when the token is used up. */
  readonly usedUp: Promise<undefined>;
  close(): Promise<void>;
}

/**
 * Lets nodes join by a token, for as long as it is open: TLS with the coordinator's certificate, which the joining node checks against the token's digest before it says anything.
 * The secret lives in this process only.
 * @throws SwarmcutError `precondition` when the address cannot be had, `not-found` without an authority
 */
export async function listenForJoins(options: JoinOptions): Promise<JoinListener> {
  const folder = coordinatorIdentityDirectory(options.configDirectory);
  const { certificate, key } = readKeyPair(folder);
  const own = new X509Certificate(certificate);
  const { trusted } = await presentTrust(options.configDirectory);
  const authority = pemCertificates(trusted).find((pem) => issuerIn(pem, own));
  if (authority === undefined)
    throw new SwarmcutError(
      'precondition',
      "the coordinator's certificate is of an authority that is not trusted here",
      {
        where: { file: folder },
      },
    );
  const token = newJoinToken(digestOf(authority));
  const usedUp = deferred<undefined>();
  const joining = new Joining(options, token);
  const server = createServer({ cert: `${certificate.toString('utf8')}\n${authority}`, key }, (request, response) => {
    void answer(request, response, joining, options).then((used) => {
      if (used && joining.left === 0) usedUp.resolve(undefined);
    });
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', () => undefined);
  const port = await listen(server, options);
  return {
    token,
    port,
    usedUp: usedUp.promise,
    close: () =>
      new Promise((resolve) => {
        // An answer may still be on its way.
        const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}

/** @returns whether a node has joined by it */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  joining: Joining,
  { onJoined, onRefused }: JoinOptions,
): Promise<boolean> {
  const address = request.socket.remoteAddress ?? 'somewhere';
  try {
    if (request.method !== 'POST' || request.url !== JOIN_PATH)
      throw new SwarmcutError('usage', 'this port only takes what `agent join` sends');
    const { answer, joined } = await joining.join(await bodyOf(request));
    await send(response, 200, answer);
    onJoined?.(joined);
    return true;
  } catch (error) {
    const known = error instanceof SwarmcutError ? error : new SwarmcutError('internal', messageOf(error));
    onRefused?.(known.message, address);
    const refusal: JoinRefusal = {
      error: {
        code: known.code,
        message: known.message,
        ...(known.advice === undefined ? {} : { advice: known.advice }),
      },
    };
    await send(response, known.code === 'internal' ? 500 : 403, refusal);
    return false;
  }
}

function send(response: ServerResponse, status: number, body: JoinAnswer | JoinRefusal): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve);
    response
      .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      .end(JSON.stringify(body), () => resolve());
  });
}

async function bodyOf(request: IncomingMessage): Promise<JoinRequest> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_JOIN_BYTES) throw new SwarmcutError('usage', 'the request is too long');
    chunks.push(chunk);
  }
  try {
    const parsed = joinRequestSchema.safeParse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
    if (parsed.success) return parsed.data;
  } catch {
    // Told below.
  }
  throw new SwarmcutError('usage', 'the request cannot be understood', {
    advice: 'are agent and coordinator of the same version?',
  });
}

/** Who may join by one token, and as what. */
class Joining {
  left: number;
  readonly #options: JoinOptions;
  readonly #secret: Buffer;
  /** One after another: two must not get one name. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: JoinOptions, { secret }: JoinToken) {
    this.#options = options;
    this.#secret = secretDigest(secret);
    this.left = options.uses;
  }

  join(request: JoinRequest): Promise<{ readonly answer: JoinAnswer; readonly joined: JoinedNode }> {
    const result = this.#queue.then(() => this.#join(request));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #join({ secret, node, addresses, request }: JoinRequest): ReturnType<Joining['join']> {
    const { configDirectory, expiresAtMs, nowMs = Date.now, days = DEFAULT_CERTIFICATE_DAYS } = this.#options;
    // First of all: who does not know the secret learns nothing else.
    if (!timingSafeEqual(secretDigest(secret), this.#secret)) throw refused('the secret of the token is wrong');
    const now = nowMs();
    if (now >= expiresAtMs) throw refused(`the token expired at ${new Date(expiresAtMs).toISOString()}`);
    if (this.left === 0) throw refused('the token has been used');
    if (this.#options.node !== undefined && this.#options.node !== node)
      throw refused(`the token is for node ${this.#options.node}, not for ${node}`);
    await this.#refuseTaken(node, new Date(now));
    const stackKey = await readStackKey(configDirectory);
    const certificate = await issueForRequest(configDirectory, { role: 'agent', node, addresses }, request, {
      days,
      now: new Date(now),
    });
    this.left--;
    const { trusted, retired, revoked } = await presentTrust(configDirectory);
    const issued = new X509Certificate(certificate);
    return {
      answer: { certificate, trusted, retired, revoked: [...revoked], stackKey: stackKey.toString('base64') },
      joined: { node, serial: serialOf(issued), notAfter: issued.validToDate.toISOString() },
    };
  }

  async #refuseTaken(node: string, now: Date): Promise<void> {
    if (this.#options.replace) return;
    const { configDirectory } = this.#options;
    const { revoked } = await presentTrust(configDirectory);
    const taken = (await issuedCertificates(configDirectory)).some(
      ({ name, serial, notAfter }) => name === node && notAfter > now.toISOString() && !revoked.includes(serial),
    );
    if (taken)
      throw new SwarmcutError('conflict', `there is a node ${node} already, and its certificate counts`, {
        advice: `if it is to be this one: \`coordinator ca revoke ${node}\` first, or make the token with --replace`,
      });
  }
}

function refused(why: string): SwarmcutError {
  return new SwarmcutError('precondition', why, { advice: 'make another one: `coordinator join-token --wait`' });
}

function listen(server: Server, { host, port }: JoinOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new SwarmcutError('precondition', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
          advice: 'choose another address with --listen',
          cause: error,
        }),
      ),
    );
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
