import { emptyEnd, dropEnd, makeEnd, takeEnd, wakeEnd } from '../../../agent/linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import {
  MSG_DONTWAIT,
  SHUT_WR,
  SOL_SOCKET,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_SNDBUFFORCE,
  SystemCallError,
  bindSocket,
  closeDescriptor,
  connectSocket,
  hasFailed,
  inNetns,
  listenSocket,
  localEnd,
  receiveBytes,
  remoteEnd,
  sendBytes,
  setOption,
  shutdownSocket,
  tcpSocket,
  trySend,
} from '../../../agent/linux/sys.ts';
import type { Connection, Endpoint } from '../../../src/model/connection.ts';
import { libraryCall } from '../../../src/platform/libc/library-call.ts';

const accept4 = libraryCall('int accept4(int, void *, void *, int)');
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const BUFFER_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** Between two looks at all connections. */
const PAUSE_MS = 2;

/** Byte number n of each direction, known to both ends: one that is lost, doubled or changed is noticed. */
export const byteAt = (n: number): number => (n * 7 + (n >>> 8) * 13 + (n >>> 16) * 29) & 255;
/** It repeats after this. */
const PERIOD = 1 << 24;
const pattern = Buffer.alloc(PERIOD + CHUNK_BYTES);
for (let n = 0; n < pattern.length; n++) pattern[n] = byteAt(n % PERIOD);

/** How one end behaves. */
export interface Manners {
  /** Bytes to send; then our direction is closed. Default: without end. */
  sendBytes?: number;
  /** … or not closed. */
  stay?: boolean;
  /** Most bytes read at each look. Default: all. */
  readAtOnce?: number;
  /** Most bytes sent at each look. Default: a chunk. */
  sendAtOnce?: number;
}

/** One end of a connection, at its application. */
export interface AppEnd {
  fd: number;
  readonly manners: Manners;
  sent: number;
  got: number;
  finSent: boolean;
  finGot: boolean;
  /** Restored: the end comes behind so many bytes, and the kernel does not know it. */
  endAt: number | undefined;
  error: string | undefined;
}

/** An end as it was at a cut. */
export interface SavedEnd {
  readonly end: TcpEnd;
  readonly app: AppEnd;
}

/**
 * An application whose sockets are descriptors of this process, so that they can be taken and made again in another namespace, as CRIU does
 * it with a whole program, but in no time. `frozen`: it does nothing.
 */
export class RawApp {
  frozen = false;
  /** False: connections stay in the kernel's queue. */
  accepting = true;
  readonly ends: AppEnd[] = [];
  readonly #netns: string;
  readonly #listeners: { readonly fd: number; readonly port: number; readonly manners: Manners }[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);

  constructor(netns: string) {
    this.#netns = netns;
    this.#timer = setInterval(() => this.#look(), PAUSE_MS);
  }

  /** Listens on all addresses. */
  listen(port: number, manners: Manners): void {
    const fd = inNetns(this.#netns, tcpSocket);
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bindSocket(fd, { address: '0.0.0.0', port });
    listenSocket(fd, 1024);
    this.#listeners.push({ fd, port, manners });
  }

  connect(to: Endpoint, manners: Manners): AppEnd {
    const fd = inNetns(this.#netns, tcpSocket);
    try {
      connectSocket(fd, to);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('-115')) throw error; // EINPROGRESS
    }
    return this.#add(fd, manners);
  }

  /** Listens again on what a saved one listened on. */
  listenAs(other: RawApp): void {
    for (const { port, manners } of other.#listeners) this.listen(port, manners);
  }

  /** Everything about its connections, to be kept. */
  save(): SavedEnd[] {
    return this.ends
      .filter(({ fd, error }) => fd >= 0 && error === undefined)
      .flatMap((app) => {
        try {
          return [{ end: takeEnd(app.fd), app: { ...app, manners: { ...app.manners } } }];
        } catch {
          return []; // being made, or over
        }
      });
  }

  /**
   * Makes saved ends again, asleep.
   * @param peerReceiveSeq what the sidecar's end of it expects, as the agent knows it from the record
   * @returns wakes them
   */
  restore(saved: readonly SavedEnd[], peerReceiveSeq: (end: TcpEnd) => number | undefined): () => void {
    const made = saved.map(({ end, app }) => {
      const { end: emptied, unsent, received, finDelivered } = emptyEnd(end, peerReceiveSeq(end) ?? end.sendSeq);
      const fd = makeEnd(this.#netns, { ...emptied, received }, 0, BUFFER_BYTES);
      const restored = { ...app, fd, manners: { ...app.manners } };
      if (end.fins.received && !app.finGot) restored.endAt = app.got + received.length;
      this.ends.push(restored);
      return { fd, unsent, closeAgain: end.fins.sent && !finDelivered };
    });
    return () => {
      for (const { fd, unsent, closeAgain } of made) {
        wakeEnd(fd);
        if (unsent.length > 0 && sendBytes(fd, unsent) < unsent.length) throw new Error('the send buffer is too small');
        if (closeAgain) shutdownSocket(fd, SHUT_WR);
      }
    };
  }

  /** Where its connections are, as the kernel lists them. */
  get connections(): { local: Endpoint; remote: Endpoint }[] {
    return this.ends.flatMap(({ fd, error }) =>
      fd < 0 || error !== undefined ? [] : [{ local: localEnd(fd), remote: remoteEnd(fd) }],
    );
  }

  get errors(): string[] {
    return this.ends.flatMap(({ error }) => (error === undefined ? [] : [error]));
  }

  /** Without a word. */
  close(): void {
    clearInterval(this.#timer);
    for (const end of this.ends) drop(end);
    for (const { fd } of this.#listeners) closeDescriptor(fd);
  }

  #add(fd: number, manners: Manners): AppEnd {
    setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
    setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES);
    const end: AppEnd = {
      fd,
      manners,
      sent: 0,
      got: 0,
      finSent: false,
      finGot: false,
      endAt: undefined,
      error: undefined,
    };
    this.ends.push(end);
    return end;
  }

  #look(): void {
    if (this.frozen) return;
    for (const { fd, manners } of this.accepting ? this.#listeners : []) {
      const accept = (): number => accept4(fd, null, null, SOCK_NONBLOCK_CLOEXEC);
      for (let made = accept(); made >= 0; made = accept()) this.#add(made, { ...manners });
    }
    for (const end of this.ends) {
      if (end.fd < 0 || end.error !== undefined) continue;
      // Otherwise it would be told, and the error would be gone.
      if (!hasFailed(end.fd)) this.#send(end);
      this.#receive(end);
      if (end.finSent && end.finGot) drop(end, false);
    }
  }

  #send(end: AppEnd): void {
    const { sendBytes: all = Number.POSITIVE_INFINITY, sendAtOnce = CHUNK_BYTES } = end.manners;
    const bytes = Math.min(sendAtOnce, CHUNK_BYTES, all - end.sent);
    const at = end.sent % PERIOD;
    if (bytes > 0) end.sent += Math.max(0, trySend(end.fd, pattern.subarray(at, at + bytes)));
    if (end.sent < all || end.finSent || end.manners.stay) return;
    try {
      shutdownSocket(end.fd, SHUT_WR);
      end.finSent = true;
    } catch (error) {
      if (!(error instanceof SystemCallError && error.code === 'ENOTCONN')) throw error;
    }
  }

  #receive(end: AppEnd): void {
    if (end.finGot) return;
    let left = end.manners.readAtOnce ?? 4 * CHUNK_BYTES;
    while (left > 0 && end.endAt !== end.got) {
      let got: number;
      try {
        got = receiveBytes(end.fd, this.#buffer.subarray(0, Math.min(left, CHUNK_BYTES)), MSG_DONTWAIT);
      } catch (error) {
        const code = error instanceof SystemCallError ? error.code : String(error);
        if (code !== 'EAGAIN' && code !== 'ENOTCONN') end.error = `${code} after ${end.got} bytes`;
        return;
      }
      if (got === 0) break;
      const at = end.got % PERIOD;
      if (this.#buffer.compare(pattern, at, at + got, 0, got) !== 0) end.error = `wrong bytes after ${end.got}`;
      end.got += got;
      left -= got;
    }
    if (left > 0) end.finGot = true;
  }
}

/** What CRIU would say of it. */
export function connectionOf({ end }: SavedEnd): Connection {
  return {
    local: end.local,
    remote: end.remote,
    state: end.fins.received ? 'CLOSE_WAIT' : end.fins.sent ? 'FIN_WAIT1' : 'ESTABLISHED',
    sndUna: (end.sendSeq - end.unacknowledged.length) >>> 0,
    sndNxt: end.sendSeq,
    writeSeq: end.sendSeq,
    rcvNxt: end.receiveSeq,
    sendQueueBytes: end.unacknowledged.length,
    recvQueueBytes: end.received.length,
    sequencesKnown: true,
  };
}

function drop(end: AppEnd, quietly = true): void {
  const { fd } = end;
  end.fd = -1;
  if (fd < 0) return;
  if (quietly) dropEnd(fd);
  else closeDescriptor(fd);
}
