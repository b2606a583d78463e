import type Docker from 'dockerode';
import { within } from '../../../src/platform/deadlines.ts';

/** An engine that does not answer is tried again after this long. Milliseconds. */
const RETRY_MS = 250;

/** An engine that is there is asked whether it still is so often. Milliseconds. */
const ASK_MS = 1_000;

/** Longest time that it may take for its answer; some milliseconds are usual. One that is ending refuses; one that is slow has no processor. */
const ANSWER_TIMEOUT_MS = 30_000;

/** As much of the engine's stream of events as is used. */
type Events = NodeJS.ReadableStream & { destroy(): void };

export interface EngineWatchOptions {
  readonly engine: Pick<Docker, 'getEvents' | 'ping'>;
  /** Told when it changes. */
  readonly changed: (there: boolean) => void;
}

/**
 * Knows soon when the engine of this node ends. One that is told to end ends its containers first, and answers nobody new meanwhile; its streams
 * of events break when it has ended, or died. It is there again when it answers, which it does not while it loads its containers.
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
      events.on('error', () => undefined);
      events.once('close', () => this.#again());
      events.resume();
      if (this.#closed) {
        events.destroy();
        return;
      }
      this.#is(true);
      this.#askLater(events);
    } catch {
      this.#again();
    }
  }

  #askLater(events: Events): void {
    this.#timer = setTimeout(() => void this.#ask(events), ASK_MS).unref();
  }

  /** Never rejects. */
  async #ask(events: Events): Promise<void> {
    try {
      await within(this.#options.engine.ping(), ANSWER_TIMEOUT_MS, () => new Error('no answer'));
      if (this.#events === events && !this.#closed) this.#askLater(events);
    } catch {
      events.destroy();
    }
  }

  #again(): void {
    if (this.#closed) return;
    this.#events = undefined;
    this.#is(false);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#follow(), RETRY_MS).unref();
  }

  #is(there: boolean): void {
    if (there === this.#there) return;
    this.#there = there;
    this.#options.changed(there);
  }
}
