import type { OnReadOpts, Socket } from 'node:net';
import { FRAME_HEAD_BYTES } from '../../../src/wire/frames.ts';
import { IPPROTO_TCP, TCP_NODELAY, setOption, setResetOnClose, trySend } from './sys.ts';
import type { LinkEvents, LocalEnd, TakeRead } from './local-end.ts';
import { descriptorOf, unsentBytesOf } from './sockets.ts';

/**
 * One buffer for every read of every connection: a read and what is done with its bytes are one synchronous piece, so it is free again at
 * its end. In front there is room for the head of a frame, so that head and bytes leave in one call.
 */
const READ_BYTES = 256 * 1024;
const shared = Buffer.allocUnsafeSlow(FRAME_HEAD_BYTES + READ_BYTES);
const readable = shared.subarray(FRAME_HEAD_BYTES);

/**
 * One TCP connection of the sidecar. Writing goes past Node's stream while it can: straight to the kernel, and only what the kernel does not
 * take is copied and queued, one buffer at a time with libuv; so the bytes that are not in the kernel are known exactly at any time.
 */
export class Link implements LocalEnd {
  readonly socket: Socket;
  readonly #queue: Buffer[] = [];
  /** What libuv is writing. */
  #writing: Buffer | undefined;
  #queuedBytes = 0;
  #endAsked = false;
  #error: Error | undefined;
  #events: LinkEvents | undefined;
  #take: TakeRead | undefined;

  /** @param make makes the socket with these options; it must not read before `resume()` */
  constructor(make: (onread: OnReadOpts) => Socket) {
    this.socket = make({
      buffer: readable,
      callback: (bytes) => {
        this.#take?.(readable.subarray(0, bytes), shared.subarray(0, FRAME_HEAD_BYTES + bytes));
        return true;
      },
    });
    this.socket.pause();
    this.socket.setNoDelay(true);
    this.socket.on('error', (error) => (this.#error = error));
    this.socket.on('end', () => this.#events?.ended());
    this.socket.on('finish', () => this.#events?.finished());
    this.socket.on('close', () => this.#events?.closed(this.#error));
  }

  /** Says who gets what is read and what happens; from here on. */
  handle(take: TakeRead, events: LinkEvents): void {
    this.#take = take;
    this.#events = events;
  }

  get fd(): number {
    return descriptorOf(this.socket);
  }

  /** IPv4 address of the other end. */
  get remoteAddress(): string {
    return this.socket.remoteAddress ?? '';
  }

  get gone(): boolean {
    return this.socket.destroyed;
  }

  /** Bytes written here that the kernel has not taken. Exact at any time. */
  get unsentBytes(): number {
    return this.#queuedBytes + (this.#writing ? Math.min(this.#writing.length, unsentBytesOf(this.socket)) : 0);
  }

  /** Those bytes, copied. */
  unsent(): Buffer {
    const writing = this.#writing;
    const tail = writing ? writing.subarray(writing.length - Math.min(writing.length, unsentBytesOf(this.socket))) : [];
    return Buffer.concat([Buffer.from(tail), ...this.#queue]);
  }

  /** True when nothing waits to be written: the time to take more. */
  get idle(): boolean {
    return this.#writing === undefined;
  }

  /** Takes all of `bytes`, which the caller may use again at once. When {@link idle} is false afterwards, better wait for `drained`. */
  write(bytes: Uint8Array): void {
    if (this.gone || this.#endAsked) return;
    if (this.#writing) {
      const copy = Buffer.from(bytes);
      this.#queue.push(copy);
      this.#queuedBytes += copy.length;
      return;
    }
    const taken = this.socket.connecting ? 0 : Math.max(0, trySend(this.fd, bytes));
    if (taken < bytes.length) this.#writeRest(Buffer.from(bytes.subarray(taken)));
  }

  /** Closes our direction behind all that was written. */
  end(): void {
    if (this.#endAsked || this.gone) return;
    this.#endAsked = true;
    if (this.idle) this.socket.end();
  }

  /** Ends both directions with a reset. */
  reset(): void {
    if (this.gone) return;
    // Node would wait for the connection first.
    if (this.socket.connecting) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  /** Forgets the socket; the kernel ends the connection as its options say. */
  close(): void {
    this.socket.destroy();
  }

  /** From here on a crash of this process resets the connection rather than ending it in order, and so does `destroy`. */
  resetOnClose(on: boolean): void {
    if (this.fd >= 0) setResetOnClose(this.fd, on);
  }

  /**
   * What the kernel was not allowed to send (a block) leaves now instead of when a timer fires: setting TCP_NODELAY, also again, pushes
   * (kernel/push-unsent.ts).
   */
  push(): void {
    if (this.fd >= 0) setOption(this.fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }

  get reading(): boolean {
    return !this.socket.isPaused();
  }

  set reading(on: boolean) {
    if (on === this.reading || this.gone) return;
    if (on) {
      this.socket.resume();
      // resume() alone does not start a socket that has never read.
      this.socket.read(0);
    } else {
      this.socket.pause();
    }
  }

  #writeRest(rest: Buffer): void {
    this.#writing = rest;
    this.socket.write(rest, (error) => {
      this.#writing = undefined;
      if (error) return;
      const next = this.#queue.length > 1 ? Buffer.concat(this.#queue) : this.#queue[0];
      this.#queue.length = 0;
      this.#queuedBytes = 0;
      if (next) {
        const taken = Math.max(0, trySend(this.fd, next));
        if (taken < next.length) return this.#writeRest(next.subarray(taken));
      }
      if (this.#endAsked) this.socket.end();
      this.#events?.drained();
    });
  }
}
