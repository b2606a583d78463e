import { AppSide } from './app-side.ts';
import { BackPressure } from './back-pressure.ts';
import { Closing } from './closing.ts';
import type { FrameError } from './wire/frames.ts';
import { Incoming } from './incoming.ts';
import type { AppCut } from './incoming.ts';
import type { Recording } from './inbox.ts';
import { Outgoing } from './outgoing.ts';
import { Outputs } from './outputs.ts';
import type { StreamOutput } from './outputs.ts';
import type { SocketState, StreamOptions, StreamPosition, StreamState } from './stream-state.ts';
import { TunnelSide } from './tunnel-side.ts';
import type { TunnelPhase } from './tunnel-side.ts';

/**
 * One proxied connection at one of its two sidecars, without I/O: the application's connection, and the tunnel to the other sidecar. Two
 * channels: `sent` counts bytes taken from the application, `received` bytes that came from the peer.
 *
 * To be driven like this: after every call, carry out what {@link poll} gives until that is undefined; then call {@link handleProgress}, carry
 * out again, and obey {@link readsApp}, {@link readsTunnel} and {@link dueAtMs}.
 *
 * Back-pressure: the application is read while the peer takes more (WINDOW); the tunnel is read even if ours takes nothing, for a marker,
 * a reset or its end may be behind.
 *
 * Ends: FIN travels as a frame in each direction (half-close); a reset travels as a frame too, and the end that reset goes on reading (and
 * recording) until the peer has answered by closing the tunnel. A tunnel that ends any other way resets the application's connection,
 * unless the stream is parked: then its peer is moving, and comes back over another tunnel ({@link discardTunnel}).
 */
export class StreamMachine {
  /** The peer may know of this stream. */
  announced: boolean;
  readonly #outputs = new Outputs();
  readonly #app: AppSide;
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #tunnel: TunnelSide;
  readonly #pressure: BackPressure;
  readonly #closing: Closing;
  #readsTunnel = false;

  constructor({ role, blocked, appGone, restored }: StreamOptions) {
    const phase = restored?.phase ?? 'opening';
    this.announced = role === 'acceptor' || phase !== 'opening';
    const outputs = this.#outputs;
    this.#app = new AppSide(outputs, {
      gone: appGone,
      ended: restored?.appEnded ?? false,
      finDelivered: restored?.incoming.finDelivered ?? false,
    });
    const keepFirst = role === 'acceptor' && restored?.accepted !== true;
    this.#in = new Incoming(this.#app, outputs, blocked, keepFirst, restored?.incoming);
    this.#out = new Outgoing(outputs, restored?.outgoing);
    this.#tunnel = new TunnelSide(phase, this.#in, this.#out, outputs, {
      data: (bytes) => this.#onData(bytes),
      reset: () => this.#onReset(),
      unparked: () => this.#closing.flush(),
      malformed: (error) => this.#onMalformed(error),
      broken: () => this.#closing.resetApp(),
    });
    this.#pressure = new BackPressure(this.#app, this.#in, this.#out);
    this.#closing = new Closing(this.#app, this.#in, this.#out, () => this.#tunnel.finish());
  }

  get phase(): TunnelPhase {
    return this.#tunnel.phase;
  }

  /** It waits for a peer that moves or is restored: {@link discardTunnel} and {@link open} are due. */
  get awaiting(): boolean {
    return this.#out.parked || this.#tunnel.phase === 'reconnecting';
  }

  /** The application's connection is closed. */
  get appGone(): boolean {
    return this.#app.gone;
  }

  /** Nothing more will happen. */
  get over(): boolean {
    return this.#tunnel.phase === 'ended' && this.#app.gone;
  }

  get sent(): number {
    return this.#out.sent;
  }

  get received(): number {
    return this.#in.received;
  }

  /** All that the peer sent has come, and its end. */
  get inputEnded(): boolean {
    return this.#in.finReceived || this.#in.resetReceived;
  }

  /** Taken from the application, and not yet sent: a copy. */
  get pending(): Uint8Array {
    return this.#out.pending;
  }

  get state(): StreamState {
    const { received, finReceived, resetReceived, inbox } = this.#in;
    const { sent, finSent, resetSent } = this.#out;
    const { backlogBytes } = inbox;
    return { sent, finSent, received, finReceived, backlogBytes, reset: resetSent || resetReceived };
  }

  /** The application's connection is to be read. */
  get readsApp(): boolean {
    const { phase, lost, present } = this.#tunnel;
    const willing = present ? this.#out.ready : phase === 'ended' && !lost;
    return willing && !this.#in.blocked && !this.#app.ended && !this.#app.gone;
  }

  /** The tunnel is to be read. */
  get readsTunnel(): boolean {
    return this.#readsTunnel;
  }

  /** When {@link handleProgress} is to be called again although nothing has happened. Milliseconds. */
  get dueAtMs(): number | undefined {
    return this.#pressure.dueAtMs;
  }

  /** The next thing to be done. To be asked until there is nothing left, after every call. */
  poll(): StreamOutput | undefined {
    return this.#outputs.shift();
  }

  /** What was polled has been carried out, or the sockets have gone on by themselves, or time has passed. */
  handleProgress({ appUnsentBytes, tunnelIdle }: SocketState, nowMs: number): void {
    this.#app.unsentBytes = appUnsentBytes;
    this.#out.tunnelIdle = tunnelIdle;
    this.#pressure.look(nowMs);
    this.#readsTunnel = this.#tunnel.takes && !this.#pressure.patient(nowMs, this.#hurried);
    if (this.#tunnel.present) this.#pressure.tell();
  }

  /**
   * The application has sent something.
   * @param framed the same bytes, with FRAME_HEAD_BYTES free bytes before them, which are written to
   */
  handleApp(bytes: Uint8Array, framed: Uint8Array): void {
    this.#in.accepted();
    if (this.#tunnel.phase === 'ended')
      this.#closing.resetApp(); // nobody is there to hear it
    else this.#out.handleData(bytes, framed);
  }

  /** The application has closed its direction. */
  handleAppEnd(): void {
    if (!this.#app.handleEnd()) return;
    this.#in.accepted();
    this.#out.fin();
    this.#closing.settle();
  }

  /** Our direction towards the application is closed, and all before it is in the kernel. */
  handleAppFinished(): void {
    this.#app.handleFinished();
    this.#closing.settle();
  }

  /** The application's connection is closed. @param failed it was reset, or broke */
  handleAppClosed(failed: boolean): void {
    this.#app.handleClosed(failed);
    if (!this.#app.orderly) this.#closing.tellReset();
  }

  /** Something has come over the tunnel. `bytes` may be used again when the outputs have been carried out. */
  handleTunnel(bytes: Uint8Array): void {
    this.#tunnel.handle(bytes);
  }

  /** The other end of the tunnel has closed its direction. */
  handleTunnelEnd(): void {
    this.#tunnel.handleEnd();
  }

  /** The tunnel is gone: both directions have ended, or it broke. */
  handleTunnelClosed(): void {
    this.#tunnel.handleClosed();
  }

  /**
   * The peer has accepted, or has been accepted: bytes flow.
   * @param gone the tunnel is closed already
   * @param reusable it may carry another stream when this one has ended in order (`tunnel-free`)
   */
  open(gone: boolean, reusable = false): void {
    this.#tunnel.open(gone, reusable);
    this.#closing.flush();
  }

  /** The peer is there again, and has all that was sent: nothing more of the old tunnel is heard, and {@link open} follows with another. */
  discardTunnel(): void {
    this.#tunnel.discard();
    this.#out.forgetWindow();
    this.#pressure.forget();
  }

  /** The peer has never heard of it. */
  openAnew(): void {
    this.#tunnel.openAnew();
    this.announced = false;
  }

  /** The peer does not come back, but all that it sent is here: delivers it. */
  goAlone(): void {
    this.#tunnel.end(false);
  }

  /** The other application did not accept: ours hears the same. */
  refuse(): void {
    this.#tunnel.end(false);
    this.#app.reset();
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#tunnel.destroy();
    this.#app.destroy();
  }

  /** The algorithm is done with a marker (or has taken PARK as one): what stands behind it is taken. */
  markerDone(tunnel: number): void {
    this.#tunnel.markerDone(tunnel);
  }

  /** The peer's word that it moves is dealt with: this stream waits for it, and sends nothing more than the marker that says so. */
  parkDone(tunnel: number, epoch: number): void {
    this.#tunnel.parkDone(tunnel, epoch);
  }

  /** Puts a marker behind all that was sent. `park`: this task moves, see FRAME_TYPES. */
  sendMarker(epoch: number, park: boolean): void {
    this.#out.marker(epoch, park, this.#tunnel.phase === 'opening');
  }

  /** The task stays after all. */
  unpark(): void {
    if (this.#out.unpark()) this.#closing.flush();
  }

  /** Where the channels stand now, and the beginning of the incoming one's recording. */
  cut(epoch: number, app: AppCut): { readonly position: StreamPosition; readonly recording: Recording<Uint8Array> } {
    const { delivered, finDelivered, recording } = this.#in.cut(epoch, app);
    const { phase } = this.#tunnel;
    // A peer that does not know of it yet will see the new epoch when it hears of it.
    recording.complete = phase === 'ended' || !this.announced;
    recording.reset ||= this.#closing.resetOnRelease;
    const { sent, finSent } = this.#out;
    return { position: { opening: phase === 'opening', sent, finSent, delivered, finDelivered }, recording };
  }

  /** What comes in belongs to this. */
  get recording(): Recording<Uint8Array> | undefined {
    return this.#in.inbox.recording;
  }

  set recording(recording: Recording<Uint8Array> | undefined) {
    this.#in.inbox.recording = recording;
  }

  /** Back-pressure by the algorithm: the recording is full. */
  pause(on: boolean): void {
    this.#tunnel.pause(on);
  }

  /** Nothing is read from or delivered to the application from now on. */
  block(): void {
    this.#in.blocked = true;
  }

  /** The end of {@link block}: delivers what has waited. */
  release(): void {
    this.#in.blocked = false;
    if (this.#closing.resetOnRelease) this.#closing.resetApp();
    else this.#in.release();
  }

  /** What is behind in the tunnel is needed now, however slow the application is. */
  get #hurried(): boolean {
    return this.recording !== undefined || this.#in.blocked;
  }

  #onData(bytes: Uint8Array): void {
    this.#in.handleData(bytes);
    // Its application has closed both directions, and does not hear this.
    if (this.#app.gone && this.#app.orderly) this.#closing.tellReset();
  }

  #onReset(): void {
    this.#in.handleReset();
    this.#closing.resetApp();
  }

  #onMalformed(error: FrameError): void {
    this.#outputs.push({ kind: 'malformed', error });
    this.destroy();
  }
}
