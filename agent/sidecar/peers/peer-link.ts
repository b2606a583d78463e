import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { Endpoint } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { ACCEPT_BYTES, HELLO_BYTES, NONCE_BYTES, decodeHello } from '../../../src/streams/wire/preface.ts';
import type { AcceptMessage, OpenMessage } from '../../../src/streams/wire/preface.ts';
import { AuthenticationError, signOpen, verifyAccept } from './handshake.ts';
import { Link } from '../sockets/link.ts';
import { listField } from '../../../src/rpc/control/fields.ts';
import { poll } from '../../../src/platform/deadlines.ts';
import { PORTS } from '../../linux/proxy-table.ts';
import { connectFrom } from '../sockets/sockets.ts';
import { IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, localEnd, remoteEnd, setOption } from '../../linux/sys.ts';

/** How long another node's kernel may take to take a call. One that is there does so in a few milliseconds. */
const DIAL_TIMEOUT_MS = 1_000;
/**
 * How long the other sidecar may take to answer what its kernel has taken. One with hundreds of loaded streams on a node without a free processor needs
 * seconds, and whoever gave up sooner and called again, time after time, never came through.
 */
const ANSWER_TIMEOUT_MS = 5_000;
/**
 * A link on which nothing has come back for so long is broken: the other node is gone without a word. As long as Swarm waits for a node (three
 * heartbeats of 5 s), and longer than a node that is busy, or whose virtual machine is moved, stands still.
 */
const SILENCE_TIMEOUT_MS = 15_000;
/** How often it is looked whether something has been acknowledged. */
const ACKNOWLEDGED_LOOK_MS = 5;
/** Seconds. */
const KEEP_ALIVE = { idle: 5, interval: 5 } as const;
/** linux/tcp.h */
const TCP_USER_TIMEOUT = 18;
/** More than all 65535 ports need. */
const MAX_LINE_BYTES = 512 * 1024;

/** What a sidecar says of its task to another one. */
export interface PeerNews {
  /** Where the task listens, on the address that this link goes to. */
  readonly ports: readonly number[];
  /** Addresses that the task had before. */
  readonly previousAddresses: readonly string[];
}

export interface PeerLinkEvents {
  /** All of it, whenever it changes. */
  news(link: PeerLink, news: PeerNews): void;
  closed(link: PeerLink): void;
}

/**
 * A connection between the sidecars of two tasks of a stack, on which both have proved that they have the stack's key. While it stands each
 * is the other's peer. Both say where their tasks listen and what addresses they had once, in lines of JSON: `{"ports": [80, 443], "previousAddresses": ["10.0.1.5"]}`.
 */
export class PeerLink {
  /** The other task's address. */
  readonly peer: string;
  /** Our task's address that the other has. */
  readonly own: string;
  readonly #link: Link;
  readonly #events: PeerLinkEvents;
  #text = Buffer.alloc(0);
  #said: string | undefined;

  /** @param early what has come behind the preface */
  constructor(link: Link, early: Buffer, events: PeerLinkEvents) {
    this.#link = link;
    this.#events = events;
    this.peer = remoteEnd(link.fd).address;
    this.own = localEnd(link.fd).address;
    setOption(link.fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE.idle);
    setOption(link.fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_ALIVE.interval);
    setOption(link.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_TIMEOUT_MS);
    link.handle((bytes) => this.#take(bytes), {
      drained: () => undefined,
      ended: () => link.reset(),
      finished: () => undefined,
      closed: () => events.closed(this),
    });
    link.reading = true;
    // Not from within the constructor: nobody knows this link yet.
    if (early.length > 0) setImmediate(() => this.#take(early));
  }

  get gone(): boolean {
    return this.#link.gone;
  }

  /** Says it if it is new. */
  say(news: PeerNews): void {
    const line = `${JSON.stringify(news)}\n`;
    if (line === this.#said) return;
    this.#said = line;
    this.#link.write(Buffer.from(line));
  }

  /** Says everything once more. @returns whether the kernel over there, for whoever has the link, has acknowledged it in time */
  async acknowledges(withinMs: number): Promise<boolean> {
    const link = this.#link;
    if (this.#said === undefined || link.gone) return false;
    link.write(Buffer.from(this.#said));
    const looked = (): boolean | undefined => (link.gone ? false : link.acknowledged ? true : undefined);
    return (await poll(looked, { timeoutMs: withinMs, intervalMs: ACKNOWLEDGED_LOOK_MS })) ?? false;
  }

  /** The other end sees the link break. */
  close(): void {
    this.#link.reset();
  }

  #take(bytes: Buffer): void {
    this.#text = Buffer.concat([this.#text, bytes]);
    for (let end = this.#text.indexOf(10); end >= 0; end = this.#text.indexOf(10)) {
      const line = this.#text.subarray(0, end).toString();
      this.#text = this.#text.subarray(end + 1);
      try {
        this.#events.news(this, newsIn(line));
      } catch {
        this.close();
        return;
      }
    }
    if (this.#text.length > MAX_LINE_BYTES) this.close();
  }
}

/** @throws Error for anything that is none */
function newsIn(line: string): PeerNews {
  const json: unknown = JSON.parse(line);
  const ports = listField(json, 'ports', 'number');
  const previousAddresses = listField(json, 'previousAddresses', 'string');
  const valid =
    ports.every((port) => Number.isInteger(port) && port >= 1 && port <= 65_535) && previousAddresses.every(isIPv4);
  if (!valid) throw new Error('not a port, or not an address');
  return { ports, previousAddresses };
}

export interface DialOptions {
  readonly netns: string;
  readonly key: Uint8Array;
  /** The epoch that our task has reached. */
  readonly epoch: number;
}

export type DialResult =
  | { readonly kind: 'linked'; readonly link: Link; readonly early: Buffer }
  /** Nothing listens on the port, or what does has not the stack's key: there is no sidecar of this stack. */
  | {
      readonly kind: 'non-peer';
      readonly reason: string;
      /** Nothing listens: its kernel says so. */
      readonly nobody: boolean;
    }
  /** There is one, but it is not ready. */
  | { readonly kind: 'busy' }
  /** No answer. */
  | {
      readonly kind: 'silent';
      readonly reason: string;
      /** Its kernel has taken the call. */
      readonly connected: boolean;
      /** The call could not be made here. */
      readonly local: boolean;
    };

/** What the network says of an address behind which there is nobody. */
const UNREACHABLE: readonly (string | undefined)[] = ['EHOSTUNREACH', 'ETIMEDOUT'];

/** Calls whoever has this address; both prove themselves. Never rejects. */
export function dialPeer({ netns, key, epoch }: DialOptions, address: string): Promise<DialResult> {
  return new Promise((resolve) => {
    let link: Link;
    const end = (result: DialResult): void => {
      clearTimeout(timer);
      if (result.kind !== 'linked') link.reset();
      resolve(result);
    };
    let connected = false;
    const silent = (reason: string, local: boolean): DialResult => ({ kind: 'silent', reason, connected, local });
    const beganAt = performance.now();
    let timer = setTimeout(() => {
      connected ||= isConnected(link.fd);
      if (connected) timer = setTimeout(() => end(silent('no answer', false)), ANSWER_TIMEOUT_MS - DIAL_TIMEOUT_MS);
      // A process that had no processor itself has not read what may have come.
      else end(silent('no answer', performance.now() - beganAt > 2 * DIAL_TIMEOUT_MS));
    }, DIAL_TIMEOUT_MS);
    const to: Endpoint = { address, port: PORTS.tunnel };
    try {
      link = new Link(connectFrom(netns, to));
    } catch (error) {
      clearTimeout(timer);
      resolve(silent(messageOf(error), true));
      return;
    }
    link.connected().then(
      () => (connected = true),
      () => undefined, // `closed` says so
    );
    let bytes = Buffer.alloc(0);
    let open: Uint8Array | undefined;
    const take = (read: Buffer): void => {
      bytes = Buffer.concat([bytes, read]);
      if (!open) {
        if (bytes.length < HELLO_BYTES) return;
        open = signOpen(key, decodeHello(bytes.subarray(0, HELLO_BYTES)), openOf(epoch, localEnd(link.fd), to));
        bytes = bytes.subarray(HELLO_BYTES);
        link.write(open);
      }
      if (bytes.length < ACCEPT_BYTES) return;
      const { status } = verifyAccept(key, open, bytes.subarray(0, ACCEPT_BYTES));
      if (status === 'accepted') {
        link.reading = false;
        end({ kind: 'linked', link, early: Buffer.from(bytes.subarray(ACCEPT_BYTES)) });
      } else {
        end(status === 'busy' ? { kind: 'busy' } : { kind: 'non-peer', reason: status, nobody: false });
      }
    };
    const closed = (error: Error | undefined): void => {
      const code = (error as NodeJS.ErrnoException | undefined)?.code;
      // A sidecar of another stack ends the connection when it has seen our OPEN.
      const nobody = code === 'ECONNREFUSED';
      const reason = code ?? 'the connection was closed';
      if (nobody || open !== undefined) end({ kind: 'non-peer', reason, nobody });
      else end(silent(reason, !connected && !UNREACHABLE.includes(code)));
    };
    link.handle(
      (read) => {
        try {
          take(read);
        } catch (error) {
          end({ kind: 'non-peer', reason: messageOf(error), nobody: false });
        }
      },
      { drained: () => undefined, ended: () => closed(undefined), finished: () => undefined, closed },
    );
    link.reading = true;
  });
}

/** What the kernel knows, whether it has been read or not. */
function isConnected(fd: number): boolean {
  try {
    remoteEnd(fd);
    return true;
  } catch {
    return false;
  }
}

/**
 * Who has called proves that it is at the address it calls from, and has called us: both addresses are under the MAC. Otherwise somebody who
 * is called by a sidecar could pass what it says on to another one.
 * @throws AuthenticationError
 */
export function checkCaller(link: Link, open: Pick<OpenMessage, 'client' | 'server'>): void {
  const [from, to] = [remoteEnd(link.fd), localEnd(link.fd)];
  if (open.client.address !== from.address || open.server.address !== to.address)
    throw new AuthenticationError(
      `a link from ${open.client.address} to ${open.server.address} was offered by ${from.address} at ${to.address}`,
    );
}

/** What answers a caller. */
export type PeerAnswer = Extract<AcceptMessage['status'], 'accepted' | 'busy' | 'refused'>;

function openOf(epoch: number, client: Endpoint, server: Endpoint): Omit<OpenMessage, 'mac'> {
  const streamId = randomBytes(16).toString('hex');
  return {
    role: 'peer',
    epoch,
    streamId,
    client,
    server,
    received: 0,
    reusable: false,
    nonce: randomBytes(NONCE_BYTES),
  };
}
