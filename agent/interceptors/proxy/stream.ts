import type { StreamCut } from '../../../src/model/checkpoint.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { FrameDecoder, FrameError, WINDOW_BYTES } from '../../../src/wire/frames.ts';
import { AppSide } from './app-side.ts';
import { Incoming } from './incoming.ts';
import type { Recording, RestoredIncoming } from './incoming.ts';
import type { Link } from './link.ts';
import type { LocalEnd } from './local-end.ts';
import { Outgoing } from './outgoing.ts';
import type { RestoredOutgoing } from './outgoing.ts';
import type { TcpEnd } from './repair.ts';

/** The peer is told that it may send more when it may send so much more. Bytes. */
const WINDOW_STEP_BYTES = WINDOW_BYTES / 4;

/** An application that has not taken everything after this long is a slow reader. Until then it is not hurried: fewer bytes are copied. */
const SLOW_AFTER_MS = 50;

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
  #tunnel: Link | undefined;
  #decoder: FrameDecoder;
  #phase: 'opening' | 'open' | 'away' | 'ended';
  #resetAppOnRelease: boolean;
  /** A marker is being dealt with; what stands behind it waits in `#stash`, and so do the tunnel's end and its being gone. */
  #blocked = false;
  #stash: Buffer | undefined;
  #tunnelEnded = false;
  #tunnelGone = false;
  #paused = false;
  #lost = false;
  #slow = false;
  #slowTimer: NodeJS.Timeout | undefined;
  /** How far we have told the peer that it may send. */
  #told = WINDOW_BYTES;

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
    this.#phase = restored?.phase ?? 'opening';
    this.announced = identity.role === 'acceptor' || this.#phase !== 'opening';
    this.#in = new Incoming(end, identity.role === 'acceptor' && restored?.accepted !== true, restored?.incoming);
    this.#out = new Outgoing(restored?.outgoing);
    this.#decoder = this.#newDecoder();
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
    const toServer = `${this.identity.id}>`;
    const toClient = `${this.identity.id}<`;
    return this.identity.role === 'opener' ? { in: toClient, out: toServer } : { in: toServer, out: toClient };
  }

  /** The application's end of the local connection. */
  get appEnd(): { readonly local: Endpoint; readonly remote: Endpoint } {
    const { role, client, server } = this.identity;
    return role === 'opener' ? { local: client, remote: server } : { local: server, remote: client };
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
    return this.#out.parked || this.#phase === 'away';
  }

  /** The peer has not accepted yet. */
  get opening(): boolean {
    return this.#phase === 'opening';
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
    this.#phase = 'open';
    this.#useTunnel(tunnel);
    this.#flush();
    if (early.length > 0) this.#fromTunnel(early);
    this.update();
  }

  /** The peer is there again, and has all that was sent: goes on over this tunnel. */
  resume(tunnel: Link, early: Buffer): void {
    this.#dropTunnel()?.reset();
    this.#decoder = this.#newDecoder();
    this.#out.limit = undefined;
    this.#told = 0;
    this.open(tunnel, early);
  }

  /** The peer has never heard of it. */
  openAnew(): void {
    this.#phase = 'opening';
    this.announced = false;
  }

  /** The peer does not come back, but all that it sent is here: delivers it. */
  goAlone(): void {
    this.#end(false);
    this.update();
    this.#closedIfDone();
  }

  /** The other application did not accept: ours hears the same. */
  refuse(): void {
    this.#end(false);
    this.#app.end.reset();
  }

  /** Puts a marker behind all that was sent. `park`: this task moves, see FRAME_TYPES. */
  sendMarker(epoch: number, park: boolean): void {
    this.#out.marker(epoch, park, this.#phase === 'opening');
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
    recording.complete = this.#phase === 'ended' || !this.announced;
    recording.reset ||= this.#resetAppOnRelease;
    const { sent, finSent } = this.#out;
    const { target, opening } = this;
    return { cut: { ...this.identity, target, opening, sent, finSent, delivered, finDelivered }, recording };
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
    this.#app.push();
    this.update();
  }

  /** Reads where it may. To be called after anything that could change it. */
  update(): void {
    const { end, gone, ended } = this.#app;
    const willing = this.#tunnel ? this.#out.ready : this.#phase === 'ended' && !this.#lost;
    end.reading = willing && !this.#owner.held && !ended && !gone;
    if (!this.#tunnel) return;
    this.#tunnel.reading = !this.#blocked && !this.#paused && !this.#patient();
    const limit = this.#in.taken + WINDOW_BYTES;
    if (limit - this.#told >= WINDOW_STEP_BYTES && this.#out.window(limit)) this.#told = limit;
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#lost = true;
    this.#end(true);
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
      open: this.#phase === 'open',
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

  /** It is worth while to wait for the application before more is read from the tunnel. */
  #patient(): boolean {
    const { end } = this.#app;
    if (end.idle || end.gone) {
      clearTimeout(this.#slowTimer);
      this.#slowTimer = undefined;
      this.#slow = false;
      return false;
    }
    if (this.#slow || this.recording || this.#owner.held) return false;
    this.#slowTimer ??= setTimeout(() => {
      this.#slow = true;
      this.update();
    }, SLOW_AFTER_MS);
    return true;
  }

  #newDecoder(): FrameDecoder {
    return new FrameDecoder({
      data: (bytes) => this.#unlessParked(() => this.#onData(bytes)),
      marker: (epoch, offset) => this.#onMarker(offset, () => this.#owner.marker(this, epoch)),
      fin: (offset) => this.#unlessParked(() => this.#onFin(offset)),
      reset: () => this.#unlessParked(() => this.#onReset()),
      park: (epoch, offset) => this.#onMarker(offset, () => this.#onPark(epoch)),
      unpark: () => this.#onUnpark(),
      window: (offset) => {
        this.#out.limit = offset; // `update` follows
        return true;
      },
    });
  }

  #useTunnel(tunnel: Link): void {
    this.#tunnel = tunnel;
    this.#out.use(tunnel);
    const present = (work: () => void): void => {
      if (this.#tunnel === tunnel) work();
    };
    tunnel.handle((bytes) => present(() => this.#fromTunnel(bytes)), {
      drained: () => this.update(),
      ended: () => present(() => this.#onTunnelEnd()),
      finished: () => undefined,
      closed: () => present(() => this.#onTunnelClosed()),
    });
    if (tunnel.gone) this.#onTunnelClosed();
  }

  /** Nothing of it is heard any more. @returns it, for a last word */
  #dropTunnel(): Link | undefined {
    const tunnel = this.#tunnel;
    this.#tunnel = this.#stash = undefined;
    this.#blocked = this.#tunnelEnded = this.#tunnelGone = false;
    this.#out.use(undefined);
    return tunnel;
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
    if (this.#phase === 'ended') {
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
    if (this.#out.finSent) this.#tunnel?.end();
  }

  #onAppGone(): void {
    if (!this.#app.orderly) this.#tellReset();
    this.update();
    this.#closedIfDone();
  }

  #tellReset(): void {
    this.#out.reset(!this.#in.resetReceived);
  }

  #fromTunnel(bytes: Buffer): void {
    const tunnel = this.#tunnel;
    try {
      const taken = this.#decoder.push(bytes);
      if (taken < bytes.length && tunnel === this.#tunnel) this.#stash = Buffer.from(bytes.subarray(taken));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#owner.log('the peer breaks the format', { stream: this.identity.id, error: error.message });
      this.destroy();
      return;
    }
    this.update();
  }

  /** A peer that moves has nothing more to say over this tunnel, but that it stays. */
  #unlessParked(work: () => void): boolean {
    if (this.#out.parked) this.#leave();
    else work();
    return this.#tunnel !== undefined;
  }

  #onData(bytes: Uint8Array): void {
    this.#in.data(bytes, !this.#owner.held);
    if (this.recording) this.#owner.recorded(this, this.recording.bytes);
    // Its application has closed both directions, and does not hear this.
    if (this.#app.gone && this.#app.orderly) this.#tellReset();
  }

  #onFin(offset: number): void {
    this.#checkOffset(offset);
    this.#in.fin(!this.#owner.held);
  }

  #onReset(): void {
    this.#in.reset();
    this.#resetApp();
  }

  #onMarker(offset: number, work: () => Promise<void>): boolean {
    this.#checkOffset(offset);
    this.#blocked = true;
    const tunnel = this.#tunnel;
    void work()
      .catch((error: unknown) => this.#owner.log('a marker had no effect', { error: messageOf(error) }))
      .then(() => {
        if (tunnel === this.#tunnel) this.#unblock();
      });
    return false;
  }

  #unblock(): void {
    this.#blocked = false;
    const stash = this.#stash;
    this.#stash = undefined;
    if (stash) this.#fromTunnel(stash);
    if (this.#tunnelEnded) this.#onTunnelEnd();
    if (this.#tunnelGone) this.#onTunnelClosed();
    this.update();
  }

  async #onPark(epoch: number): Promise<void> {
    if (await this.#owner.park(this, epoch)) this.#out.park(epoch);
  }

  #onUnpark(): boolean {
    this.#out.unparked();
    this.#flush();
    return true;
  }

  #resetApp(): void {
    // A held application would not get the reset: its packets are dropped, and nobody sends it again.
    this.#resetAppOnRelease = this.#owner.held;
    if (!this.#owner.held) this.#app.end.reset();
  }

  /** A byte was lost or doubled on the way. Not by TCP. */
  #checkOffset(offset: number): void {
    const { received } = this.#in;
    if (offset !== received) throw new FrameError('value', `the peer has sent ${offset} bytes, ${received} have come`);
  }

  /** The tunnel of a parked stream is of no use any more. */
  #leave(): void {
    this.#phase = 'away';
    this.#dropTunnel()?.reset();
    this.#owner.left(this);
  }

  #onTunnelEnd(): void {
    this.#tunnelEnded = true;
    if (this.#blocked) return;
    if (this.#out.parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) {
      this.#lost = true;
      this.#resetApp();
    }
    this.#tunnel?.end();
  }

  #onTunnelClosed(): void {
    this.#tunnelGone = true;
    if (this.#blocked) return;
    if (this.#out.parked) {
      this.#leave();
      return;
    }
    if (!this.#orderly) this.#lost = true;
    this.#end(this.#lost);
    if (!this.#in.finReceived || this.#lost) this.#resetApp();
    this.#closedIfDone();
  }

  /** Each direction has ended, or one end was reset: the tunnel may go. */
  get #orderly(): boolean {
    const { finReceived, resetReceived } = this.#in;
    return (finReceived && this.#out.finSent) || resetReceived || this.#out.resetSent;
  }

  /** There is no tunnel from now on. */
  #end(lost: boolean): void {
    const tunnel = this.#dropTunnel();
    if (lost) tunnel?.reset();
    else tunnel?.end();
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#owner.ended(this, lost);
  }

  #closedIfDone(): void {
    if (this.#phase !== 'ended' || !this.#app.over) return;
    clearTimeout(this.#slowTimer);
    this.#owner.closed(this);
  }
}
