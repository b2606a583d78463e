import { copied, joined } from './bytes.ts';
import {
  FRAME_HEAD_BYTES,
  WINDOW_BYTES,
  endFrame,
  finFrame,
  markerFrame,
  parkFrame,
  resetFrame,
  unparkFrame,
  windowFrame,
  writeDataHead,
} from './wire/frames.ts';
import { Outbox } from './outbox.ts';
import type { OutboxOwner } from './outbox.ts';
import type { Outputs } from './outputs.ts';

/** What had to wait is sent in pieces of this size. Bytes. */
const PIECE_BYTES = 256 * 1024;

/** How a restored channel begins. */
export interface RestoredOutgoing {
  readonly sent: number;
  readonly finSent: boolean;
  /** Taken from the application's connection, not yet sent. */
  readonly pending: Uint8Array;
}

/** The channel of a stream away from this sidecar's application: what goes into the tunnel, frame by frame. */
export class Outgoing implements OutboxOwner<Uint8Array> {
  /** Nothing written waits for the tunnel's kernel socket, and the tunnel is not gone. */
  tunnelIdle = true;
  readonly #outputs: Outputs;
  readonly #outbox: Outbox<Uint8Array>;
  /** There is a tunnel. */
  #tunnel = false;
  #sent: number;
  #finSent: boolean;
  #resetSent = false;
  /** The peer takes bytes up to this offset. */
  #limit = WINDOW_BYTES;
  /** A marker for a peer that has not accepted yet. */
  #cutFrame: Uint8Array | undefined;
  /** We have told the peer that this task moves: it hears nothing more until {@link unpark}. */
  #parking = false;
  /** The peer's task moves: it must not get anything more over this tunnel. */
  #parked = false;
  /** END was sent: nothing more of this stream goes into the tunnel. */
  #over = false;

  constructor(outputs: Outputs, restored?: RestoredOutgoing) {
    this.#outputs = outputs;
    this.#sent = restored?.sent ?? 0;
    this.#finSent = restored?.finSent ?? false;
    this.#outbox = new Outbox<Uint8Array>(this, restored && restored.pending.length > 0 ? [restored.pending] : []);
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

  /** Taken from the application, and not yet sent. */
  get pending(): Uint8Array {
    return joined(this.#outbox.waiting);
  }

  /** Frames may be sent now. */
  maySend(): boolean {
    return this.#tunnel && !this.#parking && !this.#parked;
  }

  /** The application's bytes may be sent now. */
  get ready(): boolean {
    return this.maySend() && this.#sent < this.#limit && this.tunnelIdle;
  }

  get parked(): boolean {
    return this.#parked;
  }

  /** We have told the peer that this task moves. */
  get parking(): boolean {
    return this.#parking;
  }

  /** The peer takes bytes up to this offset. */
  handleWindow(offset: number): void {
    this.#limit = Math.max(this.#limit, offset);
  }

  /** The peer has been restored or has moved: it takes nothing before it has said so. */
  forgetWindow(): void {
    this.#limit = this.#sent;
  }

  /** Tells the peer how far it may send. @returns false if it cannot be told now */
  window(offset: number): boolean {
    if (this.maySend()) this.#write(windowFrame(offset));
    return this.maySend();
  }

  /** From now on frames go into a new tunnel. */
  open(): void {
    this.#tunnel = true;
    this.#parked = this.#over = false;
    if (this.#cutFrame) this.#write(this.#cutFrame);
    this.#cutFrame = undefined;
  }

  /** There is no tunnel now: what is to be sent waits. */
  close(): void {
    this.#tunnel = this.#parked = false;
  }

  /** The application's bytes. @param framed the same, with room for a frame's head before them */
  handleData(bytes: Uint8Array, framed: Uint8Array): void {
    if (this.maySend() && this.#outbox.idle) this.#data(framed);
    else this.#outbox.put(bytes);
  }

  /** Sends what had to wait, if it may go now. */
  flush(): void {
    this.#outbox.flush();
  }

  /** The application has closed its direction. */
  fin(): void {
    if (!this.#finSent && !this.#resetSent && !this.#outbox.endWaits) this.#outbox.end();
  }

  /** The application's connection is gone. @param tell the peer may not know */
  reset(tell: boolean): void {
    if (!this.maySend() || this.#resetSent) return;
    this.#resetSent = true;
    if (tell) this.#write(resetFrame());
    this.#outputs.push({ kind: 'tunnel-end' });
  }

  /** Says that nothing more is said of this stream. Repeated: no effect. @returns false if that cannot be said now */
  sayOver(): boolean {
    if (this.#over) return true;
    if (!this.#finSent || this.#resetSent || !this.maySend()) return false;
    this.#write(endFrame());
    this.#over = true;
    return true;
  }

  /** Puts a marker behind all that was sent. @param park this task moves, see FRAME_TYPES @param later the peer has not accepted yet */
  marker(epoch: number, park: boolean, later: boolean): void {
    const frame = (park ? parkFrame : markerFrame)(epoch, this.#sent);
    this.#parking = park;
    if (later) this.#cutFrame = frame;
    else if (this.#tunnel) this.#write(frame);
  }

  /** This task stays after all. @returns false if there was no question of moving */
  unpark(): boolean {
    if (!this.#parking) return false;
    this.#parking = false;
    if (this.#cutFrame) this.#cutFrame = undefined;
    else if (this.#tunnel) this.#write(unparkFrame());
    return true;
  }

  /** The peer moves: nothing follows the marker that answers it. */
  park(epoch: number): void {
    this.#parked = true;
    this.#write(markerFrame(epoch, this.#sent));
  }

  /** The peer stays after all. */
  unparked(): void {
    this.#parked = false;
  }

  keep(bytes: Uint8Array): Uint8Array {
    return copied(bytes);
  }

  send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES)
      this.#data(joined([new Uint8Array(FRAME_HEAD_BYTES), bytes.subarray(at, at + PIECE_BYTES)]));
  }

  sendEnd(): void {
    if (this.#resetSent) return;
    this.#finSent = true;
    this.#write(finFrame(this.#sent));
  }

  #data(framed: Uint8Array): void {
    const bytes = framed.length - FRAME_HEAD_BYTES;
    writeDataHead(framed, bytes);
    this.#write(framed);
    this.#sent += bytes;
  }

  /** Behind END nothing is written, as into a tunnel whose direction is closed. */
  #write(bytes: Uint8Array): void {
    if (!this.#over) this.#outputs.write(bytes);
  }
}
