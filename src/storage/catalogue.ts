import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError, messageOf } from '../model/errors.ts';
import { ID_PATTERN } from '../model/ids.ts';
import { manifestSchema } from '../model/checkpoint.ts';
import type { Manifest } from '../model/checkpoint.ts';
import { nearest } from '../model/near.ts';
import { ensureDirectory, syncDirectory, writeDurably } from '../platform/files.ts';

const MANIFEST = 'manifest.json';

/** One line of the catalogue: a manifest, or why it cannot be read. */
export type CatalogueEntry =
  { readonly id: string; readonly manifest: Manifest } | { readonly id: string; readonly error: SwarmcutError };

/**
 * The coordinator's snapshots: `<state>/snapshots/<id>/manifest.json`. A snapshot exists if and only if its manifest does; manifests are
 * written at once or not at all, and never changed.
 */
export class Catalogue {
  readonly #directory: string;

  /** @param stateDirectory see `Directories.state` */
  constructor(stateDirectory: string) {
    this.#directory = join(stateDirectory, 'snapshots');
  }

  /** Where a snapshot's manifest is, whether it exists or not. */
  manifestPath(id: string): string {
    return join(this.#directory, id, MANIFEST);
  }

  /** Makes a snapshot permanent. When this has returned, it survives a power cut; if it throws, the snapshot does not exist. */
  async write(manifest: Manifest): Promise<void> {
    const checked = manifestSchema.parse(manifest);
    await writeDurably(this.manifestPath(checked.id), `${JSON.stringify(checked, undefined, 2)}\n`);
    // The new directory's own entry has to be durable too.
    await syncDirectory(this.#directory);
  }

  /** All snapshots, newest first. Damaged ones are entries with an error: one bad file must not hide the others. */
  async list(): Promise<CatalogueEntry[]> {
    const ids = await this.ids();
    return Promise.all(
      ids.map(async (id): Promise<CatalogueEntry> => {
        try {
          return { id, manifest: await this.read(id) };
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
  async read(id: string): Promise<Manifest> {
    const file = this.manifestPath(id);
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new SwarmcutError('not-found', `there is no snapshot ${id}`, { advice: '`coordinator list` shows all' });
    }
    return parseManifest(text, id, file);
  }

  /**
   * The snapshot that the user means.
   * @param text a whole id, its beginning, `latest`, or `latest:<stack>`
   * @throws SwarmcutError `not-found` (with near ids), `usage` when the beginning fits several, `damaged`.
   */
  async resolve(text: string): Promise<Manifest> {
    return this.read(await this.resolveId(text));
  }

  /** As {@link resolve}, but of a damaged snapshot too (unless it is in the way of `latest`): it can be removed. */
  async resolveId(text: string): Promise<string> {
    if (text === 'latest' || text.startsWith('latest:')) return this.#latest(text.slice('latest:'.length));
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
      const manifest = await this.read(id);
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

function parseManifest(text: string, id: string, file: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(id, file, `it is not JSON: ${messageOf(cause)}`);
  }
  const version = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? 'manifest' : issue.path.join('.');
    throw damaged(
      id,
      file,
      field === 'schemaVersion'
        ? `its schema version ${JSON.stringify(version)} is not one that this swarmcut knows`
        : `field ${field}: ${issue?.message ?? 'invalid'}`,
    );
  }
  if (parsed.data.id !== id)
    throw damaged(id, file, `field id: says ${parsed.data.id}, but lies in the directory of ${id}`);
  return parsed.data;
}

function damaged(id: string, file: string, why: string): SwarmcutError {
  return new SwarmcutError('damaged', `snapshot ${id} is damaged: ${why}`, {
    where: { file },
    advice: `put the file back from a backup, or remove the snapshot with \`coordinator rm ${id}\``,
  });
}

function shortList(ids: readonly string[]): string {
  const shown = ids.slice(0, 5).join(', ');
  return ids.length > 5 ? `${shown} …` : shown;
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
