import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SwarmcutError } from '../model/errors.ts';
import { ID_PATTERN } from '../model/ids.ts';
import { manifestSchema } from '../model/checkpoint.ts';
import type { Manifest } from '../model/checkpoint.ts';
import { nearest } from '../model/near.ts';
import { assertStackName } from '../model/stack-name.ts';
import { ensureDirectory, syncDirectory, writeDurably } from '../platform/files.ts';
import { parseManifest } from './manifest-file.ts';
import { SIGNATURE, readVouching, signatureFile, vouchingOf } from './manifest-signature.ts';
import { WRAPPED_KEY } from './encryption/wrapped-key.ts';
import type { WrappedKey } from './encryption/wrapped-key.ts';
import type { ManifestSigning, Vouching } from './manifest-signature.ts';

const MANIFEST = 'manifest.json';

/** A snapshot as it lies in the catalogue, and whether its manifest is what a coordinator wrote. */
export interface StoredSnapshot {
  readonly manifest: Manifest;
  readonly vouching: Vouching;
}

/** A manifest as it was written and signed, to the byte. */
export interface SealedManifest {
  readonly id: string;
  /** Contents of `manifest.json`. */
  readonly manifest: Uint8Array;
  /** Contents of `manifest.sig.json`. */
  readonly signature: Uint8Array;
  /** Contents of `key.json`: the wrapped key of an encrypted snapshot. */
  readonly key?: Uint8Array;
}

/** One line of the catalogue: a manifest, or why it cannot be read. */
export type CatalogueEntry =
  ({ readonly id: string } & StoredSnapshot) | { readonly id: string; readonly error: SwarmcutError };

/**
 * The snapshots that this manager knows: `<state>/snapshots/<id>/manifest.json`. Manifests are written at once or not at all, signed, and never
 * changed. Those of other managers are brought here from the agents (coordinator/operations/session/gather.ts).
 */
export class Catalogue {
  readonly #directory: string;
  readonly #signing: ManifestSigning;

  /**
   * @param stateDirectory see `Directories.state`
   * @param signing the key that signs, and the authority that says whose signatures count
   */
  constructor(stateDirectory: string, signing: ManifestSigning) {
    this.#directory = join(stateDirectory, 'snapshots');
    this.#signing = signing;
  }

  /** Where a snapshot's manifest is, whether it exists or not. */
  manifestPath(id: string): string {
    return join(this.#directory, id, MANIFEST);
  }

  /** Where the wrapped key of an encrypted snapshot is. */
  wrappedKeyPath(id: string): string {
    return join(this.#directory, id, WRAPPED_KEY);
  }

  /** A manifest and its signature as they are kept, here and by the agents. @param key of an encrypted one */
  seal(manifest: Manifest, key?: WrappedKey): SealedManifest {
    const checked = manifestSchema.parse(manifest);
    const bytes = Buffer.from(`${JSON.stringify(checked, undefined, 2)}\n`);
    const signature = Buffer.from(signatureFile(bytes, this.#signing));
    return { id: checked.id, manifest: bytes, signature, ...(key && { key: Buffer.from(JSON.stringify(key)) }) };
  }

  /** Keeps a manifest, of whatever manager. When this has returned, it survives a power cut. */
  async keep({ id, manifest, signature, key }: SealedManifest): Promise<void> {
    const file = this.manifestPath(id);
    // The signature first: alone it is nothing, and a manifest never lies there without.
    await writeDurably(join(dirname(file), SIGNATURE), signature);
    if (key !== undefined) await writeDurably(this.wrappedKeyPath(id), key);
    await writeDurably(file, manifest);
    // The new directory's own entry has to be durable too.
    await syncDirectory(this.#directory);
  }

  /** What is kept here of a snapshot, to the byte. @throws the system's error when it is not here */
  async kept(id: string): Promise<SealedManifest> {
    const file = this.manifestPath(id);
    const [manifest, signature] = await Promise.all([readFile(file), readFile(join(dirname(file), SIGNATURE))]);
    const key = await readFile(this.wrappedKeyPath(id)).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    return { id, manifest, signature, ...(key === undefined ? {} : { key }) };
  }

  /** As {@link seal} and {@link keep}. */
  async write(manifest: Manifest, key?: WrappedKey): Promise<void> {
    await this.keep(this.seal(manifest, key));
  }

  /** All snapshots, newest first. Damaged ones are entries with an error: one bad file must not hide the others. */
  async list(): Promise<CatalogueEntry[]> {
    const ids = await this.ids();
    return Promise.all(
      ids.map(async (id): Promise<CatalogueEntry> => {
        try {
          return { id, ...(await this.read(id)) };
        } catch (error) {
          if (error instanceof SwarmcutError) return { id, error };
          throw error;
        }
      }),
    );
  }

  /** Ids of all snapshots, newest first. */
  async ids(): Promise<string[]> {
    const names = await readdir(this.#directory).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    // Directories without a manifest are leftovers of a round that never committed.
    const found = await Promise.all(
      names.filter((name) => ID_PATTERN.test(name)).map(async (id) => ((await this.#exists(id)) ? id : undefined)),
    );
    return found.filter((id) => id !== undefined).sort((a, b) => (a < b ? 1 : -1));
  }

  /**
   * @param id a whole id
   * @throws SwarmcutError `not-found`; `damaged` with the file and the field that is wrong.
   */
  async read(id: string): Promise<StoredSnapshot> {
    const file = this.manifestPath(id);
    let bytes: Buffer;
    try {
      bytes = await readFile(file);
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new SwarmcutError('not-found', `there is no snapshot ${id}`, { advice: '`coordinator list` shows all' });
    }
    const manifest = parseManifest(bytes.toString('utf8'), id, file);
    return { manifest, vouching: await readVouching(bytes, dirname(file), this.#signing) };
  }

  /** Reads a manifest that does not lie here. @throws SwarmcutError `damaged` */
  open({ id, manifest, signature }: SealedManifest): StoredSnapshot {
    const parsed = parseManifest(Buffer.from(manifest).toString('utf8'), id, MANIFEST);
    return { manifest: parsed, vouching: vouchingOf(manifest, Buffer.from(signature).toString('utf8'), this.#signing) };
  }

  /**
   * The snapshot that the user means.
   * @param text a whole id, its beginning, `latest`, or `latest:<stack>`
   * @throws SwarmcutError `not-found` (with near ids), `usage` when the beginning fits several, `damaged`.
   */
  async resolve(text: string): Promise<StoredSnapshot> {
    return this.read(await this.resolveId(text));
  }

  /** As {@link resolve}, but of a damaged snapshot too (unless it is in the way of `latest`): it can be removed. */
  async resolveId(text: string): Promise<string> {
    if (text === 'latest') return this.#latest('');
    if (text.startsWith('latest:')) {
      const stack = text.slice('latest:'.length);
      assertStackName(stack);
      return this.#latest(stack);
    }
    const ids = await this.ids();
    const wanted = text.toLowerCase();
    const matches = wanted === '' ? [] : ids.filter((id) => id.startsWith(wanted));
    const [only, ...others] = matches;
    if (only !== undefined && others.length === 0) return only;
    if (only !== undefined) {
      throw new SwarmcutError('usage', `"${text}" fits ${matches.length} snapshots: ${shortList(matches)}`, {
        advice: 'give more characters of the id',
      });
    }
    const near = nearest(wanted, ids);
    throw new SwarmcutError('not-found', `there is no snapshot "${text}"`, {
      advice:
        near.length > 0
          ? `did you mean ${near.join(' or ')}? \`coordinator list\` shows all`
          : ids.length > 0
            ? '`coordinator list` shows all'
            : 'there are no snapshots yet: take one with `coordinator snapshot <stack>`',
    });
  }

  /** Forgets a snapshot. The manifest goes first: without it the snapshot does not exist, whatever happens afterwards. */
  async remove(id: string): Promise<void> {
    const directory = join(this.#directory, id);
    try {
      await rename(this.manifestPath(id), join(directory, `.${MANIFEST}.removed`));
      await syncDirectory(directory);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await rm(directory, { recursive: true, force: true });
    await ensureDirectory(this.#directory);
    await syncDirectory(this.#directory);
  }

  async #exists(id: string): Promise<boolean> {
    const names = await readdir(join(this.#directory, id)).catch(() => [] as string[]);
    return names.includes(MANIFEST);
  }

  async #latest(stack: string): Promise<string> {
    const stacks = new Set<string>();
    for (const id of await this.ids()) {
      // Which stack a damaged one belongs to is not known: silently giving an older one instead could be the wrong one.
      const { manifest } = await this.read(id);
      // The final cut of a migration is of a part of a stack, and for those who ask for it by its id.
      if (manifest.migration === true) continue;
      if (stack === '' || manifest.stack === stack) return id;
      stacks.add(manifest.stack);
    }
    if (stack === '') {
      throw new SwarmcutError('not-found', 'there are no snapshots yet', {
        advice: 'take one with `coordinator snapshot <stack>`',
      });
    }
    const near = nearest(stack, [...stacks]);
    throw new SwarmcutError('not-found', `there is no snapshot of a stack "${stack}"`, {
      advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : '`coordinator list` shows all',
    });
  }
}

function shortList(ids: readonly string[]): string {
  const shown = ids.slice(0, 5).join(', ');
  return ids.length > 5 ? `${shown} …` : shown;
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
