import { FRAME_HEAD_BYTES } from '../../src/streams/wire/frames.ts';
import type { Recording } from '../../src/streams/inbox.ts';
import type { StreamOutput } from '../../src/streams/outputs.ts';
import { StreamMachine } from '../../src/streams/stream-machine.ts';
import type { RestoredStream, StreamPosition } from '../../src/streams/stream-state.ts';
import { newApp, pattern } from './surroundings.ts';
import type { App, Side, Tunnel } from './surroundings.ts';

export interface EndCut {
  readonly epoch: number;
  readonly position: StreamPosition;
  readonly recording: Recording<Uint8Array>;
  readonly app: App;
}

/** What the opener says over a tunnel that is free. */
export const NEXT = Buffer.from('the next stream');

/** So much of a tunnel is taken by the kernel at once. Bytes. */
const TUNNEL_ROOM = 5_000;

/** A machine with sockets that are none: what the sidecar is around it (agent/sidecar/streams/stream-sockets.ts), one step at a time. */
export class StreamEnd {
  readonly side: Side;
  machine: StreamMachine;
  app = newApp();
  tunnel: Tunnel | undefined;
  blocked = false;
  cut: EndCut | undefined;
  /** Markers that wait for the algorithm. */
  markers: Extract<StreamOutput, { kind: 'marker' | 'park' }>[] = [];
  /** How the stream has ended. */
  ended: { readonly lost: boolean } | undefined;
  /** The tunnel that has carried it, with what had come behind it. */
  freed: { readonly tunnel: Tunnel; readonly rest: Buffer } | undefined;
  /** Written to the application, and not in the kernel. */
  #unsent = Buffer.alloc(0);
  #finWaits = false;
  #finished = false;
  #closing = false;
  #closed = false;
  #tunnelEndSeen = false;
  #tunnelCloseSeen = false;
  #nowMs = 0;

  constructor(side: Side) {
    this.side = side;
    const role = side === 0 ? 'opener' : 'acceptor';
    this.machine = new StreamMachine({ role, blocked: false, appGone: false, restored: undefined });
    this.machine.announced = true;
  }

  use(tunnel: Tunnel, reusable = false): void {
    this.tunnel = tunnel;
    this.#tunnelEndSeen = this.#tunnelCloseSeen = false;
    this.do(() => this.machine.open(tunnel.broken, reusable));
  }

  /** As if the sidecar had been started anew from this cut. The application goes back with it. */
  restore({ position, recording, app }: EndCut): void {
    const received = position.delivered + recording.bytes;
    const restored: RestoredStream = {
      outgoing: {
        sent: position.sent,
        finSent: position.finSent,
        pending: pattern(position.sent, app.written - position.sent),
      },
      appEnded: app.closed,
      incoming: {
        received,
        undelivered: [Buffer.concat(recording.chunks)],
        finReceived: position.finDelivered || recording.fin,
        resetReceived: false,
        finDelivered: position.finDelivered,
      },
      accepted: true,
      phase: 'reconnecting',
    };
    const role = this.side === 0 ? 'opener' : 'acceptor';
    this.machine = new StreamMachine({ role, blocked: true, appGone: false, restored });
    this.app = {
      ...app,
      read: app.written,
      endRead: app.closed,
      got: position.delivered,
      gotFin: position.finDelivered,
    };
    this.blocked = true;
    this.tunnel = this.ended = this.cut = this.freed = undefined;
    this.markers = [];
    this.#unsent = Buffer.alloc(0);
    this.#finished = position.finDelivered;
    this.#finWaits = this.#closing = this.#closed = false;
  }

  makeCut(epoch: number, park: boolean): EndCut {
    this.blocked = true;
    this.do(() => this.machine.block());
    const unsent = Buffer.from(this.#unsent);
    // A connection that waits to be accepted is there.
    const accepted = this.app.accepted || this.#closed || this.app.gotReset;
    const { position, recording } = this.machine.cut(epoch, { unsent, accepted });
    if (this.app.accepted && !this.#closed && !this.app.gotReset && position.delivered !== this.app.got)
      throw new Error(`${position.delivered} bytes are delivered by the cut, the application has ${this.app.got}`);
    this.do(() => this.machine.sendMarker(epoch, park));
    if (!recording.complete) this.machine.recording = recording;
    return (this.cut = { epoch, position, recording, app: { ...this.app } });
  }

  stopRecording(): void {
    if (this.cut) this.cut.recording.complete = true;
    this.machine.recording = undefined;
  }

  release(): void {
    this.blocked = false;
    this.do(() => this.machine.release());
  }

  appWrites(bytes: number): void {
    if (this.app.closed || this.app.gotReset || this.blocked) return;
    this.app.accepted = true;
    this.app.written += bytes;
  }

  appCloses(): void {
    if (!this.app.gotReset && !this.blocked) this.app.accepted = this.app.closed = true;
  }

  appResets(): void {
    if (this.#closed || this.app.gotReset || this.blocked) return;
    this.app.gotReset = this.#closed = true;
    this.#unsent = Buffer.alloc(0);
    this.do(() => this.machine.handleAppClosed(true));
  }

  /** The kernel takes so much of what waits for the application. @returns true when something has happened */
  appTakes(most: number): boolean {
    if (this.blocked) return false;
    const bytes = Math.min(most, this.#unsent.length);
    if (bytes > 0) {
      this.#give(this.#unsent.subarray(0, bytes));
      this.#unsent = this.#unsent.subarray(bytes);
      this.do(() => undefined);
    }
    if (!this.#finWaits || this.#unsent.length > 0 || this.#closed) return bytes > 0;
    this.#finWaits = false;
    this.#finished = this.app.gotFin = true;
    this.do(() => this.machine.handleAppFinished());
    return true;
  }

  readApp(most: number): boolean {
    const { app, machine } = this;
    if (!machine.readsApp || this.#closed) return false;
    const bytes = Math.min(most, app.written - app.read);
    if (bytes > 0) {
      const framed = Buffer.concat([Buffer.alloc(FRAME_HEAD_BYTES), pattern(app.read, bytes)]);
      app.read += bytes;
      this.do(() => machine.handleApp(framed.subarray(FRAME_HEAD_BYTES), framed));
      framed.fill(0xee);
      return true;
    }
    if (!app.closed || app.endRead) return false;
    app.endRead = true;
    this.do(() => machine.handleAppEnd());
    return true;
  }

  readTunnel(most: number): boolean {
    const { tunnel, machine } = this;
    if (!tunnel || tunnel.broken || !machine.readsTunnel) return false;
    const pipe = tunnel.pipes[this.side === 0 ? 1 : 0];
    if (pipe.bytes.length > 0) {
      const chunk = Buffer.from(pipe.bytes.subarray(0, most));
      pipe.bytes = pipe.bytes.subarray(chunk.length);
      this.do(() => machine.handleTunnel(chunk));
      chunk.fill(0xdd);
      return true;
    }
    if (!pipe.ended || this.#tunnelEndSeen) return false;
    this.#tunnelEndSeen = true;
    this.do(() => machine.handleTunnelEnd());
    return true;
  }

  /** What sockets do by themselves. */
  settle(): void {
    const { tunnel, machine } = this;
    const over = this.app.endRead && this.#finished;
    if (!this.#closed && (this.app.gotReset || this.#closing || over)) {
      this.#closed = true;
      this.do(() => machine.handleAppClosed(false));
    }
    const closed = tunnel && (tunnel.broken || (this.#tunnelEndSeen && tunnel.pipes[this.side].ended));
    if (!closed || this.tunnel !== tunnel || this.#tunnelCloseSeen) return;
    this.#tunnelCloseSeen = true;
    this.do(() => machine.handleTunnelClosed());
  }

  passTime(ms: number): void {
    this.#nowMs += ms;
    this.do(() => undefined);
  }

  /** Calls the machine, and does what it wants done. */
  do(call: () => void): void {
    call();
    this.#carryOut();
    const tunnelIdle = this.tunnel !== undefined && this.tunnel.pipes[this.side].bytes.length < TUNNEL_ROOM;
    this.machine.handleProgress({ appUnsentBytes: this.#unsent.length, tunnelIdle }, this.#nowMs);
    this.#carryOut();
  }

  #carryOut(): void {
    for (let output = this.machine.poll(); output; output = this.machine.poll()) this.#perform(output);
  }

  #perform(output: StreamOutput): void {
    const pipe = this.tunnel?.pipes[this.side];
    switch (output.kind) {
      case 'app-write':
        if (!this.#closed) this.#unsent = Buffer.concat([this.#unsent, output.bytes]);
        break;
      case 'app-end':
        this.#finWaits = true;
        break;
      case 'app-close':
        this.#closing = true;
        break;
      case 'app-reset':
      case 'app-destroy':
        if (this.blocked && output.kind === 'app-reset') throw new Error('a blocked application is reset');
        this.app.gotReset = true;
        this.#unsent = Buffer.alloc(0);
        break;
      case 'tunnel-write':
        if (pipe && !pipe.ended) pipe.bytes = Buffer.concat([pipe.bytes, output.bytes]);
        break;
      case 'tunnel-end':
        if (pipe) pipe.ended = true;
        break;
      case 'tunnel-drop':
        if (this.tunnel && output.reset) this.tunnel.broken = true;
        if (pipe) pipe.ended = true;
        this.tunnel = undefined;
        break;
      case 'tunnel-free':
        if (!this.tunnel || this.tunnel.pipes[this.side].ended) throw new Error('a tunnel that has ended is free');
        this.freed = { tunnel: this.tunnel, rest: Buffer.from(output.rest) };
        // Only who has made it may go on, and does so at once.
        if (this.side === 0) this.tunnel.pipes[0].bytes = Buffer.concat([this.tunnel.pipes[0].bytes, NEXT]);
        this.tunnel = undefined;
        break;
      case 'marker':
      case 'park':
        this.markers.push(output);
        break;
      case 'ended':
        this.ended = output;
        break;
      case 'malformed':
        throw output.error;
      case 'recorded':
      case 'left':
        break;
    }
  }

  /** Bytes reach the application: each once, and in order. */
  #give(bytes: Buffer): void {
    if (this.app.gotFin) throw new Error('bytes behind the end');
    if (!pattern(this.app.got, bytes.length).equals(bytes)) throw new Error(`wrong bytes at ${this.app.got}`);
    this.app.got += bytes.length;
  }
}
