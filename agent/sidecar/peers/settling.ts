import type { Neighbours } from './neighbours.ts';

/** What is waited for at most. */
const SETTLE_MS = 500;

/** Waits until all tasks of the stack have been asked once whether they have a sidecar. */
export class Settling {
  readonly #neighbours: Neighbours;
  readonly #waiting: (() => void)[] = [];

  constructor(neighbours: Neighbours) {
    this.#neighbours = neighbours;
  }

  /** Resolves then, or after half a second. */
  async wait(): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SETTLE_MS);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.look();
    await settled;
  }

  /** Something has changed. */
  look(): void {
    for (const { own, state } of this.#neighbours.entries.values()) if (own && state === 'unknown') return;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
