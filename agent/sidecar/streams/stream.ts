import type { StreamCut } from '../../../src/model/checkpoint.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { Recording } from '../../../src/streams/inbox.ts';
import { StreamMachine } from '../../../src/streams/stream-machine.ts';
import type { RestoredStream } from '../../../src/streams/stream-state.ts';
import { StreamSockets } from './stream-sockets.ts';
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
  readonly #machine: StreamMachine;
  readonly #sockets: StreamSockets;

  constructor(
    identity: StreamIdentity,
    target: Endpoint,
    end: LocalEnd,
    owner: StreamOwner<Stream>,
    restored?: RestoredStream,
  ) {
    this.identity = identity;
    this.target = target;
    const machine = new StreamMachine({ role: identity.role, blocked: owner.blocked, appGone: end.gone, restored });
    this.#machine = machine;
    const closing = { ended: restored?.appEnded ?? false, finDelivered: restored?.incoming.finDelivered ?? false };
    this.#sockets = new StreamSockets(machine, end, closing, {
      marker: (epoch) => owner.marker(this, epoch),
      park: (epoch) => owner.park(this, epoch),
      recorded: (bytes) => owner.recorded(this, bytes),
      free: (tunnel, rest) => owner.free(this, tunnel, rest),
      left: () => owner.left(this),
      ended: (lost) => owner.ended(this, lost),
      closed: () => owner.closed(this),
      log: (message, error) => owner.log(message, { stream: identity.id, error }),
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

  /** The peer may know of this stream. */
  get announced(): boolean {
    return this.#machine.announced;
  }

  set announced(known: boolean) {
    this.#machine.announced = known;
  }

  /** Address of the other sidecar, and why the tunnel to it has broken, if it has. */
  get far(): StreamSockets['far'] {
    return this.#sockets.far;
  }

  /** The other sidecar is known to be gone; what has come from it is still taken. */
  get abandoned(): boolean {
    return this.#sockets.abandoned;
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
    const end = this.#sockets.take(this.appEnd);
    const { pending } = this.#machine;
    return end && pending.length > 0 ? { ...end, received: Buffer.concat([pending, end.received]) } : end;
  }

  /** The peer has accepted, or has been accepted: bytes flow. @param early what came behind the preface @param reusable as in StreamMachine.open */
  open(tunnel: Link, early: Buffer, reusable: boolean): void {
    this.#sockets.use(tunnel, early, reusable);
  }

  /** The peer is there again, and has all that was sent: goes on over this tunnel. */
  resume(tunnel: Link, early: Buffer): void {
    this.#sockets.do(() => this.#machine.discardTunnel());
    this.#sockets.use(tunnel, early);
  }

  /** The peer has never heard of it. */
  openAnew(): void {
    this.#sockets.do(() => this.#machine.openAnew());
  }

  /** The peer does not come back, but all that it sent is here: delivers it. */
  goAlone(): void {
    this.#sockets.do(() => this.#machine.goAlone());
  }

  /** The other application did not accept: ours hears the same. */
  refuse(): void {
    this.#sockets.do(() => this.#machine.refuse());
  }

  /** Puts a marker behind all that was sent. `park`: this task moves, see FRAME_TYPES. */
  sendMarker(epoch: number, park: boolean): void {
    this.#sockets.do(() => this.#machine.sendMarker(epoch, park));
  }

  /** The task stays after all. */
  unpark(): void {
    this.#sockets.do(() => this.#machine.unpark());
  }

  /**
   * Where the channels stand now, and what has come and is not in the application's kernel socket: the beginning of a recording.
   * @param accepted false: the application has not accepted this connection, which its kernel has for it
   */
  cut(epoch: number, accepted: boolean): { readonly cut: StreamPosition; readonly recording: Recording<Uint8Array> } {
    const { position, recording } = this.#machine.cut(epoch, { unsent: this.#sockets.appUnsent(), accepted });
    return { cut: { ...this.identity, target: this.target, ...position }, recording };
  }

  /** Back-pressure by the algorithm: the recording is full. */
  pauseChannel(on: boolean): void {
    this.#sockets.do(() => this.#machine.pause(on));
  }

  /** Nothing is read from or delivered to the application from now on. */
  block(): void {
    this.#sockets.do(() => this.#machine.block());
  }

  /** Held streams start again: delivers what has waited. */
  release(): void {
    this.#sockets.do(() => this.#machine.release());
    this.#sockets.push();
    this.update();
  }

  /** Ends it at once, both sides. */
  destroy(): void {
    this.#sockets.do(() => this.#machine.destroy());
  }

  /** The sockets have gone on by themselves, or time has passed. */
  update(): void {
    this.#sockets.update();
  }

  /** For people: where it stands. */
  describe(): object {
    const { phase, state, recording } = this.#machine;
    const { sent, received, backlogBytes, finSent, finReceived, reset } = state;
    return {
      ...this.identity,
      client: endpointText(this.identity.client),
      server: endpointText(this.identity.server),
      target: endpointText(this.target),
      open: phase === 'open',
      awaiting: this.awaiting,
      sent,
      received,
      undelivered: this.#sockets.appUnsentBytes + backlogBytes,
      finSent,
      finReceived,
      reset,
      ...(recording && { recordedBytes: recording.bytes }),
    };
  }
}
