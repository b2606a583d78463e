import type { AppSide } from './app-side.ts';
import type { Incoming } from './incoming.ts';
import type { Outgoing } from './outgoing.ts';

/** How the end of one side of a stream follows from that of the other. */
export class Closing {
  readonly #app: AppSide;
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #finishTunnel: () => void;
  #resetOnRelease: boolean;

  /** @param finishTunnel nothing more is said over the tunnel */
  constructor(app: AppSide, incoming: Incoming, outgoing: Outgoing, finishTunnel: () => void) {
    this.#app = app;
    this.#in = incoming;
    this.#out = outgoing;
    this.#finishTunnel = finishTunnel;
    this.#resetOnRelease = incoming.resetReceived;
  }

  /** The application is to hear a reset when it is no longer blocked. */
  get resetOnRelease(): boolean {
    return this.#resetOnRelease;
  }

  /** Sends what could not be sent before. */
  flush(): void {
    this.#out.flush();
    if (this.#app.ended) this.#out.fin();
    if (this.#app.gone && !this.#app.orderly) this.tellReset();
    this.settle();
  }

  /** When both directions of the application's connection have ended in order: both sides close. */
  settle(): void {
    if (!this.#app.settled) return;
    // First what goes behind FIN into the tunnel: both leave in one call.
    if (this.#out.finSent) this.#finishTunnel();
    this.#app.close();
  }

  /** The application's connection is gone, and not in order: the peer hears it, unless it has said so itself. */
  tellReset(): void {
    this.#out.reset(!this.#in.resetReceived);
  }

  /** A blocked application would not get the reset: its packets are dropped, and nobody sends it again. */
  resetApp(): void {
    this.#resetOnRelease = this.#in.blocked;
    if (!this.#in.blocked) this.#app.reset();
  }
}
