import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { ID_PATTERN } from '../../../src/model/ids.ts';
import type { Directories } from '../../../src/model/paths.ts';
import { ensureDirectory, syncDirectory, writeDurably } from '../../../src/platform/files.ts';

/** A manifest as the coordinator has written and signed it, to the byte. Agents do not look inside. */
export interface KeptManifest {
  readonly manifest: Buffer;
  readonly signature: Buffer;
  /** The wrapped key of an encrypted snapshot; else empty. */
  readonly key: Buffer;
}

const removalSchema = z.object({ snapshotId: z.string(), signature: z.base64(), certificate: z.string() });

/** The coordinator's word that a snapshot was removed. */
export interface KeptRemoval {
  readonly snapshotId: string;
  readonly signature: Buffer;
  readonly certificate: string;
}

/** So many removals are remembered, the last ones. */
const REMOVALS_LIMIT = 5_000;

/**
 * What a node keeps for managers that do not have it: the manifests of snapshots of which it has parts, `<state>/manifests/<id>/`, and which
 * snapshots were removed, `<state>/manifests/removed.json`.
 */
export class Manifests {
  readonly #folder: string;
  readonly #ids = new Set<string>();
  #removals = new Map<string, KeptRemoval>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directories: Pick<Directories, 'state'>) {
    this.#folder = join(directories.state, 'manifests');
  }

  /** To be called once, before anything else. @param isKnown whether there is anything of a snapshot: manifests of others are removed */
  async open(isKnown: (snapshotId: string) => boolean): Promise<void> {
    await ensureDirectory(this.#folder);
    for (const name of await readdir(this.#folder)) {
      if (!ID_PATTERN.test(name)) continue;
      const files = await readdir(join(this.#folder, name));
      if (isKnown(name) && files.includes('manifest.json')) this.#ids.add(name);
      else await rm(join(this.#folder, name), { recursive: true, force: true });
    }
    for (const { signature, ...removal } of await this.#readRemovals())
      this.#removals.set(removal.snapshotId, { ...removal, signature: Buffer.from(signature, 'base64') });
  }

  /** A file that cannot be read says nothing: other nodes remember the same. */
  async #readRemovals(): Promise<z.infer<typeof removalSchema>[]> {
    try {
      return z.array(removalSchema).parse(JSON.parse(await readFile(this.#removedFile, 'utf8')));
    } catch {
      return [];
    }
  }

  has(snapshotId: string): boolean {
    return this.#ids.has(snapshotId);
  }

  /** On disk when it resolves. */
  keep(snapshotId: string, { manifest, signature, key }: KeptManifest): Promise<void> {
    return this.#serially(async () => {
      const folder = this.#place(snapshotId);
      await writeDurably(join(folder, 'manifest.sig.json'), signature);
      if (key.length > 0) await writeDurably(join(folder, 'key.json'), key);
      await writeDurably(join(folder, 'manifest.json'), manifest);
      await syncDirectory(this.#folder);
      this.#ids.add(snapshotId);
    });
  }

  /** @throws SwarmcutError `not-found` */
  async read(snapshotId: string): Promise<KeptManifest> {
    if (!this.has(snapshotId))
      throw new SwarmcutError('not-found', `this node keeps no manifest of snapshot ${snapshotId}`);
    const folder = this.#place(snapshotId);
    const [manifest, signature, key] = await Promise.all([
      readFile(join(folder, 'manifest.json')),
      readFile(join(folder, 'manifest.sig.json')),
      readFile(join(folder, 'key.json')).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
        throw error;
      }),
    ]);
    return { manifest, signature, key };
  }

  /** Unknown ones are no error. */
  forget(snapshotId: string): Promise<void> {
    return this.#serially(async () => {
      if (!this.#ids.delete(snapshotId)) return;
      await rm(this.#place(snapshotId), { recursive: true, force: true });
      await syncDirectory(this.#folder);
    });
  }

  get removals(): readonly KeptRemoval[] {
    return [...this.#removals.values()];
  }

  /** On disk when it resolves. */
  noteRemoval(removal: KeptRemoval): Promise<void> {
    return this.#serially(async () => {
      this.#place(removal.snapshotId);
      if (this.#removals.has(removal.snapshotId)) return;
      const kept = [...this.removals, removal]
        .sort((a, b) => (a.snapshotId < b.snapshotId ? -1 : 1))
        .slice(-REMOVALS_LIMIT);
      const file = kept.map((one) => ({ ...one, signature: one.signature.toString('base64') }));
      await writeDurably(this.#removedFile, `${JSON.stringify(file)}\n`);
      this.#removals = new Map(kept.map((one) => [one.snapshotId, one]));
    });
  }

  get #removedFile(): string {
    return join(this.#folder, 'removed.json');
  }

  #place(snapshotId: string): string {
    if (ID_PATTERN.test(snapshotId)) return join(this.#folder, snapshotId);
    throw new SwarmcutError('usage', 'that is not the id of a snapshot');
  }

  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
