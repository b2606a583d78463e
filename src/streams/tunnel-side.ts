import { Arrivals } from './arrivals.ts';
import type { ArrivalsOwner } from './arrivals.ts';
import { copied, joined } from './bytes.ts';
import { FrameDecoder, FrameError } from './wire/frames.ts';
import type { Incoming } from './incoming.ts';
import type { Outgoing } from './outgoing.ts';
import type { Outputs } from './outputs.ts';

/**
 * `opening`: the peer has not accepted yet. `reconnecting`: it waits for a peer that moves or is restored. `ended`: there is no tunnel and never
 * will be.
 */
export type TunnelPhase = 'opening' | 'open' | 'reconnecting' | 'ended';

export interface TunnelSideEvents {
  /** A piece of what the peer's application has sent, valid only during the call. */
  data(bytes: Uint8Array): void;
  reset(): void;
  /** The peer stays after all: frames may be sent again. */
  unparked(): void;
  /** The peer breaks the format. */
  malformed(error: FrameError): void;
  /** The application's connection must break, too: the tunnel has ended, and the peer's end was not in order. */
  broken(): void;
}

/** The tunnel's side of a stream: what comes over it frame by frame, and how far the tunnel's end has come. */
export class TunnelSide implements ArrivalsOwner<Uint8Array> {
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #outputs: Outputs;
  readonly #events: TunnelSideEvents;
  /** What stands behind a marker waits here; so do, by the flags below, the tunnel's end and its being gone. */
  readonly #arrivals = new Arrivals<Uint8Array>(this);
  #decoder: FrameDecoder;
  #phase: TunnelPhase;
  /** Tunnels so far: what is said about an earlier one is void. */
  #number = 0;
  #present = false;
  #lost = false;
  #ended = false;
  #gone = false;
  /** The tunnel may carry another stream after this one. Not once a task has said that it moves. */
  #reusable = false;
  /** Both ends have said END. */
  #free = false;

  constructor(phase: TunnelPhase, incoming: Incoming, outgoing: Outgoing, outputs: Outputs, events: TunnelSideEvents) {
    this.#phase = phase;
    this.#in = incoming;
    this.#out = outgoing;
    this.#outputs = outputs;
    this.#events = events;
    this.#decoder = this.#newDecoder();
  }

  get phase(): TunnelPhase {
    return this.#phase;
  }

  /** It has not ended in order. */
  get lost(): boolean {
    return this.#lost;
  }

  /** There is one now. */
  get present(): boolean {
    return this.#present;
  }

  /** What has come is taken: more may be read. */
  get takes(): boolean {
    return this.#present && !this.#arrivals.waits;
  }

  /** From now on the stream goes over a new tunnel. @param gone it is closed already @param reusable as in StreamMachine.open */
  open(gone: boolean, reusable: boolean): void {
    this.#reusable = reusable;
    this.#free = false;
    this.#phase = 'open';
    this.#present = true;
    this.#number += 1;
    this.#out.open();
    if (gone) this.handleClosed();
  }

  handle(bytes: Uint8Array): void {
    if (this.#present) this.#arrivals.handle(bytes);
  }

  /** Its other end has closed its direction. */
  handleEnd(): void {
    if (!this.#present) return;
    this.#ended = true;
    if (this.#arrivals.waits) return;
    if (this.#out.parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) {
      this.#lost = true;
      this.#events.broken();
    }
    this.finish();
  }

  /** It is gone: both directions have ended, or it broke. */
  handleClosed(): void {
    if (!this.#present) return;
    this.#gone = true;
    if (this.#arrivals.waits) return;
    if (this.#out.parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) this.#lost = true;
    this.end(this.#lost);
    if (!this.#in.finReceived || this.#lost) this.#events.broken();
  }

  /** The marker that came over tunnel number `tunnel` is dealt with. */
  markerDone(tunnel: number): void {
    if (!this.#present || tunnel !== this.#number) return;
    this.#arrivals.unblock();
    this.#endIfDue();
  }

  /** As {@link markerDone}: its peer moves, and this stream waits for it. */
  parkDone(tunnel: number, epoch: number): void {
    if (this.#present && tunnel === this.#number) this.#out.park(epoch);
    this.markerDone(tunnel);
  }

  pause(on: boolean): void {
    this.#arrivals.pause(on);
    if (!on) this.#endIfDue();
  }

  /** Another tunnel is about to come: nothing of this one is heard any more, not even the rest of a frame. */
  discard(): void {
    this.#drop(true);
    this.#decoder = this.#newDecoder();
  }

  /** The peer has never heard of the stream. */
  openAnew(): void {
    this.#phase = 'opening';
  }

  /** Both directions of the application's connection are closed: nothing more is said. */
  finish(): void {
    if (!this.#present) return;
    const another = this.#reusable && !this.#ended && !this.#in.resetReceived;
    if (!another || !this.#out.sayOver()) this.#outputs.push({ kind: 'tunnel-end' });
  }

  /** There is no tunnel from now on. @param lost it does not end in order: its other end sees it break */
  end(lost: boolean): void {
    this.#drop(lost);
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#outputs.push({ kind: 'ended', lost });
  }

  /** Ends it at once. */
  destroy(): void {
    this.#lost = true;
    this.end(true);
  }

  take(bytes: Uint8Array): Uint8Array | undefined {
    try {
      const taken = this.#decoder.push(bytes);
      const rest = taken < bytes.length ? bytes.subarray(taken) : undefined;
      if (!this.#free) return rest;
      this.#leaveFree(rest);
      return undefined;
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#events.malformed(error);
      return undefined;
    }
  }

  keep(bytes: Uint8Array): Uint8Array {
    return copied(bytes);
  }

  /** What had waited has been taken: the tunnel's end may have stood behind it. */
  #endIfDue(): void {
    if (this.#ended) this.handleEnd();
    if (this.#gone) this.handleClosed();
  }

  /** Nothing of it is heard any more. */
  #drop(reset: boolean): void {
    if (this.#present) this.#outputs.push({ kind: 'tunnel-drop', reset });
    this.#arrivals.clear();
    this.#present = this.#ended = this.#gone = false;
    this.#out.close();
  }

  #newDecoder(): FrameDecoder {
    return new FrameDecoder({
      data: (bytes) => {
        if (this.#heard()) this.#events.data(bytes);
        return this.#present;
      },
      marker: (epoch, offset) => this.#onMarker('marker', epoch, offset),
      fin: (offset) => {
        if (this.#heard()) {
          this.#checkOffset(offset);
          this.#in.handleFin();
        }
        return this.#present;
      },
      reset: () => {
        if (this.#heard()) this.#events.reset();
        return this.#present;
      },
      park: (epoch, offset) => this.#onMarker('park', epoch, offset),
      unpark: () => {
        this.#out.unparked();
        this.#events.unparked();
        return true;
      },
      window: (offset) => {
        this.#out.handleWindow(offset);
        return true;
      },
      end: () => {
        if (this.#heard()) this.#onEnd();
        return false;
      },
    });
  }

  /** A peer that moves has nothing more to say over this tunnel, but that it stays. @returns false if it has said more */
  #heard(): boolean {
    if (!this.#out.parked) return true;
    this.#leave();
    return false;
  }

  /** The peer has said of this stream all that there was; with our own END the tunnel is free. */
  #onEnd(): void {
    if (!this.#out.sayOver())
      this.#outputs.push({ kind: 'tunnel-end' }); // the peer sees it, and ends its own direction
    else if (this.#reusable && !this.#out.parking && !this.#out.resetSent) this.#free = true;
    else this.end(false);
  }

  /** @param rest what has come behind END */
  #leaveFree(rest: Uint8Array | undefined): void {
    const behind = [...(rest ? [rest] : []), ...this.#arrivals.drain()];
    const [first, ...others] = behind;
    this.#free = this.#present = false;
    this.end(false);
    this.#outputs.push({ kind: 'tunnel-free', rest: first && others.length === 0 ? first : joined(behind) });
  }

  #onMarker(kind: 'marker' | 'park', epoch: number, offset: number): boolean {
    this.#checkOffset(offset);
    if (kind === 'park') this.#reusable = false;
    this.#arrivals.block();
    this.#outputs.push({ kind, epoch, tunnel: this.#number });
    return false;
  }

  /** A byte was lost or doubled on the way. Not by TCP. */
  #checkOffset(offset: number): void {
    const { received } = this.#in;
    if (offset !== received) throw new FrameError('value', `the peer has sent ${offset} bytes, ${received} have come`);
  }

  /** The tunnel of a parked stream is of no use any more. */
  #leave(): void {
    this.#phase = 'reconnecting';
    this.#drop(true);
    this.#outputs.push({ kind: 'left' });
  }

  /** Each direction has ended, or one end was reset: the tunnel may go. */
  get #orderly(): boolean {
    const { finReceived, resetReceived } = this.#in;
    return (finReceived && this.#out.finSent) || resetReceived || this.#out.resetSent;
  }
}
