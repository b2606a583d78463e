import type { AppSide } from './app-side.ts';
import { WINDOW_BYTES } from './wire/frames.ts';
import type { Incoming } from './incoming.ts';
import type { Outgoing } from './outgoing.ts';

/** The peer is told that it may send more when it may send so much more. Bytes. */
const WINDOW_STEP_BYTES = WINDOW_BYTES / 4;

/** An application that has not taken everything after this long is a slow reader. Until then it is not hurried: fewer bytes are copied. */
const SLOW_AFTER_MS = 50;

/** How fast a stream's peer may send: whether the tunnel is read, and up to where the peer is told that it may go. */
export class BackPressure {
  readonly #app: AppSide;
  readonly #in: Incoming;
  readonly #out: Outgoing;
  #slow = false;
  /** When the application will be a slow reader if it does not take everything until then. Milliseconds. */
  #slowAtMs: number | undefined;
  /** How far we have told the peer that it may send. */
  #told = WINDOW_BYTES;

  constructor(app: AppSide, incoming: Incoming, outgoing: Outgoing) {
    this.#app = app;
    this.#in = incoming;
    this.#out = outgoing;
  }

  /** When {@link look} is to be called again although nothing else has happened. Milliseconds. */
  get dueAtMs(): number | undefined {
    return this.#slowAtMs;
  }

  /** Looks at how the application takes what it is given. To be called after anything that could change it. */
  look(nowMs: number): void {
    if (this.#app.unsentBytes === 0 || this.#app.deaf) {
      this.#slow = false;
      this.#slowAtMs = undefined;
    } else if (this.#slowAtMs !== undefined && nowMs >= this.#slowAtMs) {
      this.#slow = true;
      this.#slowAtMs = undefined;
    }
  }

  /**
   * It is worth while to wait for the application before more is read from the tunnel.
   * @param hurried what is behind is needed now, however slow the application is
   */
  patient(nowMs: number, hurried: boolean): boolean {
    if (this.#app.unsentBytes === 0 || this.#app.deaf || this.#slow || hurried) return false;
    this.#slowAtMs ??= nowMs + SLOW_AFTER_MS;
    return true;
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
}
