import { restoredScript } from './rules.ts';
import type { LocalConnection } from './rules.ts';
import { run } from './run.ts';

/** Those that are over go some time later: they are in nobody's way. */
const TIDY_AFTER_MS = 1_000;

/**
 * The nft set `restored` of the task's namespace (rules.ts): connections whose far address is nobody's now, or somebody else's, so that peers do
 * not say any more that the application's packets are ours. One nft process at a time, however many ask.
 */
export class CapturedSet {
  readonly #netns: string;
  readonly #entries = new Map<string, LocalConnection>();
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #tidy: NodeJS.Timeout | undefined;

  constructor(netns: string) {
    this.#netns = netns;
  }

  /** @param key to {@link delete} it by @throws SwarmcutError with nft's words */
  async add(entries: Iterable<readonly [key: string, connection: LocalConnection]>): Promise<void> {
    for (const [key, connection] of entries) this.#entries.set(key, connection);
    await this.#apply();
  }

  delete(key: string): void {
    if (!this.#entries.delete(key)) return;
    this.#tidy ??= setTimeout(() => {
      this.#tidy = undefined;
      this.#apply().catch(() => undefined); // the task is gone
    }, TIDY_AFTER_MS).unref();
  }

  #apply(): Promise<void> {
    // Whoever asks while a script runs shares the one after it.
    this.#next ??= (this.#running ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        this.#running = this.#run();
        return this.#running;
      });
    return this.#next;
  }

  async #run(): Promise<void> {
    const script = restoredScript([...this.#entries.values()]);
    await run(['nsenter', `--net=${this.#netns}`, 'nft', '-f', '-'], script);
  }
}
