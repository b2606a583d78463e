import { setImmediate } from 'node:timers/promises';
import { addElements, replaceElements } from '../../linux/set-elements.ts';
import { PROXY_TABLE } from '../../linux/proxy-table.ts';
import { restoredContents, type LocalConnection } from '../../linux/proxy-sets.ts';

/** Those that are over go some time later: they are in nobody's way. */
const TIDY_AFTER_MS = 1_000;

/**
 * The nft set `restored` of the task's namespace (rules.ts): connections whose far address is nobody's now, or somebody else's, so that peers do
 * not say any more that the application's packets are ours. Written once for all who ask in one turn of the event loop.
 */
export class CapturedSet {
  readonly #netns: string;
  readonly #entries = new Map<string, LocalConnection>();
  #coming: LocalConnection[] = [];
  #adding: Promise<void> | undefined;
  #tidy: NodeJS.Timeout | undefined;

  constructor(netns: string) {
    this.#netns = netns;
  }

  /** @param key to {@link delete} it by @throws SystemCallError with the kernel's answer */
  async add(entries: Iterable<readonly [key: string, connection: LocalConnection]>): Promise<void> {
    for (const [key, connection] of entries) {
      this.#entries.set(key, connection);
      this.#coming.push(connection);
    }
    this.#adding ??= setImmediate().then(() => {
      this.#adding = undefined;
      addElements(this.#netns, PROXY_TABLE, restoredContents(this.#coming.splice(0)));
    });
    await this.#adding;
  }

  delete(key: string): void {
    if (!this.#entries.delete(key)) return;
    this.#tidy ??= setTimeout(() => {
      this.#tidy = undefined;
      try {
        replaceElements(this.#netns, PROXY_TABLE, restoredContents([...this.#entries.values()]));
      } catch {
        // The task is gone, or the next one that ends is the occasion.
      }
    }, TIDY_AFTER_MS).unref();
  }
}
