import { isIP } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../../../src/model/errors.ts';
import type { LiveIdentity } from '../../../src/rpc/index.ts';
import { CIPHERS } from './listener.ts';

/** A port that is closed without a word is not waited for longer: gRPC is there. A lost first packet is sent again after 1 s. Milliseconds. */
const CONNECT_TIMEOUT_MS = 2_500;

/** Without a byte for this long, the connection is taken for lost; an agent may be stopped for some seconds. Milliseconds. */
const IDLE_TIMEOUT_MS = 15_000;

const OWN_BYTES = 4096;

/** A connection that could not be made, or is gone: another one, or another way, may do. */
export class LostConnection extends Error {
  override readonly name = 'LostConnection';
}

/** Who is called. */
export interface Called {
  readonly node: string;
  readonly host: string;
  readonly port: number;
}

/** Where what comes in is put, with no copy in between. */
export interface Reading {
  /** Room for the next bytes; asked for after each {@link took}. */
  readonly room: () => Uint8Array;
  /**
   * These bytes came, to the beginning of the room that was given last; the first of an answer, to a place of the connection's own, from where they must be copied.
   * @returns false: no more, until {@link PartsConnection.goOn}; some that are on their way come all the same
   */
  readonly took: (bytes: Uint8Array) => boolean;
}

/** One connection to another agent's listener. Whatever goes wrong shows as {@link lost}. */
export class PartsConnection {
  readonly #socket: TLSSocket;
  /** While nothing is asked for, and for the first bytes of an answer. */
  readonly #own = Buffer.alloc(OWN_BYTES);
  #reading: Reading | undefined;
  #lost: LostConnection | undefined;
  #onLost: ((error: LostConnection) => void) | undefined;

  private constructor(called: Called, identity: LiveIdentity) {
    this.#socket = dial(called, identity, {
      room: () => this.#reading?.room() ?? this.#own,
      took: (bytes) => this.#reading?.took(bytes) ?? this.#unasked(),
    });
    const where = `port ${called.port} of node ${called.node} (${called.host})`;
    this.#socket.on('error', (error) => this.#loses(`${where}: ${messageOf(error)}`));
    this.#socket.on('close', () => this.#loses(`${where}: the connection was closed`));
    this.#socket.on('end', () => this.#loses(`${where}: the connection was ended`));
  }

  /** @throws LostConnection; the signal's reason */
  static async open(called: Called, identity: LiveIdentity, signal?: AbortSignal): Promise<PartsConnection> {
    signal?.throwIfAborted();
    const connection = new PartsConnection(called, identity);
    const socket = connection.#socket;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => socket.destroy(new Error('nothing answers there')), CONNECT_TIMEOUT_MS);
      const cancel = (): void => void socket.destroy();
      // A handshake may be waiting for a processor.
      socket.once('connect', () => clearTimeout(late));
      socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy(new Error('nothing came for too long')));
      signal?.addEventListener('abort', cancel, { once: true });
      const ended = (): void => {
        clearTimeout(late);
        signal?.removeEventListener('abort', cancel);
      };
      socket.once('secureConnect', () => {
        ended();
        connection.#onLost = undefined;
        resolve();
      });
      connection.#onLost = (error) => {
        ended();
        if (signal?.aborted === true) reject(signal.reason as Error);
        else reject(error);
      };
    });
    return connection;
  }

  /** Whether it may still be used. */
  get usable(): boolean {
    return this.#lost === undefined;
  }

  /** Sends a request; what is answered goes where `reading` says, until {@link release}. @param onLost called at most once */
  ask(request: Uint8Array, reading: Reading, onLost: (error: LostConnection) => void): void {
    this.#reading = reading;
    this.#onLost = onLost;
    if (this.#lost !== undefined) {
      const lost = this.#lost;
      queueMicrotask(() => onLost(lost));
      return;
    }
    this.#socket.ref();
    this.#socket.setTimeout(IDLE_TIMEOUT_MS);
    this.#socket.write(request);
  }

  /** There is room again. */
  goOn(): void {
    if (this.usable) this.#socket.resume();
  }

  /** Its request is answered: it may wait for another one. To be called by `took`, at the last byte: room that was given out is not used after that. */
  release(): void {
    this.#reading = undefined;
    this.#onLost = undefined;
    this.#socket.setTimeout(0);
    this.#socket.unref();
  }

  close(): void {
    this.#onLost = undefined;
    this.#lost ??= new LostConnection('closed');
    this.#socket.destroy();
  }

  #loses(message: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = new LostConnection(message);
    this.#socket.destroy();
    this.#onLost?.(this.#lost);
  }

  /** Nothing was asked for, and something comes. */
  #unasked(): boolean {
    this.#loses('something came that was not asked for');
    return false;
  }
}

function dial({ node, host, port }: Called, identity: LiveIdentity, reading: Reading): TLSSocket {
  const { ca, certificate, key } = identity.material;
  const options = {
    host,
    port,
    ca,
    cert: certificate,
    key,
    minVersion: 'TLSv1.3' as const,
    ciphers: CIPHERS,
    ...(isIP(node) === 0 ? { servername: node } : {}),
    checkServerIdentity: (_name: string, shown: Parameters<typeof checkServerIdentity>[1]) => {
      const problem = identity.revocations.problem(shown);
      return problem === undefined ? checkServerIdentity(node, shown) : new Error(problem);
    },
    // Of net.Socket, to which it is passed on.
    onread: {
      buffer: reading.room,
      callback: (length: number, buffer: Uint8Array) => reading.took(buffer.subarray(0, length)),
    },
  };
  const socket = connect(options);
  socket.setNoDelay(true);
  return socket;
}
