import type Docker from 'dockerode';

/** As much of the engine's stream of events as is used. */
type Events = NodeJS.ReadableStream & { destroy(): void };

/** An engine that does not answer is tried again after this long. Milliseconds. */
const RETRY_MS = 250;

export interface EngineWatchOptions {
  readonly engine: Pick<Docker, 'getEvents'>;
  /** Told when it changes. */
  readonly changed: (there: boolean) => void;
}

/**
 * Knows at once when the engine of this node ends: its stream of events breaks then. It is there again when it answers, which it does not while it
 * is still loading its containers.
 */
export class EngineWatch {
  readonly #options: EngineWatchOptions;
  #closed = false;
  #events: Events | undefined;
  #there = true;
  #timer: NodeJS.Timeout | undefined;

  /** The engine is taken to be there until it is found not to be. */
  constructor(options: EngineWatchOptions) {
    this.#options = options;
    void this.#follow();
  }

  close(): void {
    this.#closed = true;
    this.#events?.destroy();
    clearTimeout(this.#timer);
  }

  /** Never rejects. */
  async #follow(): Promise<void> {
    const { engine } = this.#options;
    try {
      // Only that the stream is there matters; of events of this kind there are few.
      const filters = JSON.stringify({ type: ['daemon'] });
      const events = (await engine.getEvents({ filters })) as Events;
      this.#events = events;
      if (this.#closed) events.destroy();
      this.#is(true);
      events.on('error', () => undefined);
      events.once('close', () => this.#again());
      events.resume();
    } catch {
      this.#again();
    }
  }

  #again(): void {
    if (this.#closed) return;
    this.#is(false);
    this.#timer = setTimeout(() => void this.#follow(), RETRY_MS).unref();
  }

  #is(there: boolean): void {
    if (there === this.#there) return;
    this.#there = there;
    this.#options.changed(there);
  }
}
