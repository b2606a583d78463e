import type { Endpoint } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { StreamOutput } from '../../../src/streams/outputs.ts';
import type { StreamMachine } from '../../../src/streams/stream-machine.ts';
import { AppEnd } from './app-end.ts';
import type { RestoredClosing } from './app-end.ts';
import type { Link } from '../sockets/link.ts';
import type { LocalEnd } from '../sockets/local-end.ts';

/** What becomes of a machine's outputs that concern the sidecar around it, as in stream-owner.ts. */
export interface SocketsEvents {
  marker(epoch: number): Promise<void>;
  park(epoch: number): Promise<boolean>;
  recorded(bytes: number): void;
  left(): void;
  free(tunnel: Link, rest: Uint8Array): void;
  ended(lost: boolean): void;
  closed(): void;
  log(message: string, error: string): void;
}

/** The two sockets of a stream, driven by its machine as that says (src/streams/stream-machine.ts). */
export class StreamSockets {
  readonly #machine: StreamMachine;
  readonly #app: AppEnd;
  readonly #events: SocketsEvents;
  #tunnel: Link | undefined;
  /** Address of the other sidecar. */
  #peer = '';
  /** Why the last tunnel has broken. */
  #brokenBy: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer will fire, by the clock of `performance.now()`. */
  #timerAtMs: number | undefined;

  constructor(machine: StreamMachine, end: LocalEnd, closing: RestoredClosing, events: SocketsEvents) {
    this.#machine = machine;
    this.#events = events;
    this.#app = new AppEnd(end, closing, () => this.update());
    end.handle((bytes, framed) => this.do(() => machine.handleApp(bytes, framed)), {
      drained: () => this.update(),
      ended: () => this.do(() => machine.handleAppEnd()),
      finished: () => this.do(() => machine.handleAppFinished()),
      closed: (error) => this.do(() => machine.handleAppClosed(error !== undefined)),
    });
    end.resetOnClose(true);
  }

  /** Written to the application, and not in the kernel. */
  get appUnsentBytes(): number {
    return this.#app.socket.unsentBytes;
  }

  /** Those bytes, copied. */
  appUnsent(): Buffer {
    return this.#app.socket.unsent();
  }

  /** What the application's kernel was not allowed to get leaves now. */
  push(): void {
    this.#app.push();
  }

  /** As AppEnd.take. */
  take(appEnd: { readonly local: Endpoint; readonly remote: Endpoint }): TcpEnd | undefined {
    return this.#app.take(appEnd);
  }

  /** The sockets have gone on by themselves, or time has passed. */
  update(): void {
    this.do(() => undefined);
  }

  /** Address of the other sidecar, and why the tunnel to it has broken, if it has. */
  get far(): { readonly address: string; readonly brokenBy: string | undefined } {
    return { address: this.#peer, brokenBy: this.#brokenBy };
  }

  /** The other sidecar is known to be gone; what has come from it is still taken. */
  get abandoned(): boolean {
    return this.#tunnel?.abandoned ?? false;
  }

  /** From now on it goes over this tunnel. @param reusable as in StreamMachine.open */
  use(tunnel: Link, early: Buffer, reusable = false): void {
    this.#tunnel = tunnel;
    this.#peer = tunnel.peer;
    this.#brokenBy = undefined;
    const whileUsed = (handle: () => void) => (): void => {
      if (this.#tunnel === tunnel) this.do(handle);
    };
    const machine = this.#machine;
    tunnel.handle(
      (bytes) => {
        if (this.#tunnel === tunnel) this.do(() => machine.handleTunnel(bytes));
      },
      {
        drained: () => this.update(),
        ended: whileUsed(() => machine.handleTunnelEnd()),
        finished: () => undefined,
        closed: (error) => {
          if (this.#tunnel !== tunnel) return;
          this.#brokenBy = error?.message;
          this.do(() => machine.handleTunnelClosed());
        },
      },
    );
    this.do(() => machine.open(tunnel.gone, reusable));
    if (early.length > 0) this.do(() => machine.handleTunnel(early));
  }

  /** Calls the machine, and does what it wants done. */
  do(call: () => void): void {
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
      case 'tunnel-free':
        this.#free(output.rest);
        break;
      case 'marker':
        void this.#dealWithMarker(output);
        break;
      case 'park':
        void this.#dealWithPark(output);
        break;
      case 'recorded':
        this.#events.recorded(output.bytes);
        break;
      case 'left':
        this.#events.left();
        break;
      case 'ended':
        this.#events.ended(output.lost);
        break;
      case 'malformed':
        this.#events.log('the peer breaks the format', output.error.message);
        break;
    }
  }

  #free(rest: Uint8Array): void {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    if (tunnel) this.#events.free(tunnel, rest);
  }

  #drop(reset: boolean): void {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    if (reset) tunnel?.reset();
    else tunnel?.end();
  }

  async #dealWithMarker({ epoch, tunnel }: { readonly epoch: number; readonly tunnel: number }): Promise<void> {
    try {
      await this.#events.marker(epoch);
    } catch (error) {
      this.#noEffect(error);
    }
    this.do(() => this.#machine.markerDone(tunnel));
  }

  async #dealWithPark({ epoch, tunnel }: { readonly epoch: number; readonly tunnel: number }): Promise<void> {
    let waits = false;
    try {
      waits = await this.#events.park(epoch);
    } catch (error) {
      this.#noEffect(error);
    }
    this.do(() => (waits ? this.#machine.parkDone(tunnel, epoch) : this.#machine.markerDone(tunnel)));
  }

  #noEffect(error: unknown): void {
    this.#events.log('a marker had no effect', messageOf(error));
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
    if (!this.#app.lingers) this.#events.closed();
  }
}
