import { WINDOW_BYTES } from '../../../src/streams/frames.ts';
import type { Incoming } from './incoming.ts';
import type { LocalEnd } from '../sockets/local-end.ts';
import type { Outgoing } from './outgoing.ts';

/** The peer is told that it may send more when it may send so much more. Bytes. */
const WINDOW_STEP_BYTES = WINDOW_BYTES / 4;

/** An application that has not taken everything after this long is a slow reader. Until then it is not hurried: fewer bytes are copied. */
const SLOW_AFTER_MS = 50;

export interface BackPressureEvents {
  /** What is behind is needed now, however slow the application is: the tunnel must be read. */
  hurried(): boolean;
  /** The application is a slow reader. */
  slow(): void;
}

/** How fast a stream's peer may send: whether the tunnel is read, and up to where the peer is told that it may go. */
export class BackPressure {
  /** By the algorithm: the recording is full. */
  paused = false;
  readonly #app: LocalEnd;
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #events: BackPressureEvents;
  #slow = false;
  #timer: NodeJS.Timeout | undefined;
  /** How far we have told the peer that it may send. */
  #told = WINDOW_BYTES;

  constructor(app: LocalEnd, incoming: Incoming, outgoing: Outgoing, events: BackPressureEvents) {
    this.#app = app;
    this.#in = incoming;
    this.#out = outgoing;
    this.#events = events;
  }

  /** The tunnel is to be read. To be asked after anything that could change it. */
  mayRead(): boolean {
    return !this.paused && !this.#patient();
  }

  /** Tells the peer how far it may send, if that is worth a frame. */
  tell(): void {
    const limit = this.#in.taken + WINDOW_BYTES;
    if (limit - this.#told >= WINDOW_STEP_BYTES && this.#out.window(limit)) this.#told = limit;
  }

  /** The peer has been restored or has moved: it does not know anything of what it was told. */
  forget(): void {
    this.#told = 0;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** It is worth while to wait for the application before more is read from the tunnel. */
  #patient(): boolean {
    if (this.#app.idle || this.#app.gone) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#slow = false;
      return false;
    }
    if (this.#slow || this.#events.hurried()) return false;
    this.#timer ??= setTimeout(() => {
      this.#slow = true;
      this.#events.slow();
    }, SLOW_AFTER_MS);
    return true;
  }
}
