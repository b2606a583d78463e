import type { FollowingHash } from '../checkpoints/store/following-hash.ts';
import type { TemporaryPart } from '../checkpoints/store/index.ts';
import type { Progress } from '../../src/platform/deadlines.ts';
import { broken, type Wanted } from './wanted.ts';

interface Late {
  readonly file: TemporaryPart;
  /** @throws SwarmcutError `damaged`, `failed` */
  readonly checked: Promise<void>;
}

/**
 * Parts that have come whole and of which it is not known yet that they are what they should be: a thread is still at their hashes. They may be worked with already,
 * by whoever does not let anything of it out before {@link settle} has resolved. They are no parts of the store until then.
 */
export class LateParts {
  readonly #parts = new Map<string, Late>();
  /** Of all there ever were. */
  readonly #hashes: FollowingHash[] = [];
  readonly #ends: Promise<void>[] = [];

  /** @param hash has been told of all of the file @param node who sent it */
  add(part: Wanted, file: TemporaryPart, hash: FollowingHash, node: string): void {
    const checked = check(part, hash, node);
    checked.catch(() => undefined); // told by settle
    this.#hashes.push(hash);
    this.#parts.set(part.sha256, { file, checked });
  }

  /** Where one lies, until {@link settle}. */
  path(sha256: string): string | undefined {
    return this.#parts.get(sha256)?.file.path;
  }

  /** How far the thread is. */
  progress(): Progress {
    const each = this.#hashes.map((hash) => hash.progress());
    return { doing: each.map(({ doing }) => doing).join('; '), mark: each.map(({ mark }) => mark).join(' ') };
  }

  /**
   * Waits until all are checked; they go into the store. To be called in any case, or files are left over. Repeated: also for what has come since.
   * @throws SwarmcutError `damaged` when one is not what it should be, now or in an earlier call: that one is gone; `failed`
   */
  async settle(): Promise<void> {
    for (const [sha256, late] of this.#parts) this.#ends.push(finish(sha256, late));
    this.#parts.clear();
    for (const end of await Promise.allSettled(this.#ends)) if (end.status === 'rejected') throw end.reason;
  }
}

async function finish(sha256: string, { file, checked }: Late): Promise<void> {
  try {
    await checked;
    await file.commit(sha256);
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function check({ sha256, sizeBytes }: Wanted, hash: FollowingHash, node: string): Promise<void> {
  try {
    const actual = await hash.digest(sizeBytes);
    if (actual !== sha256) throw broken(node, sha256, `another hash: ${actual}`);
  } finally {
    hash[Symbol.dispose]();
  }
}
