import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exists } from '../../src/platform/files.ts';

/**
 * While a restored task waits for its release, its volume's directory is the saved one, and the former one lies beside it under a name of its own. What is
 * to become of them is in the names alone, so that an agent that starts again knows it:
 * `.swarmcut-new-<restore>` is being unpacked; `.swarmcut-old-<restore>` comes back unless the restored task is released;
 * `.swarmcut-done-<restore>` is to be deleted.
 */
type State = 'new' | 'old' | 'done';

/** One volume in one restore. */
export class VolumeSwap {
  readonly source: string;
  readonly restoreId: string;

  /** @param source the volume's directory */
  constructor(source: string, restoreId: string) {
    this.source = source;
    this.restoreId = restoreId;
  }

  /** Makes the directory for the saved contents. */
  async begin(): Promise<string> {
    const fresh = this.#beside('new');
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { mode: 0o700 });
    return fresh;
  }

  /** It could not be filled. */
  async discard(): Promise<void> {
    await rm(this.#beside('new'), { recursive: true, force: true });
  }

  /** The saved contents take the place of the former ones. */
  async swap(): Promise<void> {
    await rename(this.source, this.#beside('old'));
    await rename(this.#beside('new'), this.source);
  }

  /** The former contents come back. Again, or after {@link seal}: no effect. */
  async undo(): Promise<void> {
    const [former, fresh] = [this.#beside('old'), this.#beside('new')];
    if (await exists(former)) {
      // Whoever was killed between the two renames has left the place empty.
      if (await exists(this.source)) await rename(this.source, fresh);
      await rename(former, this.source);
    }
    await rm(fresh, { recursive: true, force: true });
  }

  /** The saved contents stay, whatever happens now. */
  async seal(): Promise<void> {
    if (await exists(this.#beside('old'))) await rename(this.#beside('old'), this.#beside('done'));
  }

  /** Deletes the former contents. Only when whoever used them has ended. */
  async commit(): Promise<void> {
    await this.seal();
    await rm(this.#beside('done'), { recursive: true, force: true });
  }

  #beside(state: State): string {
    return join(dirname(this.source), `.swarmcut-${state}-${this.restoreId}`);
  }
}

/**
 * What restores have left beside the volumes of this node, for an agent that starts.
 * @param dataRoot the engine's data directory
 */
export async function findSwaps(dataRoot: string): Promise<VolumeSwap[]> {
  const root = join(dataRoot, 'volumes');
  const found = new Map<string, VolumeSwap>();
  for (const volume of await readdir(root, { withFileTypes: true }).catch(() => [])) {
    if (!volume.isDirectory()) continue;
    for (const name of await readdir(join(root, volume.name))) {
      const [, restoreId] = /^\.swarmcut-(?:new|old|done)-([A-Za-z0-9-]+)$/.exec(name) ?? [];
      const source = join(root, volume.name, '_data');
      if (restoreId !== undefined) found.set(`${restoreId} ${source}`, new VolumeSwap(source, restoreId));
    }
  }
  return [...found.values()];
}

/** Whether an agent before this one has decided that the saved contents stay. */
export async function isSealed({ source, restoreId }: VolumeSwap): Promise<boolean> {
  return exists(join(dirname(source), `.swarmcut-done-${restoreId}`));
}

/** For messages. */
export function volumeOf({ source }: VolumeSwap): string {
  return basename(dirname(source));
}
