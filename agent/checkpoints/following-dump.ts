import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pause } from '../../src/platform/deadlines.ts';
import type { Progress } from '../../src/platform/deadlines.ts';
import { FollowingHash } from './store/following-hash.ts';

/** Memory pages: nearly all of a big dump, and written from the beginning to the end, in one go. */
const PAGES = /^pages-\d+\.img$/;

/** How often it is looked how far CRIU is. Milliseconds. */
const LOOK_MS = 25;

/** A file below this size is hashed in less time than it takes to start another thread. Bytes. */
const SMALL_BYTES = 32 * 1024 * 1024;

/** A file whose hash will be known soon. */
export interface FollowedFile {
  /** A rejection: it must be hashed again. */
  readonly sha256: Promise<string>;
  readonly progress: () => Progress;
}

/**
 * Hashes the pages of a dump while CRIU writes them, so that nobody waits for it afterwards. For tasks that stand still until their parts are named: it takes processor time
 * from the dump.
 */
export class FollowingDump implements Disposable {
  readonly #folder: string;
  readonly #hashes = new Map<string, FollowingHash>();
  readonly #end = new AbortController();
  readonly #following: Promise<void>;

  /** @param folder of CRIU's images */
  constructor(folder: string) {
    this.#folder = folder;
    this.#following = this.#follow();
    this.#following.catch(() => undefined); // what is not hashed here is hashed later
  }

  /**
   * The dump has ended.
   * @returns by file name, of those that were followed
   */
  async ended(): Promise<ReadonlyMap<string, FollowedFile>> {
    this.#end.abort();
    await this.#following.catch(() => undefined);
    const files = new Map<string, FollowedFile>();
    for (const [name, hash] of this.#hashes) {
      const { size } = await stat(join(this.#folder, name));
      const sha256 = hash.digest(size).finally(() => hash[Symbol.dispose]());
      sha256.catch(() => undefined);
      files.set(name, { sha256, progress: () => hash.progress() });
    }
    this.#hashes.clear();
    return files;
  }

  /** The dump has come to nothing. */
  [Symbol.dispose](): void {
    this.#end.abort();
    void this.#following
      .catch(() => undefined)
      .then(() => {
        for (const hash of this.#hashes.values()) hash[Symbol.dispose]();
      });
  }

  async #follow(): Promise<void> {
    while (!this.#end.signal.aborted) {
      for (const name of await readdir(this.#folder)) if (PAGES.test(name)) await this.#look(name);
      await pause(LOOK_MS, this.#end.signal);
    }
  }

  async #look(name: string): Promise<void> {
    const file = join(this.#folder, name);
    const { size } = await stat(file);
    if (size < SMALL_BYTES) return;
    let hash = this.#hashes.get(name);
    if (hash === undefined) this.#hashes.set(name, (hash = new FollowingHash(file)));
    hash.upTo(size);
  }
}
