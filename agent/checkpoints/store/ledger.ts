import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Directories } from '../../../src/model/paths.ts';
import { taskCheckpointSchema } from '../../../src/model/checkpoint.ts';
import type { TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { ID_PATTERN } from '../../../src/model/ids.ts';
import { taskKey } from '../../../src/model/task.ts';
import { syncDirectory, writeDurably } from '../../../src/platform/files.ts';
import type { PartStore } from './parts.ts';

const entrySchema = z.object({
  schemaVersion: z.literal(1),
  snapshotId: z.string(),
  stack: z.string(),
  /**
   * `open`: tasks are being saved. `tentative`: this node has saved all of its tasks. `permanent`: the coordinator has written the
   * manifest (Koo & Toueg 1987). What is not permanent when an agent starts belongs to a round that has died.
   */
  state: z.enum(['open', 'tentative', 'permanent']),
  /** By service and slot. */
  tasks: z.record(z.string(), taskCheckpointSchema),
});

/** What this node holds of one snapshot. */
export type LedgerEntry = z.infer<typeof entrySchema>;
export type SnapshotState = LedgerEntry['state'];

export interface LedgerSummary {
  readonly snapshotId: string;
  readonly stack: string;
  readonly state: SnapshotState;
  /** Of the different parts; parts that other snapshots have too count as well. */
  readonly sizeBytes: number;
  readonly tasks: number;
}

/**
 * Which snapshots this node has parts of: one file for each, `<state>/snapshots/<id>.json`, on disk before a call resolves. Parts that
 * no ledger names and nobody has pinned are deleted with the last snapshot that named them.
 */
export class Ledger {
  readonly #folder: string;
  readonly #store: PartStore;
  readonly #entries = new Map<string, LedgerEntry>();
  #damaged: string[] = [];
  /** Parts that could not leave the memory when it was their turn, for want of a copy on disk. */
  readonly #lingering = new Set<string>();
  /** Changes happen one after another: each reads what the one before has written. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directories: Pick<Directories, 'state'>, store: PartStore) {
    this.#folder = join(directories.state, 'snapshots');
    this.#store = store;
  }

  /**
   * Reads all ledgers and removes what a crash left: half-written files, and parts that nobody names. To be called once, after
   * `store.open()`. Files that cannot be read are put aside as `<id>.json.damaged` and reported; then nothing is swept, because what
   * they named is not known.
   * @returns the paths of damaged ledgers
   */
  async open(): Promise<readonly string[]> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      if (name.endsWith('.tmp')) await rm(path, { force: true });
      else if (name.endsWith('.damaged')) this.#damaged.push(path);
      else if (name.endsWith('.json')) await this.#load(path);
    }
    if (this.#damaged.length === 0) await this.#serially(async () => this.#sweep(await this.#store.list()));
    return this.#damaged;
  }

  async #load(path: string): Promise<void> {
    try {
      const entry = entrySchema.parse(JSON.parse(await readFile(path, 'utf8')));
      this.#entries.set(entry.snapshotId, entry);
    } catch {
      await rename(path, `${path}.damaged`);
      this.#damaged.push(`${path}.damaged`);
    }
  }

  /** Opens a snapshot. One that is known already is left as it is. */
  begin(snapshotId: string, stack: string): Promise<void> {
    return this.#serially(async () => {
      if (!ID_PATTERN.test(snapshotId)) throw new SwarmcutError('usage', `"${snapshotId}" is not a snapshot's id`);
      if (this.#entries.has(snapshotId)) return;
      await this.#write({ schemaVersion: 1, snapshotId, stack, state: 'open', tasks: {} });
    });
  }

  /**
   * Adds (or replaces) a task's checkpoint.
   * @param owner whose pins end now, because the ledger itself keeps the parts; one owner per task, or the parts of another task that
   *   is not recorded yet are swept
   * @throws SwarmcutError `not-found` if the snapshot was not begun
   */
  record(snapshotId: string, checkpoint: TaskCheckpoint, owner?: string): Promise<void> {
    return this.#serially(async () => {
      const entry = this.get(snapshotId);
      const parsed = taskCheckpointSchema.parse(checkpoint);
      await this.#write({ ...entry, tasks: { ...entry.tasks, [taskKey(parsed.task)]: parsed } });
      if (owner !== undefined) await this.#sweep(this.#store.unpin(owner));
    });
  }

  /** @throws SwarmcutError `not-found` if the snapshot was not begun */
  setState(snapshotId: string, state: SnapshotState): Promise<void> {
    return this.#serially(async () => {
      const entry = this.get(snapshotId);
      if (entry.state !== state) await this.#write({ ...entry, state });
    });
  }

  /** Forgets a snapshot and deletes the parts that nobody else needs. Unknown ones are no error. */
  remove(snapshotId: string): Promise<void> {
    return this.#serially(async () => {
      const entry = this.#entries.get(snapshotId);
      if (entry === undefined) return;
      // The ledger goes first: parts without a ledger are swept at the next start, a ledger without parts would be a lie.
      this.#entries.delete(snapshotId);
      await rm(this.#path(snapshotId), { force: true });
      await syncDirectory(this.#folder);
      await this.#sweep(hashesOf(entry));
    });
  }

  /** Ends an owner's pins and deletes those parts that nobody else needs. */
  release(owner: string): Promise<void> {
    return this.#serially(() => this.#sweep(this.#store.unpin(owner)));
  }

  /**
   * Parts that no snapshot names and nobody has pinned.
   * @returns also a ledger that cannot be read: what that names is among them
   */
  strays(): Promise<{ readonly hashes: readonly string[]; readonly unknown: string | undefined }> {
    return this.#serially(async () => {
      const needed = this.#needed();
      const hashes = [...(await this.#store.list())].filter(
        (sha256) => !needed.has(sha256) && !this.#store.isPinned(sha256),
      );
      return { hashes, unknown: this.#damaged[0] };
    });
  }

  /** Deletes those parts that nobody needs. */
  sweep(hashes: readonly string[]): Promise<void> {
    return this.#serially(() => this.#sweep(new Set(hashes)));
  }

  has(snapshotId: string): boolean {
    return this.#entries.has(snapshotId);
  }

  /** Whether this node has parts of a snapshot, or may have: its ledger cannot be read, until somebody puts it back. */
  mayHave(snapshotId: string): boolean {
    return this.has(snapshotId) || this.#damaged.includes(`${this.#path(snapshotId)}.damaged`);
  }

  /** @throws SwarmcutError `not-found` */
  get(snapshotId: string): LedgerEntry {
    const entry = this.#entries.get(snapshotId);
    if (entry === undefined) throw new SwarmcutError('not-found', `this node has nothing of snapshot ${snapshotId}`);
    return entry;
  }

  list(): LedgerSummary[] {
    return [...this.#entries.values()]
      .sort((a, b) => (a.snapshotId < b.snapshotId ? -1 : 1))
      .map((entry) => {
        const sizes = new Map(partsOf(entry).map((part) => [part.sha256, part.sizeBytes]));
        return {
          snapshotId: entry.snapshotId,
          stack: entry.stack,
          state: entry.state,
          sizeBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
          tasks: Object.keys(entry.tasks).length,
        };
      });
  }

  /** Deletes those of the candidates that no snapshot names and nobody has pinned; of the others, a second copy in memory. */
  async #sweep(candidates: ReadonlySet<string>): Promise<void> {
    const needed = this.#needed();
    for (const sha256 of new Set([...candidates, ...this.#lingering])) {
      this.#lingering.delete(sha256);
      if (this.#store.isPinned(sha256)) continue;
      if (!needed.has(sha256)) await this.#store.remove(sha256);
      // A migration has put it there; a snapshot has it on disk.
      else if (!(await this.#store.leaveMemory(sha256))) this.#lingering.add(sha256);
    }
  }

  #needed(): Set<string> {
    const needed = new Set<string>();
    for (const entry of this.#entries.values()) for (const sha256 of hashesOf(entry)) needed.add(sha256);
    return needed;
  }

  async #write(entry: LedgerEntry): Promise<void> {
    const path = this.#path(entry.snapshotId);
    try {
      await writeDurably(path, `${JSON.stringify(entry, undefined, 1)}\n`);
    } catch (error) {
      throw new SwarmcutError('failed', `cannot write ${path}: ${messageOf(error)}`, {
        where: { file: path },
        advice: `See that ${dirname(path)} is writable and the disk is not full.`,
        cause: error,
      });
    }
    this.#entries.set(entry.snapshotId, entry);
  }

  #path(snapshotId: string): string {
    return join(this.#folder, `${snapshotId}.json`);
  }

  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function partsOf(entry: LedgerEntry): TaskCheckpoint['parts'] {
  return Object.values(entry.tasks).flatMap((task) => task.parts);
}

function hashesOf(entry: LedgerEntry): Set<string> {
  return new Set(partsOf(entry).map((part) => part.sha256));
}
