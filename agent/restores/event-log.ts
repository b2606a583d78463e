import type { RestoreEvent } from '../../src/rpc/generated/swarmcut/RestoreEvent.ts';

/** What has happened in one restore on this node; any number of readers, each from the beginning. */
export class EventLog {
  readonly #events: RestoreEvent[] = [];
  #ended = false;
  #wake: (() => void)[] = [];

  add(event: RestoreEvent): void {
    this.#events.push(event);
    this.#notify();
  }

  /** Readers come to their end. */
  end(): void {
    this.#ended = true;
    this.#notify();
  }

  async *read(signal: AbortSignal): AsyncGenerator<RestoreEvent> {
    const onAbort = (): void => this.#notify();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (let next = 0; !signal.aborted;) {
        const event = this.#events[next];
        if (event !== undefined) {
          next++;
          yield event;
        } else if (this.#ended) return;
        else await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
