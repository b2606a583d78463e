import type { StreamCut } from '../../../src/model/checkpoint.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { Recording } from '../../../src/streams/inbox.ts';
import type { StreamOutput } from '../../../src/streams/outputs.ts';
import { StreamMachine } from '../../../src/streams/stream-machine.ts';
import type { RestoredStream } from '../../../src/streams/stream-machine.ts';
import { AppEnd } from './app-end.ts';
import type { Link } from '../sockets/link.ts';
import type { LocalEnd } from '../sockets/local-end.ts';
import { appEndOf, channelsOf } from './stream-identity.ts';
import type { StreamIdentity } from './stream-identity.ts';
import type { StreamOwner } from './stream-owner.ts';

/** The positions of a stream at the cut; what is recorded of the incoming channel comes later. */
export type StreamPosition = Omit<StreamCut, 'recorded' | 'finRecorded' | 'resetRecorded' | 'endTaken' | 'complete'>;

/**
 * One proxied connection at one of its two sidecars: a {@link StreamMachine} with its two sockets, the application's and the tunnel to the other
 * sidecar. The protocol is the machine's; here its outputs are carried out.
 */
export class Stream {
  readonly identity: StreamIdentity;
  /** Whom the opener's sidecar has called: `server`, or a task behind it. */
  target: Endpoint;
  readonly #owner: StreamOwner;
  readonly #machine: StreamMachine;
  readonly #app: AppEnd;
  #tunnel: Link | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer will fire, by the clock of `performance.now()`. */
  #timerAtMs: number | undefined;

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
    this.#machine = new StreamMachine({ role: identity.role, held: owner.held, appGone: end.gone, restored });
    const closing = { ended: restored?.appEnded ?? false, finDelivered: restored?.incoming.finDelivered ?? false };
    this.#app = new AppEnd(end, closing, () => this.update());
    const machine = this.#machine;
    end.handle((bytes, framed) => this.#do(() => machine.handleApp(bytes, framed)), {
      drained: () => this.update(),
      ended: () => this.#do(() => machine.handleAppEnd()),
      finished: () => this.#do(() => machine.handleAppFinished()),
      closed: (error) => this.#do(() => machine.handleAppClosed(error !== undefined)),
    });
    end.resetOnClose(true);
  }

  /** The two directed channels, as the algorithms name them. `in` is towards this task. */
  get channels(): { readonly in: string; readonly out: string } {
    return channelsOf(this.identity);
  }

  /** The application's end of the local connection. */
  get appEnd(): { readonly local: Endpoint; readonly remote: Endpoint } {
    return appEndOf(this.identity);
  }

  /** The peer may know of this stream. */
  get announced(): boolean {
    return this.#machine.announced;
  }

  set announced(known: boolean) {
    this.#machine.announced = known;
  }

  /** The application's connection is closed. */
  get appGone(): boolean {
    return this.#machine.appGone;
  }

  get recording(): Recording<Uint8Array> | undefined {
    return this.#machine.recording;
  }

  set recording(recording: Recording<Uint8Array> | undefined) {
    this.#machine.recording = recording;
    this.update();
  }

  /** It waits for a peer that moves or is restored: {@link resume} is due. */
  get awaiting(): boolean {
    return this.#machine.awaiting;
  }

  /** The peer has not accepted yet. */
  get opening(): boolean {
    return this.#machine.phase === 'opening';
  }

  /** All that the peer sent has come, and its end. */
  get inputEnded(): boolean {
    return this.#machine.inputEnded;
  }

  get sent(): number {
    return this.#machine.sent;
  }

  get received(): number {
    return this.#machine.received;
  }

  /**
   * The state of the kernel's socket towards the application, with what was taken from it and not sent. Undefined when there is none.
   * @throws Error when the connection is over
   */
  takeEnd(): TcpEnd | undefined {
    const end = this.#app.take(this.appEnd);
    const { pending } = this.#machine;
    return end && pending.length > 0 ? { ...end, received: Buffer.concat([pending, end.received]) } : end;
  }

  /** The peer has accepted, or has been accepted: bytes flow. `early`: what came behind the preface. */
  open(tunnel: Link, early: Buffer): void {
    this.#use(tunnel, early);
  }

  /** The peer is there again, and has all that was sent: goes on over this tunnel. */
  resume(tunnel: Link, early: Buffer): void {
    this.#do(() => this.#machine.discardTunnel());
    this.#use(tunnel, early);
  }

  /** The peer has never heard of it. */
  openAnew(): void {
    this.#do(() => this.#machine.openAnew());
  }

  /** The peer does not come back, but all that it sent is here: delivers it. */
  goAlone(): void {
    this.#do(() => this.#machine.goAlone());
  }

  /** The other application did not accept: ours hears the same. */
  refuse(): void {
    this.#do(() => this.#machine.refuse());
  }

  /** Puts a marker behind all that was sent. `park`: this task moves, see FRAME_TYPES. */
  sendMarker(epoch: number, park: boolean): void {
    this.#do(() => this.#machine.sendMarker(epoch, park));
  }

  /** The task stays after all. */
  unpark(): void {
    this.#do(() => this.#machine.unpark());
  }

  /**
   * Where the channels stand now, and what has come and is not in the application's kernel socket: the beginning of a recording.
   * @param accepted false: the application has not accepted this connection, which its kernel has for it
   */
  cut(epoch: number, accepted: boolean): { readonly cut: StreamPosition; readonly recording: Recording<Uint8Array> } {
    const { position, recording } = this.#machine.cut(epoch, { unsent: this.#app.socket.unsent(), accepted });
    return { cut: { ...this.identity, target: this.target, ...position }, recording };
  }

  /** Back-pressure by the algorithm: the recording is full. */
  pauseChannel(on: boolean): void {
    this.#do(() => this.#machine.pause(on));
  }

  /** Nothing is read from or delivered to the application from now on. */
  hold(): void {
    this.#do(() => this.#machine.hold());
  }

  /** Held streams start again: delivers what has waited. */
  release(): void {
    this.#do(() => this.#machine.release());
    this.#app.push();
    this.update();
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#do(() => this.#machine.destroy());
  }

  /** The sockets have gone on by themselves, or time has passed. */
  update(): void {
    this.#do(() => undefined);
  }

  /** For people: where it stands. */
  describe(): object {
    const { phase, sent, received, backlogBytes, finSent, finReceived, reset, recording } = this.#machine;
    return {
      ...this.identity,
      client: endpointText(this.identity.client),
      server: endpointText(this.identity.server),
      target: endpointText(this.target),
      open: phase === 'open',
      awaiting: this.awaiting,
      sent,
      received,
      undelivered: this.#app.socket.unsentBytes + backlogBytes,
      finSent,
      finReceived,
      reset,
      ...(recording && { recordedBytes: recording.bytes }),
    };
  }

  /** From now on it goes over this tunnel. */
  #use(tunnel: Link, early: Buffer): void {
    this.#tunnel = tunnel;
    const whileUsed = (handle: () => void) => (): void => {
      if (this.#tunnel === tunnel) this.#do(handle);
    };
    const machine = this.#machine;
    tunnel.handle(
      (bytes) => {
        if (this.#tunnel === tunnel) this.#do(() => machine.handleTunnel(bytes));
      },
      {
        drained: () => this.update(),
        ended: whileUsed(() => machine.handleTunnelEnd()),
        finished: () => undefined,
        closed: whileUsed(() => machine.handleTunnelClosed()),
      },
    );
    this.#do(() => machine.open(tunnel.gone));
    if (early.length > 0) this.#do(() => machine.handleTunnel(early));
  }

  /** Calls the machine, and does what it wants done. */
  #do(call: () => void): void {
    const machine = this.#machine;
    call();
    this.#carryOut();
    const { socket } = this.#app;
    const tunnelIdle = this.#tunnel?.idle === true && !this.#tunnel.gone;
    machine.handleProgress({ appUnsentBytes: socket.unsentBytes, tunnelIdle }, performance.now());
    this.#carryOut();
    socket.reading = machine.readsApp;
    if (this.#tunnel) this.#tunnel.reading = machine.readsTunnel;
    if (machine.dueAtMs !== this.#timerAtMs) this.#setTimer(machine.dueAtMs);
    if (machine.over) this.#closed();
  }

  #carryOut(): void {
    for (let output = this.#machine.poll(); output; output = this.#machine.poll()) this.#perform(output);
  }

  #perform(output: StreamOutput): void {
    const { socket } = this.#app;
    switch (output.kind) {
      case 'app-write':
        socket.write(output.bytes);
        break;
      case 'app-end':
        socket.end();
        break;
      case 'app-close':
        this.#app.close();
        break;
      case 'app-reset':
        socket.reset();
        break;
      case 'app-destroy':
        this.#app.destroy();
        break;
      case 'tunnel-write':
        this.#tunnel?.write(output.bytes);
        break;
      case 'tunnel-end':
        this.#tunnel?.end();
        break;
      case 'tunnel-drop':
        this.#drop(output.reset);
        break;
      case 'marker':
        void this.#dealWithMarker(output);
        break;
      case 'park':
        void this.#dealWithPark(output);
        break;
      case 'recorded':
        this.#owner.recorded(this, output.bytes);
        break;
      case 'left':
        this.#owner.left(this);
        break;
      case 'ended':
        this.#owner.ended(this, output.lost);
        break;
      case 'malformed':
        this.#owner.log('the peer breaks the format', { stream: this.identity.id, error: output.error.message });
        break;
    }
  }

  #drop(reset: boolean): void {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    if (reset) tunnel?.reset();
    else tunnel?.end();
  }

  async #dealWithMarker({ epoch, tunnel }: { readonly epoch: number; readonly tunnel: number }): Promise<void> {
    try {
      await this.#owner.marker(this, epoch);
    } catch (error) {
      this.#noEffect(error);
    }
    this.#do(() => this.#machine.markerDone(tunnel));
  }

  async #dealWithPark({ epoch, tunnel }: { readonly epoch: number; readonly tunnel: number }): Promise<void> {
    let waits = false;
    try {
      waits = await this.#owner.park(this, epoch);
    } catch (error) {
      this.#noEffect(error);
    }
    this.#do(() => this.#machine.parkDone(tunnel, epoch, waits));
  }

  #noEffect(error: unknown): void {
    this.#owner.log('a marker had no effect', { error: messageOf(error) });
  }

  #setTimer(atMs: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    if (atMs === undefined) return;
    const inMs = Math.max(1, Math.ceil(atMs - performance.now()));
    this.#timer = setTimeout(() => {
      this.#timerAtMs = undefined;
      this.update();
    }, inMs);
  }

  /** Nothing is left of it, but for the last words of its application's socket. */
  #closed(): void {
    this.#setTimer(undefined);
    if (!this.#app.lingers) this.#owner.closed(this);
  }
}
