import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import {
  FRAME_HEAD_BYTES,
  FrameDecoder,
  FrameError,
  finFrame,
  markerFrame,
  resetFrame,
  writeDataHead,
} from '../../../src/wire/frames.ts';
import type { Link } from './link.ts';

/** A held stream keeps reading from its peer (a marker may be behind), but no more than this without a recording. Bytes. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024;

/** Bytes of one incoming channel that belong to its state: sent before the sender's cut, not delivered before the receiver's. */
export interface Recording {
  readonly epoch: number;
  readonly chunks: Buffer[];
  bytes: number;
  /** The channel's end is part of its state. */
  fin: boolean;
  reset: boolean;
  /** Its marker (or its end) has come. */
  complete: boolean;
}

/** Where the two channels of a stream stood at the cut of this task. Bytes since the connection began. */
export interface StreamCut {
  readonly id: string;
  readonly role: 'opener' | 'acceptor';
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** The peer has not accepted yet: nothing was sent. */
  readonly opening: boolean;
  readonly sent: number;
  readonly finSent: boolean;
  /** Handed to the application's socket in the kernel. */
  readonly delivered: number;
  readonly finDelivered: boolean;
}

/** What a stream asks of the sidecar around it. */
export interface StreamOwner {
  /** Nothing is to be read from or delivered to the application. */
  readonly held: boolean;
  /** Resolves when the algorithm is done with the marker: what is behind it may be taken then. */
  marker(stream: Stream, epoch: number): Promise<void>;
  recorded(stream: Stream, bytes: number): void;
  /** `lost`: not by its ends' doing, but because the tunnel broke. */
  closed(stream: Stream, lost: boolean): void;
  log(message: string, details: object): void;
}

export interface StreamIdentity {
  readonly id: string;
  readonly role: 'opener' | 'acceptor';
  readonly client: Endpoint;
  readonly server: Endpoint;
}

/**
 * One proxied connection at one of its two sidecars: the application's socket, and the tunnel to the other sidecar. Two channels: `sent` counts
 * bytes taken from the application, `received` bytes that came from the peer. Back-pressure: neither side is read while the other
 * does not take what was read. While a channel is recorded it is read all the same, for its marker may be behind.
 *
 * Ends: FIN travels as a frame in each direction (half-close); a reset travels as a frame too, and the end that reset goes on reading (and
 * recording) until the peer has answered by closing the tunnel. A tunnel that ends any other way resets the application's connection.
 */
export class Stream {
  readonly identity: StreamIdentity;
  readonly app: Link;
  readonly tunnel: Link;
  recording: Recording | undefined;
  readonly #owner: StreamOwner;
  readonly #decoder: FrameDecoder;
  /** True when frames may be exchanged: the peer has accepted. */
  #open = false;
  /** The peer knows of this stream: OPEN or ACCEPT has been written, and markers may follow. */
  #announced = false;
  /** The message of the preface that comes next. */
  #expected: { readonly bytes: number; readonly take: (message: Buffer) => void } | undefined;
  /** What has come before the stream was open. */
  #early: Buffer = Buffer.alloc(0);
  #sent = 0;
  #finSent = false;
  #resetSent = false;
  #received = 0;
  #finReceived = false;
  #resetReceived = false;
  /** The application's socket has been told that the channel has ended. */
  #finDelivered = false;
  #resetAppOnRelease = false;
  readonly #backlog: Buffer[] = [];
  #backlogBytes = 0;
  /** A marker is being dealt with; what stands behind it waits in `#stash`. */
  #blocked = false;
  #stash: Buffer | undefined;
  #paused = false;
  #tunnelEnded = false;
  #tunnelGone = false;
  #appGone = false;
  #lost = false;

  constructor(identity: StreamIdentity, app: Link, tunnel: Link, owner: StreamOwner) {
    this.identity = identity;
    this.app = app;
    this.tunnel = tunnel;
    this.#owner = owner;
    this.#decoder = new FrameDecoder({
      data: (bytes) => this.#onData(bytes),
      marker: (epoch, offset) => this.#onMarker(epoch, offset),
      fin: (offset) => this.#onFin(offset),
      reset: () => this.#onReset(),
    });
    app.handle((bytes, framed) => this.#fromApp(bytes, framed), {
      drained: () => this.update(),
      ended: () => this.#appEnded(),
      finished: () => this.#appFinished(),
      closed: (error) => this.#appClosed(error),
    });
    tunnel.handle((bytes) => this.#fromTunnel(bytes), {
      drained: () => this.update(),
      ended: () => this.#tunnelEnd(),
      finished: () => undefined,
      closed: (error) => this.#tunnelClosed(error),
    });
    app.resetOnClose(true);
  }

  /** The two directed channels, as the algorithms name them. `in` is towards this task. */
  get channels(): { readonly in: string; readonly out: string } {
    const toServer = `${this.identity.id}>`;
    const toClient = `${this.identity.id}<`;
    return this.identity.role === 'opener' ? { in: toClient, out: toServer } : { in: toServer, out: toClient };
  }

  /** Reads one message of the preface from the tunnel. */
  expect(bytes: number, take: (message: Buffer) => void): void {
    this.#expected = { bytes, take };
    this.update();
  }

  /** Writes a message of the preface. With the one that makes the stream known to the peer, markers may follow it. */
  announce(message: Uint8Array): void {
    this.#announced = true;
    this.tunnel.write(message);
  }

  /** The peer has accepted, or has been accepted: bytes flow. `early`: what came behind the preface. */
  open(early: Uint8Array = this.#early): void {
    this.#open = true;
    this.#early = Buffer.alloc(0);
    if (early.length > 0) this.#fromTunnel(Buffer.from(early));
    this.update();
  }

  /** Puts a marker behind all that was sent. A peer that does not know the stream yet will see the epoch in the preface. */
  sendMarker(epoch: number): void {
    if (this.#announced) this.tunnel.write(markerFrame(epoch, this.#sent));
  }

  /** Where the channels stand now, and what has come and is not in the application's kernel socket: the beginning of a recording. */
  cut(epoch: number): { readonly cut: StreamCut; readonly recording: Recording } {
    const waiting = Buffer.concat([this.app.unsent(), ...this.#backlog]);
    const cut: StreamCut = {
      ...this.identity,
      opening: !this.#open,
      sent: this.#sent,
      finSent: this.#finSent,
      delivered: this.#received - waiting.length,
      finDelivered: this.#finDelivered && this.app.idle,
    };
    const recording: Recording = {
      epoch,
      chunks: waiting.length > 0 ? [waiting] : [],
      bytes: waiting.length,
      fin: this.#finReceived && !cut.finDelivered,
      reset: this.#resetReceived,
      complete: false,
    };
    return { cut, recording };
  }

  /** Back-pressure by the algorithm: the recording is full. */
  pauseChannel(on: boolean): void {
    this.#paused = on;
    this.update();
  }

  /** Held streams start again: delivers what has waited. */
  release(): void {
    for (const bytes of this.#backlog.splice(0)) this.app.write(bytes);
    this.#backlogBytes = 0;
    if (this.#resetAppOnRelease) this.#resetApp();
    else if (this.#finReceived && !this.#finDelivered) this.#deliverFin();
    this.update();
  }

  /** Reads where it may. To be called after anything that could change it. */
  update(): void {
    const owner = this.#owner;
    this.app.reading = this.#open && !owner.held && !this.#finSent && this.tunnel.idle && !this.tunnel.gone;
    const full = this.recording === undefined && (!this.app.idle || this.#backlogBytes >= BACKLOG_LIMIT_BYTES);
    const wanted = this.#open ? !full || this.#appGone : this.#expected !== undefined;
    this.tunnel.reading = wanted && !this.#blocked && !this.#paused;
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#lost = true;
    this.tunnel.reset();
    this.app.reset();
  }

  /** For people: where it stands. */
  describe(): object {
    return {
      ...this.identity,
      client: endpointText(this.identity.client),
      server: endpointText(this.identity.server),
      open: this.#open,
      sent: this.#sent,
      received: this.#received,
      undelivered: this.app.unsentBytes + this.#backlogBytes,
      finSent: this.#finSent,
      finReceived: this.#finReceived,
      reset: this.#resetSent || this.#resetReceived,
      ...(this.recording && { recordedBytes: this.recording.bytes }),
    };
  }

  #fromApp(bytes: Buffer, framed: Buffer): void {
    writeDataHead(framed, bytes.length);
    this.tunnel.write(framed.subarray(0, FRAME_HEAD_BYTES + bytes.length));
    this.#sent += bytes.length;
    if (!this.tunnel.idle) this.update();
  }

  #appEnded(): void {
    if (this.#finSent || this.#resetSent) return;
    this.#finSent = true;
    this.tunnel.write(finFrame(this.#sent));
    this.#orderlyIfDone();
  }

  #appFinished(): void {
    this.#orderlyIfDone();
  }

  /** Both directions have ended in order: close as if there were no sidecar. */
  #orderlyIfDone(): void {
    if (!this.#finSent || !this.app.socket.writableFinished) return;
    this.app.resetOnClose(false);
    this.tunnel.end();
  }

  #appClosed(error: Error | undefined): void {
    this.#appGone = true;
    const orderly = this.#finSent && this.#finDelivered && !error;
    if (!orderly && !this.#resetSent && !this.#resetReceived) {
      this.#resetSent = true;
      this.tunnel.write(resetFrame());
    }
    this.tunnel.end();
    this.update();
    this.#closedIfDone();
  }

  #fromTunnel(bytes: Buffer): void {
    if (!this.#open) {
      this.#fromPreface(bytes);
      return;
    }
    try {
      const taken = this.#decoder.push(bytes);
      if (taken < bytes.length) this.#stash = Buffer.from(bytes.subarray(taken));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#owner.log('the peer breaks the format', { stream: this.identity.id, error: error.message });
      this.destroy();
      return;
    }
    this.update();
  }

  #fromPreface(bytes: Buffer): void {
    this.#early = Buffer.concat([this.#early, bytes]);
    const expected = this.#expected;
    if (!expected || this.#early.length < expected.bytes) return;
    this.#expected = undefined;
    const message = this.#early.subarray(0, expected.bytes);
    this.#early = this.#early.subarray(expected.bytes);
    this.update();
    expected.take(message);
  }

  #onData(bytes: Uint8Array): boolean {
    this.#received += bytes.length;
    const held = this.#owner.held;
    const copy = this.recording || held ? Buffer.from(bytes) : undefined;
    if (this.recording && copy) {
      this.recording.chunks.push(copy);
      this.recording.bytes += copy.length;
      this.#owner.recorded(this, this.recording.bytes);
    }
    if (this.#appGone) return true;
    if (held && copy) {
      this.#backlog.push(copy);
      this.#backlogBytes += copy.length;
    } else {
      this.app.write(bytes);
    }
    return true;
  }

  #onMarker(epoch: number, offset: number): boolean {
    this.#checkOffset(offset);
    this.#blocked = true;
    void this.#owner.marker(this, epoch).then(() => {
      this.#blocked = false;
      const stash = this.#stash;
      this.#stash = undefined;
      if (stash) this.#fromTunnel(stash);
      if (this.#tunnelEnded) this.#tunnelEnd();
      this.update();
    });
    return false;
  }

  #onFin(offset: number): boolean {
    this.#checkOffset(offset);
    this.#finReceived = true;
    if (this.recording) this.recording.fin = true;
    if (!this.#owner.held) this.#deliverFin();
    return true;
  }

  #onReset(): boolean {
    this.#resetReceived = true;
    if (this.recording) this.recording.reset = true;
    this.#resetApp();
    return true;
  }

  #deliverFin(): void {
    this.#finDelivered = true;
    this.app.end();
  }

  #resetApp(): void {
    // A held application would not get the reset: its packets are dropped, and nobody sends it again.
    this.#resetAppOnRelease = this.#owner.held;
    if (!this.#owner.held) this.app.reset();
  }

  /** A byte was lost or doubled on the way. Not by TCP. */
  #checkOffset(offset: number): void {
    if (offset !== this.#received)
      throw new FrameError('value', `the peer has sent ${offset} bytes, ${this.#received} have come`);
  }

  #tunnelEnd(): void {
    this.#tunnelEnded = true;
    if (this.#blocked) return;
    const orderly = (this.#finReceived && this.#finSent) || this.#resetReceived || this.#resetSent;
    if (!orderly) {
      this.#lost = true;
      this.#resetApp();
    }
    this.tunnel.end();
  }

  #tunnelClosed(error: Error | undefined): void {
    this.#tunnelGone = true;
    if (error && !(this.#finReceived && this.#finSent)) this.#lost = true;
    if (!this.#finReceived || this.#lost) this.#resetApp();
    this.#closedIfDone();
  }

  #closedIfDone(): void {
    if (this.#tunnelGone && this.#appGone) this.#owner.closed(this, this.#lost);
  }
}
