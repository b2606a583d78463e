import {
  FRAME_HEAD_BYTES,
  WINDOW_BYTES,
  finFrame,
  markerFrame,
  parkFrame,
  resetFrame,
  unparkFrame,
  windowFrame,
  writeDataHead,
} from '../../../src/streams/frames.ts';
import type { Link } from '../sockets/link.ts';

/** What was read from an application before a cut is sent in pieces of this size. Bytes. */
const PIECE_BYTES = 256 * 1024;

/** How a restored channel begins. */
export interface RestoredOutgoing {
  readonly sent: number;
  readonly finSent: boolean;
  /** Taken from the application's connection, not yet sent. */
  readonly pending: Buffer;
}

/** The channel of a stream away from this sidecar's application: what goes into the tunnel, frame by frame. */
export class Outgoing {
  #tunnel: Link | undefined;
  #sent: number;
  #finSent: boolean;
  #resetSent = false;
  /** The peer takes bytes up to this offset. */
  #limit: number;
  #pending: Buffer;
  /** A marker for a peer that has not accepted yet. */
  #cutFrame: Uint8Array | undefined;
  /** We have told the peer that this task moves: it hears nothing more until {@link unpark}. */
  #parking = false;
  /** The peer's task moves: it must not get anything more over this tunnel. */
  #parked = false;

  constructor(restored?: RestoredOutgoing) {
    this.#sent = restored?.sent ?? 0;
    this.#finSent = restored?.finSent ?? false;
    this.#pending = restored?.pending ?? Buffer.alloc(0);
    this.#limit = WINDOW_BYTES;
  }

  /** Bytes taken from the application and given to the tunnel, since the connection began. */
  get sent(): number {
    return this.#sent;
  }

  get finSent(): boolean {
    return this.#finSent;
  }

  get resetSent(): boolean {
    return this.#resetSent;
  }

  /** Taken from the application before a cut, and not yet sent. */
  get pending(): Buffer {
    return this.#pending;
  }

  /** Frames may be sent now. */
  get open(): boolean {
    return this.#tunnel !== undefined && !this.#parking && !this.#parked;
  }

  /** The application's bytes may be sent now. */
  get ready(): boolean {
    return this.open && this.#sent < this.#limit && this.#tunnel?.idle === true && !this.#tunnel.gone;
  }

  /** The peer takes bytes up to this offset. Undefined: it has not said anything about it, being restored or having moved. */
  set limit(offset: number | undefined) {
    this.#limit = offset === undefined ? this.#sent : Math.max(this.#limit, offset);
  }

  /** Tells the peer how far it may send. @returns false if it cannot be told now */
  window(offset: number): boolean {
    if (!this.open) return false;
    this.#tunnel?.write(windowFrame(offset));
    return true;
  }

  get parked(): boolean {
    return this.#parked;
  }

  /** From now on frames go into this tunnel; without one they wait. */
  use(tunnel: Link | undefined): void {
    this.#tunnel = tunnel;
    this.#parked = false;
    if (tunnel && this.#cutFrame) tunnel.write(this.#cutFrame);
    if (tunnel) this.#cutFrame = undefined;
  }

  /** @param framed the bytes, with room for the frame's head before them */
  data(bytes: number, framed: Buffer): void {
    writeDataHead(framed, bytes);
    this.#tunnel?.write(framed.subarray(0, FRAME_HEAD_BYTES + bytes));
    this.#sent += bytes;
  }

  /** Sends what had to wait, if it may go now. */
  flush(): void {
    if (!this.open) return;
    for (let at = 0; at < this.#pending.length; at += PIECE_BYTES) {
      const bytes = this.#pending.subarray(at, at + PIECE_BYTES);
      this.data(bytes.length, Buffer.concat([Buffer.alloc(FRAME_HEAD_BYTES), bytes]));
    }
    this.#pending = Buffer.alloc(0);
  }

  /** The application has closed its direction. */
  fin(): void {
    if (!this.open || this.#finSent || this.#resetSent) return;
    this.#finSent = true;
    this.#tunnel?.write(finFrame(this.#sent));
  }

  /** The application's connection is gone. @param tell the peer may not know */
  reset(tell: boolean): void {
    if (!this.open || this.#resetSent) return;
    this.#resetSent = true;
    if (tell) this.#tunnel?.write(resetFrame());
    this.#tunnel?.end();
  }

  /** Puts a marker behind all that was sent. @param park this task moves, see FRAME_TYPES @param later the peer has not accepted yet */
  marker(epoch: number, park: boolean, later: boolean): void {
    const frame = (park ? parkFrame : markerFrame)(epoch, this.#sent);
    this.#parking = park;
    if (later) this.#cutFrame = frame;
    else this.#tunnel?.write(frame);
  }

  /** This task stays after all. @returns false if there was no question of moving */
  unpark(): boolean {
    if (!this.#parking) return false;
    this.#parking = false;
    if (this.#cutFrame) this.#cutFrame = undefined;
    else this.#tunnel?.write(unparkFrame());
    return true;
  }

  /** The peer moves: nothing follows the marker that answers it. */
  park(epoch: number): void {
    this.#parked = true;
    this.#tunnel?.write(markerFrame(epoch, this.#sent));
  }

  /** The peer stays after all. */
  unparked(): void {
    this.#parked = false;
  }
}
