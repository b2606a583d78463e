import type { StreamCut } from '../../../src/model/checkpoint.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import {
  FRAME_HEAD_BYTES,
  FrameDecoder,
  FrameError,
  finFrame,
  markerFrame,
  parkFrame,
  resetFrame,
  unparkFrame,
  writeDataHead,
} from '../../../src/wire/frames.ts';
import { Incoming } from './incoming.ts';
import type { Recording, RestoredIncoming } from './incoming.ts';
import { LastWords, isOver } from './last-words.ts';
import type { Link } from './link.ts';
import type { LocalEnd } from './local-end.ts';
import { silence, takeClosed, takeEnd } from './repair.ts';
import type { Fins, TcpEnd } from './repair.ts';
import { duplicateDescriptor } from './sys.ts';

/** A held stream keeps reading from its peer (a marker may be behind), but no more than this without a recording. Bytes. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024;

/** What was read from an application before a cut is sent in pieces of this size. Bytes. */
const PIECE_BYTES = 256 * 1024;

/** The positions of a stream at the cut; what is recorded of the incoming channel comes later. */
export type StreamPosition = Omit<StreamCut, 'recorded' | 'finRecorded' | 'resetRecorded' | 'endTaken' | 'complete'>;

/** What a stream asks of the sidecar around it. */
export interface StreamOwner {
  /** Nothing is to be read from or delivered to the application. */
  readonly held: boolean;
  /** Resolves when the algorithm is done with the marker: what is behind it may be taken then. */
  marker(stream: Stream, epoch: number): Promise<void>;
  /** The peer's task moves. Resolves with true when this stream is to wait for it, false when the algorithm took it as a marker. */
  park(stream: Stream, epoch: number): Promise<boolean>;
  recorded(stream: Stream, bytes: number): void;
  /** Both channels have ended. `lost`: not by their ends' doing, but because the tunnel broke. The stream may have to deliver yet. */
  ended(stream: Stream, lost: boolean): void;
  /** A parked stream has lost its tunnel: it waits for {@link Stream.resume}. */
  left(stream: Stream): void;
  /** Nothing is left of it. */
  closed(stream: Stream): void;
  log(message: string, details: object): void;
}

export interface StreamIdentity {
  readonly id: string;
  readonly role: 'opener' | 'acceptor';
  /** As this task's application knows them. */
  readonly client: Endpoint;
  readonly server: Endpoint;
}

/** How a stream begins that was cut before. */
export interface RestoredStream {
  readonly sent: number;
  readonly finSent: boolean;
  /** Taken from the application's connection, not yet sent. */
  readonly pending: Buffer;
  /** The application has closed its direction behind that. */
  readonly appEnded: boolean;
  readonly incoming: RestoredIncoming;
  /** False: its application's kernel has only just been connected to (Incoming). */
  readonly accepted: boolean;
  /** `opening`: it is opened anew. `away`: it goes on when the two sidecars have found each other. `ended`: there is no peer any more. */
  readonly phase: 'opening' | 'away' | 'ended';
}

/**
 * One proxied connection at one of its two sidecars: the application's socket, and the tunnel to the other sidecar. Two channels: `sent` counts
 * bytes taken from the application, `received` bytes that came from the peer. Back-pressure: neither side is read while the other
 * does not take what was read. While a channel is recorded it is read all the same, for its marker may be behind.
 *
 * Ends: FIN travels as a frame in each direction (half-close); a reset travels as a frame too, and the end that reset goes on reading (and
 * recording) until the peer has answered by closing the tunnel. A tunnel that ends any other way resets the application's connection,
 * unless the stream is parked: then its peer is moving, and comes back over another tunnel ({@link resume}).
 */
export class Stream {
  readonly identity: StreamIdentity;
  readonly app: LocalEnd;
  /** Whom the opener's sidecar has called: `server`, or a task behind it. */
  target: Endpoint;
  /** The peer may know of this stream. */
  announced: boolean;
  readonly #owner: StreamOwner;
  readonly #in: Incoming;
  #tunnel: Link | undefined;
  #decoder: FrameDecoder;
  #phase: 'opening' | 'open' | 'away' | 'ended';
  #sent: number;
  #finSent: boolean;
  #resetSent = false;
  #pending: Buffer;
  #appEnded: boolean;
  /** The application's end has been closed for our direction: its kernel has the FIN, or will get it from ours. */
  #appFinished: boolean;
  #appGone: boolean;
  #appOrderly: boolean;
  /** How far closing had come when the end was restored: the kernel does not know it. */
  readonly #restored: Omit<Fins, 'sent'>;
  #lastWords: LastWords | undefined;
  #resetAppOnRelease: boolean;
  /** To be sent as soon as the peer has accepted. */
  #cutFrame: Uint8Array | undefined;
  /** We have told the peer that this task moves: it hears nothing more until {@link unpark}. */
  #parking = false;
  /** The peer's task moves. */
  #parked = false;
  /** A marker is being dealt with; what stands behind it waits in `#stash`. */
  #blocked = false;
  #stash: Buffer | undefined;
  #paused = false;
  #tunnelEnded = false;
  #tunnelClosedWith: { readonly error: Error | undefined } | undefined;
  #lost = false;

  constructor(
    identity: StreamIdentity,
    target: Endpoint,
    app: LocalEnd,
    owner: StreamOwner,
    restored?: RestoredStream,
  ) {
    this.identity = identity;
    this.target = target;
    this.app = app;
    this.#owner = owner;
    this.#in = new Incoming(app, identity.role === 'acceptor' && restored?.accepted !== true, restored?.incoming);
    this.#decoder = this.#newDecoder();
    this.#phase = restored?.phase ?? 'opening';
    this.announced = identity.role === 'acceptor' || this.#phase !== 'opening';
    this.#sent = restored?.sent ?? 0;
    this.#finSent = restored?.finSent ?? false;
    this.#pending = restored?.pending ?? Buffer.alloc(0);
    this.#appEnded = restored?.appEnded ?? false;
    this.#appFinished = this.#in.finDelivered;
    this.#appGone = this.#appOrderly = app.gone;
    this.#restored = { received: this.#appEnded, acknowledged: this.#appFinished };
    this.#resetAppOnRelease = this.#in.resetReceived;
    app.handle((bytes, framed) => this.#fromApp(bytes, framed), {
      drained: () => this.update(),
      ended: () => this.#onAppEnd(),
      finished: () => this.#onAppFinished(),
      closed: (error) => this.#onAppClosed(error),
    });
    app.resetOnClose(true);
  }

  /** The two directed channels, as the algorithms name them. `in` is towards this task. */
  get channels(): { readonly in: string; readonly out: string } {
    const toServer = `${this.identity.id}>`;
    const toClient = `${this.identity.id}<`;
    return this.identity.role === 'opener' ? { in: toClient, out: toServer } : { in: toServer, out: toClient };
  }

  /** The application's end of the local connection. */
  get appEnd(): { readonly local: Endpoint; readonly remote: Endpoint } {
    const { role, client, server } = this.identity;
    return role === 'opener' ? { local: client, remote: server } : { local: server, remote: client };
  }

  get recording(): Recording | undefined {
    return this.#in.recording;
  }

  set recording(recording: Recording | undefined) {
    this.#in.recording = recording;
    this.update();
  }

  /**
   * The state of the kernel's socket towards the application, with what was taken from it and not sent. Undefined when there is none.
   * @throws Error as {@link takeEnd}
   */
  takeEnd(): TcpEnd | undefined {
    const fd = this.#lastWords?.fd ?? this.app.fd;
    if (fd < 0) return undefined;
    const { local, remote } = this.appEnd;
    const end = takeClosed(fd, { local: remote, remote: local }) ?? takeEnd(fd, this.#restored);
    return this.#pending.length === 0 ? end : { ...end, received: Buffer.concat([this.#pending, end.received]) };
  }

  /** It waits for a peer that moves or is restored: {@link resume} is due. */
  get awaiting(): boolean {
    return this.#parked || this.#phase === 'away';
  }

  /** The peer has not accepted yet. */
  get opening(): boolean {
    return this.#phase === 'opening';
  }

  /** There is no tunnel, and there will be none. */
  get ended(): boolean {
    return this.#phase === 'ended';
  }

  /** Nothing may come any more from the peer: all that it sent has come, and its end. */
  get inputEnded(): boolean {
    return this.#in.finReceived || this.#in.resetReceived;
  }

  get sent(): number {
    return this.#sent;
  }

  get received(): number {
    return this.#in.received;
  }

  /** The peer has accepted, or has been accepted: bytes flow. `early`: what came behind the preface. */
  open(tunnel: Link, early: Buffer): void {
    this.#phase = 'open';
    this.#useTunnel(tunnel);
    if (this.#cutFrame) tunnel.write(this.#cutFrame);
    this.#cutFrame = undefined;
    this.#flush();
    if (early.length > 0) this.#fromTunnel(early);
    this.update();
  }

  /** The peer is there again, and has all that was sent: goes on over this tunnel. */
  resume(tunnel: Link, early: Buffer): void {
    const former = this.#tunnel;
    this.#tunnel = undefined;
    former?.reset();
    this.#parked = this.#tunnelEnded = this.#blocked = false;
    this.#tunnelClosedWith = this.#stash = undefined;
    this.#decoder = this.#newDecoder();
    this.open(tunnel, early);
  }

  /** The peer has never heard of it. */
  openAnew(): void {
    this.#phase = 'opening';
  }

  /** The peer does not come back, but all that it sent is here: delivers it. */
  goAlone(): void {
    this.#end(false);
    this.update();
  }

  /** The other application did not accept: ours hears the same. */
  refuse(): void {
    this.#end(false);
    this.app.reset();
  }

  /** Puts a marker behind all that was sent. `park`: this task moves, see {@link FRAME_TYPES}. */
  sendMarker(epoch: number, park: boolean): void {
    const frame = (park ? parkFrame : markerFrame)(epoch, this.#sent);
    this.#parking = park;
    if (this.#phase === 'open') this.#tunnel?.write(frame);
    else if (this.#phase === 'opening') this.#cutFrame = frame;
  }

  /** The task stays after all. */
  unpark(): void {
    if (!this.#parking) return;
    this.#parking = false;
    if (this.#cutFrame) this.#cutFrame = undefined;
    else if (this.#phase === 'open') this.#tunnel?.write(unparkFrame());
    this.#flush();
  }

  /**
   * Where the channels stand now, and what has come and is not in the application's kernel socket: the beginning of a recording.
   * @param accepted false: the application has not accepted this connection, which its kernel has for it
   */
  cut(epoch: number, accepted: boolean): { readonly cut: StreamPosition; readonly recording: Recording } {
    const { delivered, finDelivered, recording } = this.#in.cut(epoch, accepted);
    // A peer that does not know of it yet will see the new epoch when it hears of it.
    recording.complete = this.#phase === 'ended' || !this.announced;
    const cut: StreamPosition = {
      ...this.identity,
      target: this.target,
      opening: this.#phase === 'opening',
      sent: this.#sent,
      finSent: this.#finSent,
      delivered,
      finDelivered,
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
    if (this.#resetAppOnRelease) this.#resetApp();
    else this.#in.release();
    this.app.push();
    this.update();
  }

  /** Reads where it may. To be called after anything that could change it. */
  update(): void {
    const tunnel = this.#tunnel;
    const open = this.#phase === 'open' && tunnel !== undefined;
    const { held } = this.#owner;
    const willing = open ? tunnel.idle && !tunnel.gone && !this.#parked : this.#phase === 'ended' && !this.#lost;
    this.app.reading = willing && !held && !this.#appEnded && !this.#appGone;
    if (!open) return;
    const full = this.recording === undefined && (!this.app.idle || this.#in.backlogBytes >= BACKLOG_LIMIT_BYTES);
    tunnel.reading = (!full || this.#appGone) && !this.#blocked && !this.#paused;
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#lost = true;
    this.#lastWords?.giveUp();
    this.#lastWords = undefined;
    this.#end(true);
    this.app.reset();
    this.#closedIfDone();
  }

  /** For people: where it stands. */
  describe(): object {
    return {
      ...this.identity,
      client: endpointText(this.identity.client),
      server: endpointText(this.identity.server),
      target: endpointText(this.target),
      open: this.#phase === 'open',
      awaiting: this.awaiting,
      sent: this.#sent,
      received: this.#in.received,
      undelivered: this.app.unsentBytes + this.#in.backlogBytes,
      finSent: this.#finSent,
      finReceived: this.#in.finReceived,
      reset: this.#resetSent || this.#in.resetReceived,
      ...(this.recording && { recordedBytes: this.recording.bytes }),
    };
  }

  #newDecoder(): FrameDecoder {
    return new FrameDecoder({
      data: (bytes) => this.#onData(bytes),
      marker: (epoch, offset) => this.#onMarker(offset, () => this.#owner.marker(this, epoch)),
      fin: (offset) => this.#onFin(offset),
      reset: () => this.#onReset(),
      park: (epoch, offset) => this.#onMarker(offset, () => this.#onPark(epoch)),
      unpark: () => this.#onUnpark(),
    });
  }

  #useTunnel(tunnel: Link): void {
    this.#tunnel = tunnel;
    const present = (work: () => void): void => {
      if (this.#tunnel === tunnel) work();
    };
    tunnel.handle((bytes) => present(() => this.#fromTunnel(bytes)), {
      drained: () => this.update(),
      ended: () => present(() => this.#onTunnelEnd()),
      finished: () => undefined,
      closed: (error) => present(() => this.#onTunnelClosed(error)),
    });
    if (tunnel.gone) this.#onTunnelClosed(undefined);
  }

  /** Sends what could not be sent before. */
  #flush(): void {
    if (this.#phase !== 'open' || this.#parking || this.#parked) return;
    for (let at = 0; at < this.#pending.length; at += PIECE_BYTES) {
      const bytes = this.#pending.subarray(at, at + PIECE_BYTES);
      const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + bytes.length);
      writeDataHead(frame, bytes.length);
      frame.set(bytes, FRAME_HEAD_BYTES);
      this.#tunnel?.write(frame);
      this.#sent += bytes.length;
    }
    this.#pending = Buffer.alloc(0);
    if (this.#appEnded && !this.#finSent) this.#sendFin();
    if (this.#appGone && !this.#appOrderly) this.#sendReset();
    this.#settle();
  }

  #fromApp(bytes: Buffer, framed: Buffer): void {
    this.#in.accepted();
    if (this.#phase === 'ended') {
      this.#resetApp(); // nobody is there to hear it
      return;
    }
    writeDataHead(framed, bytes.length);
    this.#tunnel?.write(framed.subarray(0, FRAME_HEAD_BYTES + bytes.length));
    this.#sent += bytes.length;
    if (!this.#tunnel?.idle) this.update();
  }

  #onAppEnd(): void {
    if (this.#appEnded || this.#resetSent) return;
    this.#in.accepted();
    this.#appEnded = true;
    this.#flush();
  }

  #sendFin(): void {
    this.#finSent = true;
    this.#tunnel?.write(finFrame(this.#sent));
  }

  #sendReset(): void {
    if (this.#phase !== 'open' || this.#parking || this.#parked || this.#resetSent) return;
    this.#resetSent = true;
    if (!this.#in.resetReceived) this.#tunnel?.write(resetFrame());
    this.#tunnel?.end();
  }

  #onAppFinished(): void {
    this.#appFinished = true;
    this.#settle();
  }

  /** When both directions have ended in order: closes as if there were no sidecar. */
  #settle(): void {
    if (!this.#appEnded || !this.#appFinished) return;
    if (!this.app.gone && !this.#lastWords) this.#closeApp();
    if (this.#finSent) this.#tunnel?.end();
  }

  #closeApp(): void {
    const { received, acknowledged } = this.#restored;
    const blind = received || acknowledged;
    this.app.resetOnClose(false);
    if (acknowledged) {
      silence(this.app.fd);
    } else if (blind || !isOver(this.app.fd)) {
      this.#lastWords = new LastWords(duplicateDescriptor(this.app.fd), blind, () => {
        this.#lastWords = undefined;
        this.#closedIfDone();
      });
    }
    // Node closes a socket whose both directions have ended; it does not know that of a restored one.
    if (blind) this.app.close();
  }

  #onAppClosed(error: Error | undefined): void {
    this.#appGone = true;
    this.#appOrderly = this.#appEnded && this.#appFinished && !error;
    if (!this.#appOrderly) this.#sendReset();
    this.update();
    this.#closedIfDone();
  }

  #fromTunnel(bytes: Buffer): void {
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

  #onData(bytes: Uint8Array): boolean {
    if (this.#parked) return this.#leave();
    this.#in.data(bytes, !this.#owner.held);
    if (this.recording) this.#owner.recorded(this, this.recording.bytes);
    // Its application has closed both directions, and does not hear this.
    if (this.#appGone && this.#appOrderly) this.#sendReset();
    return true;
  }

  #onMarker(offset: number, work: () => Promise<void>): boolean {
    this.#checkOffset(offset);
    this.#blocked = true;
    const tunnel = this.#tunnel;
    void work().then(() => {
      if (tunnel !== this.#tunnel) return; // resumed over another one meanwhile
      this.#blocked = false;
      const stash = this.#stash;
      this.#stash = undefined;
      if (stash) this.#fromTunnel(stash);
      if (this.#tunnelEnded) this.#onTunnelEnd();
      if (this.#tunnelClosedWith) this.#onTunnelClosed(this.#tunnelClosedWith.error);
      this.update();
    });
    return false;
  }

  async #onPark(epoch: number): Promise<void> {
    if (!(await this.#owner.park(this, epoch))) return;
    this.#parked = true;
    this.#tunnel?.write(markerFrame(epoch, this.#sent));
  }

  #onUnpark(): boolean {
    this.#parked = false;
    this.#flush();
    return true;
  }

  #onFin(offset: number): boolean {
    if (this.#parked) return this.#leave();
    this.#checkOffset(offset);
    this.#in.fin(!this.#owner.held);
    return true;
  }

  #onReset(): boolean {
    if (this.#parked) return this.#leave();
    this.#in.reset();
    this.#resetApp();
    return true;
  }

  #resetApp(): void {
    // A held application would not get the reset: its packets are dropped, and nobody sends it again.
    this.#resetAppOnRelease = this.#owner.held;
    if (!this.#owner.held) this.app.reset();
  }

  /** A byte was lost or doubled on the way. Not by TCP. */
  #checkOffset(offset: number): void {
    const { received } = this.#in;
    if (offset !== received) throw new FrameError('value', `the peer has sent ${offset} bytes, ${received} have come`);
  }

  /** The tunnel of a parked stream is of no use any more. @returns false, for the decoder */
  #leave(): boolean {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    this.#stash = undefined;
    this.#phase = 'away';
    tunnel?.reset();
    this.#owner.left(this);
    return false;
  }

  #onTunnelEnd(): void {
    this.#tunnelEnded = true;
    if (this.#blocked) return;
    if (this.#parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) {
      this.#lost = true;
      this.#resetApp();
    }
    this.#tunnel?.end();
  }

  /** Each direction has ended, or one end was reset: the tunnel may go. */
  get #orderly(): boolean {
    return (this.#in.finReceived && this.#finSent) || this.#in.resetReceived || this.#resetSent;
  }

  #onTunnelClosed(error: Error | undefined): void {
    if (this.#blocked) {
      this.#tunnelClosedWith = { error };
      return;
    }
    if (this.#parked) {
      this.#leave();
      return;
    }
    if (error && !this.#orderly) this.#lost = true;
    this.#end(this.#lost);
    if (!this.#in.finReceived || this.#lost) this.#resetApp();
    this.#closedIfDone();
  }

  /** There is no tunnel from now on. */
  #end(lost: boolean): void {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    this.#parked = false;
    if (lost) tunnel?.reset();
    else tunnel?.end();
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#owner.ended(this, lost);
  }

  #closedIfDone(): void {
    if (this.#phase === 'ended' && this.#appGone && !this.#lastWords) this.#owner.closed(this);
  }
}
