import { messageOf } from '../../../src/model/errors.ts';
import { FrameDecoder, FrameError } from '../../../src/streams/frames.ts';
import type { Incoming } from './incoming.ts';
import type { Link } from '../sockets/link.ts';
import type { Outgoing } from './outgoing.ts';

/**
 * `opening`: the peer has not accepted yet. `away`: it waits for a peer that moves or is restored. `ended`: there is no tunnel and never
 * will be.
 */
export type TunnelPhase = 'opening' | 'open' | 'away' | 'ended';

export interface TunnelSideEvents {
  /** A piece of what the peer's application has sent, valid only during the call. */
  data(bytes: Uint8Array): void;
  fin(): void;
  reset(): void;
  /** Resolves when the marker is dealt with: what is behind it may be taken then. */
  marker(epoch: number): Promise<void>;
  /** The peer's task moves. Resolves with true when this stream is to wait for it, false when this was taken as a marker. */
  park(epoch: number): Promise<boolean>;
  /** The peer stays after all: frames may be sent again. */
  unparked(): void;
  /** What has come is dealt with, or what was written has left: whether more is read may have changed. */
  changed(): void;
  /** The peer breaks the format. */
  malformed(error: FrameError): void;
  /** The application's connection must break, too: the tunnel has ended, and the peer's end was not in order. */
  broken(): void;
  /** A parked tunnel is gone. */
  left(): void;
  /** There is no tunnel from now on. `lost`: it did not end in order. */
  ended(lost: boolean): void;
  /** The tunnel's socket is closed; all that follows from it has been done. */
  closed(): void;
  log(message: string, details: object): void;
}

/** The tunnel's side of a stream: its socket, what comes over it frame by frame, and how far the tunnel's end has come. */
export class TunnelSide {
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #events: TunnelSideEvents;
  #link: Link | undefined;
  #decoder: FrameDecoder;
  #phase: TunnelPhase;
  #lost = false;
  /** A marker is being dealt with; what stands behind it waits in `#stash`, and so do the tunnel's end and its being gone. */
  #blocked = false;
  #stash: Buffer | undefined;
  #ended = false;
  #gone = false;

  constructor(phase: TunnelPhase, incoming: Incoming, outgoing: Outgoing, events: TunnelSideEvents) {
    this.#phase = phase;
    this.#in = incoming;
    this.#out = outgoing;
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
    return this.#link !== undefined;
  }

  /** What stands behind a marker must wait: nothing is to be read. */
  get blocked(): boolean {
    return this.#blocked;
  }

  set reading(on: boolean) {
    if (this.#link) this.#link.reading = on;
  }

  /** From now on the stream goes over this tunnel. */
  open(link: Link): void {
    this.#phase = 'open';
    this.#link = link;
    this.#out.use(link);
    link.handle(
      (bytes) => {
        if (this.#link === link) this.take(bytes);
      },
      {
        drained: () => this.#events.changed(),
        ended: () => {
          if (this.#link === link) this.#onEnd();
        },
        finished: () => undefined,
        closed: () => {
          if (this.#link === link) this.#onClosed();
        },
      },
    );
    if (link.gone) this.#onClosed();
  }

  /** What has come over it. What stands behind a marker is kept for later. */
  take(bytes: Buffer): void {
    const link = this.#link;
    try {
      const taken = this.#decoder.push(bytes);
      if (taken < bytes.length && link === this.#link) this.#stash = Buffer.from(bytes.subarray(taken));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#events.malformed(error);
      return;
    }
    this.#events.changed();
  }

  /** Another tunnel is about to come: nothing of this one is heard any more, not even the rest of a frame. */
  discard(): void {
    this.#drop()?.reset();
    this.#decoder = this.#newDecoder();
  }

  /** The peer has never heard of the stream. */
  openAnew(): void {
    this.#phase = 'opening';
  }

  /** Both directions of the application's connection are closed: nothing more is said. */
  finish(): void {
    this.#link?.end();
  }

  /** There is no tunnel from now on. @param lost it does not end in order: its other end sees it break */
  end(lost: boolean): void {
    const link = this.#drop();
    if (lost) link?.reset();
    else link?.end();
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#events.ended(lost);
  }

  /** Ends it at once. */
  destroy(): void {
    this.#lost = true;
    this.end(true);
  }

  /** Nothing of it is heard any more. @returns it, for a last word */
  #drop(): Link | undefined {
    const link = this.#link;
    this.#link = this.#stash = undefined;
    this.#blocked = this.#ended = this.#gone = false;
    this.#out.use(undefined);
    return link;
  }

  #newDecoder(): FrameDecoder {
    return new FrameDecoder({
      data: (bytes) => {
        if (this.#heard()) this.#events.data(bytes);
        return this.present;
      },
      marker: (epoch, offset) => this.#onMarker(offset, () => this.#events.marker(epoch)),
      fin: (offset) => {
        if (this.#heard()) this.#onFin(offset);
        return this.present;
      },
      reset: () => {
        if (this.#heard()) this.#events.reset();
        return this.present;
      },
      park: (epoch, offset) => this.#onMarker(offset, () => this.#onPark(epoch)),
      unpark: () => {
        this.#out.unparked();
        this.#events.unparked();
        return true;
      },
      window: (offset) => {
        this.#out.limit = offset; // `changed` follows
        return true;
      },
    });
  }

  /** A peer that moves has nothing more to say over this tunnel, but that it stays. @returns false if it has said more */
  #heard(): boolean {
    if (!this.#out.parked) return true;
    this.#leave();
    return false;
  }

  #onFin(offset: number): void {
    this.#checkOffset(offset);
    this.#events.fin();
  }

  #onMarker(offset: number, work: () => Promise<void>): boolean {
    this.#checkOffset(offset);
    this.#blocked = true;
    const link = this.#link;
    void work()
      .catch((error: unknown) => this.#events.log('a marker had no effect', { error: messageOf(error) }))
      .then(() => {
        if (link === this.#link) this.#unblock();
      });
    return false;
  }

  #unblock(): void {
    this.#blocked = false;
    const stash = this.#stash;
    this.#stash = undefined;
    if (stash) this.take(stash);
    if (this.#ended) this.#onEnd();
    if (this.#gone) this.#onClosed();
    this.#events.changed();
  }

  async #onPark(epoch: number): Promise<void> {
    if (await this.#events.park(epoch)) this.#out.park(epoch);
  }

  /** A byte was lost or doubled on the way. Not by TCP. */
  #checkOffset(offset: number): void {
    const { received } = this.#in;
    if (offset !== received) throw new FrameError('value', `the peer has sent ${offset} bytes, ${received} have come`);
  }

  /** The tunnel of a parked stream is of no use any more. */
  #leave(): void {
    this.#phase = 'away';
    this.#drop()?.reset();
    this.#events.left();
  }

  #onEnd(): void {
    this.#ended = true;
    if (this.#blocked) return;
    if (this.#out.parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) {
      this.#lost = true;
      this.#events.broken();
    }
    this.#link?.end();
  }

  #onClosed(): void {
    this.#gone = true;
    if (this.#blocked) return;
    if (this.#out.parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) this.#lost = true;
    this.end(this.#lost);
    if (!this.#in.finReceived || this.#lost) this.#events.broken();
    this.#events.closed();
  }

  /** Each direction has ended, or one end was reset: the tunnel may go. */
  get #orderly(): boolean {
    const { finReceived, resetReceived } = this.#in;
    return (finReceived && this.#out.finSent) || resetReceived || this.#out.resetSent;
  }
}
