import { ByteQueue } from './byte-queue.ts';
import { FRAME_HEAD_BYTES, MAX_DATA_BYTES } from '../../../src/streams/wire/frames.ts';
import type { LinkEvents, LocalEnd, TakeRead } from './local-end.ts';
import { Watch } from './watch.ts';
import {
  IPPROTO_TCP,
  SHUT_WR,
  SIOCINQ,
  SIOCOUTQ,
  SystemCallError,
  TCP_NODELAY,
  closeDescriptor,
  ioctlInt,
  lastError,
  remoteEnd,
  setOption,
  setResetOnClose,
  shutdownSocket,
  socketError,
  tryReceive,
  trySend,
} from '../../linux/sys.ts';

/**
 * One buffer for every read of every connection: a read and what is done with its bytes are one synchronous piece, so it is free again at
 * its end. In front there is room for the head of a frame, so that head and bytes leave in one call. The more is read at once, the less
 * often there is something to do (docs/bench.md).
 */
const shared = Buffer.allocUnsafeSlow(FRAME_HEAD_BYTES + MAX_DATA_BYTES);
const readable = shared.subarray(FRAME_HEAD_BYTES);

/** Nothing to be done now. */
const LATER: readonly string[] = ['EAGAIN', 'EINTR'];

/** What a link is made of: a non-blocking socket. */
export interface LinkSocket {
  readonly fd: number;
  /** The connection is not there yet. */
  readonly connecting?: boolean;
}

/**
 * One TCP connection of the sidecar. What is written goes straight to the kernel, and only what that does not take is copied; so the bytes
 * that are not in the kernel are known exactly at any time. Events come neither while a method of the link runs nor before
 * {@link handle}.
 */
export class Link implements LocalEnd {
  /** Of a tunnel (tunnels.ts): the other sidecar's address. A socket that was reset does not know its other end any more. */
  peer = '';
  #fd: number;
  readonly #watch: Watch;
  #connecting: boolean;
  #reading = false;
  readonly #queue = new ByteQueue();
  #endAsked = false;
  /** The other end has closed its direction; ours is closed. */
  #ended = false;
  #finished = false;
  #events: LinkEvents | undefined;
  #take: TakeRead | undefined;
  #onGone: (() => void) | undefined;
  /** The other end is gone: why this one closes when all that came is read. */
  #abandoned: Error | undefined;
  #connected: { resolve(): void; reject(error: Error): void } | undefined;

  /** It is not read before {@link reading} is set. */
  constructor({ fd, connecting = false }: LinkSocket) {
    this.#fd = fd;
    this.#connecting = connecting;
    this.#watch = new Watch(fd, this);
    this.#look();
  }

  /** Says who gets what is read and what happens; from here on. */
  handle(take: TakeRead, events: LinkEvents): void {
    this.#take = take;
    this.#events = events;
  }

  /** -1 when it is gone. */
  get fd(): number {
    return this.#fd;
  }

  /** IPv4 address of the other end. */
  get remoteAddress(): string {
    return this.gone ? '' : remoteEnd(this.#fd).address;
  }

  get gone(): boolean {
    return this.#fd < 0;
  }

  /** Resolves when the connection is there. @throws the system's error when it could not be made */
  connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.gone) reject(new Error('the connection is gone'));
      else if (this.#connecting) this.#connected = { resolve, reject };
      else resolve();
    });
  }

  /** Nothing stands in the way of its being used for long: neither end has ended it, nothing waits to be written. */
  get sound(): boolean {
    return !this.gone && !this.#endAsked && !this.#ended && !this.#abandoned && this.idle;
  }

  /** Bytes written here that the kernel has not taken. Exact at any time. */
  get unsentBytes(): number {
    return this.#queue.length;
  }

  /** The other end's kernel has all that was written. */
  get acknowledged(): boolean {
    return !this.gone && this.idle && ioctlInt(this.#fd, SIOCOUTQ) === 0;
  }

  /** Those bytes, copied. */
  unsent(): Buffer {
    return this.#queue.toBuffer();
  }

  /** True when nothing waits to be written: the time to take more. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Takes all of `bytes`, which the caller may use again at once. When {@link idle} is false afterwards, better wait for `drained`. */
  write(bytes: Uint8Array): void {
    if (this.gone || this.#endAsked || bytes.length === 0) return;
    let taken = 0;
    if (this.idle && !this.#connecting) {
      taken = trySend(this.#fd, bytes);
      if (taken === bytes.length) return;
      if (taken < 0) {
        const code = lastError();
        if (!LATER.includes(code)) {
          this.#closeSoon(new SystemCallError('send', code));
          return;
        }
        taken = 0;
      }
    }
    this.#queue.push(bytes.subarray(taken));
    this.#look();
  }

  /** Closes our direction behind all that was written. */
  end(): void {
    if (this.#endAsked || this.gone) return;
    this.#endAsked = true;
    if (this.idle && !this.#connecting) this.#finish();
  }

  /** Ends both directions with a reset. */
  reset(): void {
    if (this.gone) return;
    setResetOnClose(this.#fd, true);
    this.#close(undefined);
  }

  /** Forgets the socket; the kernel ends the connection as its options say. */
  close(): void {
    this.#close(undefined);
  }

  /** Calls back once, when it is gone. */
  onGone(gone: () => void): void {
    this.#onGone = gone;
  }

  /**
   * The other end is known to be gone, which the kernel does not see: closes this one behind all that has come from there, whenever that is
   * read. Nothing that is written gets anywhere.
   */
  abandon(reason: Error): void {
    if (this.gone || this.#abandoned) return;
    this.#abandoned = reason;
    this.#closeIfDrained();
  }

  /** {@link abandon} has been called. */
  get abandoned(): boolean {
    return this.#abandoned !== undefined;
  }

  /** From here on a crash of this process resets the connection rather than ending it in order, and so does `close`. */
  resetOnClose(on: boolean): void {
    if (!this.gone) setResetOnClose(this.#fd, on);
  }

  /**
   * What the kernel was not allowed to send (a block) leaves now instead of when a timer fires: setting TCP_NODELAY, also again, pushes
   * (agent/network/rewriting/push-unsent.ts).
   */
  push(): void {
    if (!this.gone) setOption(this.#fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }

  get reading(): boolean {
    return this.#reading;
  }

  set reading(on: boolean) {
    if (on === this.#reading || this.gone) return;
    this.#reading = on;
    this.#look();
    if (on && this.#abandoned) this.#closeIfDrained();
  }

  /** For {@link Watch}. */
  readable(): void {
    const bytes = tryReceive(this.#fd, readable);
    if (bytes > 0) {
      this.#take?.(readable.subarray(0, bytes), shared.subarray(0, FRAME_HEAD_BYTES + bytes));
      if (this.#abandoned) this.#closeIfDrained();
    } else if (bytes === 0) {
      this.#ended = true;
      this.#look();
      this.#events?.ended();
      this.#closeIfOver();
    } else {
      this.#closeIfFailed('recv');
    }
  }

  /** For {@link Watch}. */
  writable(): void {
    if (this.#connecting && !this.#nowConnected()) return;
    for (let first = this.#queue.first; first; first = this.#queue.first) {
      const taken = trySend(this.#fd, first);
      if (taken < 0) {
        this.#closeIfFailed('send');
        return;
      }
      this.#queue.drop(taken);
      if (taken < first.length) return;
    }
    this.#look();
    if (this.#endAsked) this.#finish();
    this.#events?.drained();
  }

  #nowConnected(): boolean {
    const code = socketError(this.#fd);
    if (code !== undefined) {
      this.#close(new SystemCallError('connect', code));
      return false;
    }
    this.#connecting = false;
    this.#connected?.resolve();
    this.#connected = undefined;
    return true;
  }

  /** Our direction is closed: all before is in the kernel. */
  #finish(): void {
    if (this.gone || this.#finished) return;
    try {
      shutdownSocket(this.#fd, SHUT_WR);
    } catch (error) {
      this.#closeSoon(error as Error);
      return;
    }
    process.nextTick(() => {
      if (this.gone) return;
      this.#finished = true;
      this.#events?.finished();
      this.#closeIfOver();
    });
  }

  #closeIfOver(): void {
    if (this.#ended && this.#finished) this.#close(undefined);
  }

  /** Whoever has called may still use the descriptor. */
  #closeIfDrained(): void {
    process.nextTick(() => {
      if (this.gone) return;
      if (this.#connecting || this.#ended || ioctlInt(this.#fd, SIOCINQ) === 0) this.#close(this.#abandoned);
    });
  }

  /** The last call on the socket has not done anything. */
  #closeIfFailed(call: string): void {
    const code = lastError();
    if (!LATER.includes(code)) this.#close(new SystemCallError(call, code));
  }

  /** Whoever has called may still use the descriptor. */
  #closeSoon(error: Error): void {
    process.nextTick(() => this.#close(error));
  }

  #close(error: Error | undefined): void {
    if (this.gone) return;
    this.#watch.close();
    closeDescriptor(this.#fd);
    this.#fd = -1;
    this.#queue.clear();
    this.#onGone?.();
    process.nextTick(() => {
      this.#connected?.reject(error ?? new Error('the connection is gone'));
      this.#connected = undefined;
      this.#events?.closed(error);
    });
  }

  /** Has what may happen next looked at. */
  #look(): void {
    const { idle } = this;
    this.#watch.set(this.#reading && !this.#ended && !this.#connecting, this.#connecting || !idle);
  }
}
