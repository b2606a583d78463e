import { once } from 'node:events';
import { createServer } from 'node:tls';
import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import { peerOf } from '../../../src/rpc/index.ts';
import type { LiveIdentity, Peer } from '../../../src/rpc/index.ts';
import type { PartStore } from '../../checkpoints/store/index.ts';
import { PartsSender } from './sender.ts';
import type { Tickets } from '../tickets.ts';

/** More agents than this do not fetch from one at a time, with three connections each. */
const MAX_CONNECTIONS = 192;

/** Whoever connects and cannot show a certificate in this time is a stranger. Milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

/** A connection on which nothing is asked for, or of which nothing is taken, is closed after this. Milliseconds. */
const IDLE_TIMEOUT_MS = 180_000;

/** The first is quicker, and no weaker for what is sent once. */
export const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

export interface PartsListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly identity: LiveIdentity;
  readonly store: PartStore;
  readonly tickets: Pick<Tickets, 'admit'>;
  readonly log: Pick<Logger, 'warn' | 'error'>;
}

/**
 * Where other agents fetch parts: TLS 1.3 with the certificates of the gRPC server, and nothing in between. Who may have what is for the tickets to say, as it is there.
 * It does nothing that `Fetch` does not do as well, more slowly.
 */
export class PartsListener {
  readonly #options: PartsListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();
  readonly #unsubscribe: (() => void)[];

  private constructor(options: PartsListenerOptions) {
    this.#options = options;
    const { identity } = options;
    this.#server = createServer(serverOptions(identity), (socket) => this.#connected(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('tlsClientError', () => undefined);
    this.#unsubscribe = [
      identity.onReload(() => this.#server.setSecureContext(serverOptions(identity))),
      identity.revocations.onChange(() => this.#endRevoked()),
    ];
  }

  /** @throws SwarmcutError `precondition` when the port cannot be had */
  static async open(options: PartsListenerOptions): Promise<PartsListener> {
    const listener = new PartsListener(options);
    try {
      listener.#server.listen(options.port, options.host);
      await once(listener.#server, 'listening');
    } catch (cause) {
      await listener.close();
      throw new SwarmcutError(
        'precondition',
        `cannot listen on ${options.host}:${options.port}, where other agents fetch parts: ${messageOf(cause)}`,
        { advice: 'Is something else running there? Other agents fetch by gRPC meanwhile, more slowly.', cause },
      );
    }
    return listener;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connected(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // A peer that has died or gone: it comes again, or another one sends.
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    const { store, tickets, log } = this.#options;
    const peer = peerOfSocket(socket);
    new PartsSender(socket, {
      store,
      admit: (request) => {
        const revoked = this.#revoked(socket);
        if (revoked !== undefined) throw new SwarmcutError('precondition', `${revoked}: nothing is sent to it`);
        return tickets.admit(peer, request);
      },
      onInternalError: (error) => log.error({ peer, error: messageOf(error) }, 'sending parts failed'),
    });
  }

  #revoked(socket: TLSSocket): string | undefined {
    return this.#options.identity.revocations.problem(socket.getPeerCertificate());
  }

  #endRevoked(): void {
    for (const socket of this.#sockets) {
      const problem = this.#revoked(socket);
      if (problem === undefined) continue;
      this.#options.log.warn({ problem }, 'a connection for parts is ended');
      socket.destroy();
    }
  }
}

function peerOfSocket(socket: TLSSocket): Peer {
  return peerOf(socket.getPeerCertificate());
}

function serverOptions({ material: { ca, certificate, key } }: LiveIdentity): TlsOptions {
  return {
    ca,
    cert: certificate,
    key,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
}
