import type { StreamCut } from '../../../src/model/checkpoint.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { AppSide } from './app-side.ts';
import { BackPressure } from './back-pressure.ts';
import { Incoming } from './incoming.ts';
import type { Recording, RestoredIncoming } from './incoming.ts';
import type { Link } from '../sockets/link.ts';
import type { LocalEnd } from '../sockets/local-end.ts';
import { Outgoing } from './outgoing.ts';
import type { RestoredOutgoing } from './outgoing.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import { appEndOf, channelsOf } from './stream-identity.ts';
import type { StreamIdentity } from './stream-identity.ts';
import type { StreamOwner } from './stream-owner.ts';
import { TunnelSide } from './tunnel-side.ts';

/** The positions of a stream at the cut; what is recorded of the incoming channel comes later. */
export type StreamPosition = Omit<StreamCut, 'recorded' | 'finRecorded' | 'resetRecorded' | 'endTaken' | 'complete'>;

/** How a stream begins that was cut before. */
export interface RestoredStream {
  readonly outgoing: RestoredOutgoing;
  /** The application has closed its direction. */
  readonly appEnded: boolean;
  readonly incoming: RestoredIncoming;
  /** False: its application's kernel has only just been connected to (Incoming). */
  readonly accepted: boolean;
  /** `opening`: it is opened anew. `away`: it goes on when the two sidecars have found each other. `ended`: there is no peer any more. */
  readonly phase: 'opening' | 'away' | 'ended';
}

/**
 * One proxied connection at one of its two sidecars: the application's socket, and the tunnel to the other sidecar. Two channels: `sent` counts
 * bytes taken from the application, `received` bytes that came from the peer. Back-pressure: the application is read while the peer takes
 * more (WINDOW); the tunnel is read even if ours takes nothing, for a marker, a reset or its end may be behind.
 *
 * Ends: FIN travels as a frame in each direction (half-close); a reset travels as a frame too, and the end that reset goes on reading (and
 * recording) until the peer has answered by closing the tunnel. A tunnel that ends any other way resets the application's connection,
 * unless the stream is parked: then its peer is moving, and comes back over another tunnel ({@link resume}).
 */
export class Stream {
  readonly identity: StreamIdentity;
  /** Whom the opener's sidecar has called: `server`, or a task behind it. */
  target: Endpoint;
  /** The peer may know of this stream. */
  announced: boolean;
  readonly #owner: StreamOwner;
  readonly #app: AppSide;
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #tunnel: TunnelSide;
  readonly #pressure: BackPressure;
  #resetAppOnRelease: boolean;

  constructor(
    identity: StreamIdentity,
    target: Endpoint,
    end: LocalEnd,
    owner: StreamOwner,
    restored?: RestoredStream,
  ) {
    this.identity = identity;
    this.target = target;
    this.#owner = owner;
    const phase = restored?.phase ?? 'opening';
    this.announced = identity.role === 'acceptor' || phase !== 'opening';
    this.#in = new Incoming(end, identity.role === 'acceptor' && restored?.accepted !== true, restored?.incoming);
    this.#out = new Outgoing(restored?.outgoing);
    this.#tunnel = new TunnelSide(phase, this.#in, this.#out, {
      data: (bytes) => this.#onData(bytes),
      fin: () => this.#in.fin(!owner.held),
      reset: () => this.#onReset(),
      marker: (epoch) => owner.marker(this, epoch),
      park: (epoch) => owner.park(this, epoch),
      unparked: () => this.#flush(),
      changed: () => this.update(),
      malformed: (error) => this.#onMalformed(error),
      broken: () => this.#resetApp(),
      left: () => owner.left(this),
      ended: (lost) => owner.ended(this, lost),
      closed: () => this.#closedIfDone(),
      log: (message, details) => owner.log(message, details),
    });
    this.#pressure = new BackPressure(end, this.#in, this.#out, {
      hurried: () => this.recording !== undefined || owner.held,
      slow: () => this.update(),
    });
    this.#resetAppOnRelease = this.#in.resetReceived;
    const closing = { ended: restored?.appEnded ?? false, finDelivered: this.#in.finDelivered };
    this.#app = new AppSide(end, closing, {
      read: (bytes, framed) => this.#fromApp(bytes, framed),
      drained: () => this.update(),
      ended: () => this.#onAppEnd(),
      settled: () => this.#onAppSettled(),
      gone: () => this.#onAppGone(),
    });
  }

  /** The two directed channels, as the algorithms name them. `in` is towards this task. */
  get channels(): { readonly in: string; readonly out: string } {
    return channelsOf(this.identity);
  }

  /** The application's end of the local connection. */
  get appEnd(): { readonly local: Endpoint; readonly remote: Endpoint } {
    return appEndOf(this.identity);
  }

  /** The application's connection is closed. */
  get appGone(): boolean {
    return this.#app.gone;
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
   * @throws Error when the connection is over
   */
  takeEnd(): TcpEnd | undefined {
    const end = this.#app.take(this.appEnd);
    const { pending } = this.#out;
    return end && pending.length > 0 ? { ...end, received: Buffer.concat([pending, end.received]) } : end;
  }

  /** It waits for a peer that moves or is restored: {@link resume} is due. */
  get awaiting(): boolean {
    return this.#out.parked || this.#tunnel.phase === 'away';
  }

  /** The peer has not accepted yet. */
  get opening(): boolean {
    return this.#tunnel.phase === 'opening';
  }

  /** All that the peer sent has come, and its end. */
  get inputEnded(): boolean {
    return this.#in.finReceived || this.#in.resetReceived;
  }

  get sent(): number {
    return this.#out.sent;
  }

  get received(): number {
    return this.#in.received;
  }

  /** The peer has accepted, or has been accepted: bytes flow. `early`: what came behind the preface. */
  open(tunnel: Link, early: Buffer): void {
    this.#tunnel.open(tunnel);
    this.#flush();
    if (early.length > 0) this.#tunnel.take(early);
    this.update();
  }

  /** The peer is there again, and has all that was sent: goes on over this tunnel. */
  resume(tunnel: Link, early: Buffer): void {
    this.#tunnel.discard();
    this.#out.limit = undefined;
    this.#pressure.forget();
    this.open(tunnel, early);
  }

  /** The peer has never heard of it. */
  openAnew(): void {
    this.#tunnel.openAnew();
    this.announced = false;
  }

  /** The peer does not come back, but all that it sent is here: delivers it. */
  goAlone(): void {
    this.#tunnel.end(false);
    this.update();
    this.#closedIfDone();
  }

  /** The other application did not accept: ours hears the same. */
  refuse(): void {
    this.#tunnel.end(false);
    this.#app.end.reset();
  }

  /** Puts a marker behind all that was sent. `park`: this task moves, see FRAME_TYPES. */
  sendMarker(epoch: number, park: boolean): void {
    this.#out.marker(epoch, park, this.#tunnel.phase === 'opening');
  }

  /** The task stays after all. */
  unpark(): void {
    if (this.#out.unpark()) this.#flush();
  }

  /**
   * Where the channels stand now, and what has come and is not in the application's kernel socket: the beginning of a recording.
   * @param accepted false: the application has not accepted this connection, which its kernel has for it
   */
  cut(epoch: number, accepted: boolean): { readonly cut: StreamPosition; readonly recording: Recording } {
    const { delivered, finDelivered, recording } = this.#in.cut(epoch, accepted);
    // A peer that does not know of it yet will see the new epoch when it hears of it.
    recording.complete = this.#tunnel.phase === 'ended' || !this.announced;
    recording.reset ||= this.#resetAppOnRelease;
    const { sent, finSent } = this.#out;
    const { target, opening } = this;
    return { cut: { ...this.identity, target, opening, sent, finSent, delivered, finDelivered }, recording };
  }

  /** Back-pressure by the algorithm: the recording is full. */
  pauseChannel(on: boolean): void {
    this.#pressure.paused = on;
    this.update();
  }

  /** Held streams start again: delivers what has waited. */
  release(): void {
    if (this.#resetAppOnRelease) this.#resetApp();
    else this.#in.release();
    this.#app.push();
    this.update();
  }

  /** Reads where it may. To be called after anything that could change it. */
  update(): void {
    const { end, gone, ended } = this.#app;
    const willing = this.#tunnel.present ? this.#out.ready : this.#tunnel.phase === 'ended' && !this.#tunnel.lost;
    end.reading = willing && !this.#owner.held && !ended && !gone;
    if (!this.#tunnel.present) return;
    this.#tunnel.reading = !this.#tunnel.blocked && this.#pressure.mayRead();
    this.#pressure.tell();
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#tunnel.destroy();
    this.#app.destroy();
    this.#closedIfDone();
  }

  /** For people: where it stands. */
  describe(): object {
    const { finReceived, resetReceived, received, backlogBytes } = this.#in;
    const { sent, finSent, resetSent } = this.#out;
    return {
      ...this.identity,
      client: endpointText(this.identity.client),
      server: endpointText(this.identity.server),
      target: endpointText(this.target),
      open: this.#tunnel.phase === 'open',
      awaiting: this.awaiting,
      sent,
      received,
      undelivered: this.#app.end.unsentBytes + backlogBytes,
      finSent,
      finReceived,
      reset: resetSent || resetReceived,
      ...(this.recording && { recordedBytes: this.recording.bytes }),
    };
  }

  /** Sends what could not be sent before. */
  #flush(): void {
    this.#out.flush();
    if (this.#app.ended) this.#out.fin();
    if (this.#app.gone && !this.#app.orderly) this.#tellReset();
    this.#app.settle();
  }

  #fromApp(bytes: Buffer, framed: Buffer): void {
    this.#in.accepted();
    if (this.#tunnel.phase === 'ended') {
      this.#resetApp(); // nobody is there to hear it
      return;
    }
    this.#out.data(bytes.length, framed);
    if (!this.#out.ready) this.update();
  }

  #onAppEnd(): void {
    this.#in.accepted();
    this.#out.fin();
  }

  #onAppSettled(): void {
    if (this.#out.finSent) this.#tunnel.finish();
  }

  #onAppGone(): void {
    if (!this.#app.orderly) this.#tellReset();
    this.update();
    this.#closedIfDone();
  }

  #tellReset(): void {
    this.#out.reset(!this.#in.resetReceived);
  }

  #onData(bytes: Uint8Array): void {
    this.#in.data(bytes, !this.#owner.held);
    if (this.recording) this.#owner.recorded(this, this.recording.bytes);
    // Its application has closed both directions, and does not hear this.
    if (this.#app.gone && this.#app.orderly) this.#tellReset();
  }

  #onReset(): void {
    this.#in.reset();
    this.#resetApp();
  }

  #onMalformed(error: Error): void {
    this.#owner.log('the peer breaks the format', { stream: this.identity.id, error: error.message });
    this.destroy();
  }

  #resetApp(): void {
    // A held application would not get the reset: its packets are dropped, and nobody sends it again.
    this.#resetAppOnRelease = this.#owner.held;
    if (!this.#owner.held) this.#app.end.reset();
  }

  #closedIfDone(): void {
    if (this.#tunnel.phase !== 'ended' || !this.#app.over) return;
    this.#pressure.close();
    this.#owner.closed(this);
  }
}
