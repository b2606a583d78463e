import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, normalize, isAbsolute } from 'node:path';
import type { Directories } from '../../../src/model/paths.ts';
import { isPath } from '../../../src/model/checkpoint.ts';
import type { Part } from '../../../src/model/checkpoint.ts';
import { excerpt, visible } from '../../../src/model/visible.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { concurrently } from './concurrently.ts';
import { didSome } from '../../../src/platform/activity.ts';
import { orDiskFull } from '../../../src/platform/disk-full.ts';
import { syncDirectory } from '../../../src/platform/files.ts';
import { sealFile } from '../../../src/storage/encryption/part-cipher.ts';
import type { PartSealing } from '../../../src/storage/encryption/part-sealing.ts';
import { promptCollection } from '../../transfer/prompt-collection.ts';
import { copyInPieces } from './copy.ts';
import { hashFile } from './hashing.ts';
import type { Hashed } from './hashing.ts';

export interface AdoptOptions {
  /** Keep it under the run folder (in memory), where it does not survive a reboot. Default: on disk, durably. */
  readonly memory?: boolean;
  /** Its hash, if somebody has just read the file as it is now. */
  readonly sha256?: string | undefined;
  /** Keeps the part from being swept until {@link PartStore.unpin} of the same owner, or until a ledger names it. */
  readonly owner?: string;
}

/** A part that was taken over. */
export interface Adopted extends Hashed {
  /** If it was encrypted: its key, wrapped. */
  readonly wrappedKey?: string;
}

/** Folder for what is being written. Nothing in it outlives the agent that wrote it. */
const INCOMING = 'incoming';
const SHA256 = /^[0-9a-f]{64}$/;
/** Files that are linked, copied or hashed at the same time: enough to keep a disk busy, few enough to leave the CPUs alone. */
const PARALLEL = 4;
/** Files written to disk beside other work: half of Node's threads, so that those who read do not wait for the disk. */
const PARALLEL_WRITES = 2;

/**
 * The parts of all checkpoints on this node, by the SHA-256 of their contents: `<state>/parts/ab/<sha256>` on disk, and
 * `<run>/parts/ab/<sha256>` in memory. Who refers to a part is not known here (ledger.ts), but what is being worked with: *pins*.
 */
export class PartStore {
  readonly #disk: string;
  readonly #memory: string;
  readonly #pins = new Map<string, Set<string>>();
  #written = 0;

  constructor(directories: Pick<Directories, 'state' | 'run'>) {
    this.#disk = join(directories.state, 'parts');
    this.#memory = join(directories.run, 'parts');
  }

  /** Makes the folders and removes what a crash left half written. To be called once, before anything else. */
  async open(): Promise<void> {
    for (const base of [this.#disk, this.#memory]) {
      await mkdir(base, { recursive: true, mode: 0o700 });
      await chmod(base, 0o700);
      await rm(join(base, INCOMING), { recursive: true, force: true });
      await mkdir(join(base, INCOMING), { mode: 0o700 });
    }
  }

  /**
   * Takes a file over: it is moved, not copied, where the file system allows. The file is gone afterwards. On disk, the part has
   * reached the platter when this resolves.
   * @throws DiskFullError when there is no room; the file is then still there
   */
  adopt(file: string, options: AdoptOptions = {}): Promise<Hashed> {
    const base = options.memory === true ? this.#memory : this.#disk;
    return orDiskFull(base, () => this.#adopt(file, base, options));
  }

  async #adopt(file: string, base: string, options: AdoptOptions): Promise<Hashed> {
    const sameDevice = (await stat(file)).dev === (await stat(base)).dev;
    if (sameDevice) {
      const hashed = await hashedAs(file, options.sha256);
      this.#pin(options.owner, hashed.sha256);
      if (await this.#moveIn(file, base, hashed.sha256)) return hashed;
    }
    const temporary = await this.temporaryFile(options);
    try {
      const hashed = await hashFile(file, temporary.handle);
      await temporary.commit(hashed.sha256);
      await rm(file);
      return hashed;
    } catch (error) {
      await temporary.discard();
      throw error;
    }
  }

  /**
   * As {@link adopt}, but what comes into the store is encrypted; hash and size are those of the encrypted bytes. The same content under the same content key gives
   * the same part.
   */
  adoptSealed(file: string, sealing: PartSealing, options: AdoptOptions = {}): Promise<Adopted> {
    const base = options.memory === true ? this.#memory : this.#disk;
    return orDiskFull(base, () => this.#adoptSealed(file, sealing, options));
  }

  async #adoptSealed(file: string, sealing: PartSealing, options: AdoptOptions): Promise<Adopted> {
    using _collection = promptCollection();
    // Twice over the file: the key comes from all of it. It lies in memory.
    const plain = await hashedAs(file, options.sha256);
    const key = sealing.keyOf(plain.sha256);
    const temporary = await this.temporaryFile(options);
    try {
      const sealed = await sealFile(file, plain.sizeBytes, key, (bytes) => temporary.handle.writeFile(bytes));
      await temporary.commit(sealed.sha256);
      await rm(file);
      return { ...sealed, wrappedKey: sealing.wrap(key, sealed.sha256) };
    } catch (error) {
      await temporary.discard();
      throw error;
    }
  }

  /** A file to write a part of yet unknown or unproved contents into. Either `commit` or `discard` must be called. */
  async temporaryFile(options: AdoptOptions = {}): Promise<TemporaryPart> {
    const base = options.memory === true ? this.#memory : this.#disk;
    const path = join(base, INCOMING, `${process.pid}-${++this.#written}`);
    const handle = await orDiskFull(base, () => open(path, 'wx', 0o600));
    let closed = false;
    const close = async (): Promise<void> => {
      if (!closed) await handle.close();
      closed = true;
    };
    return {
      handle,
      path,
      writeAt: (data, position) => orDiskFull(base, () => writeAll(handle, data, position)),
      write: (data) => orDiskFull(base, () => handle.writeFile(data)),
      commit: async (sha256) => {
        await close();
        this.#pin(options.owner, sha256);
        await orDiskFull(base, () => this.#moveIn(path, base, sha256));
      },
      discard: async () => {
        await close();
        await rm(path, { force: true });
      },
    };
  }

  /** Renames a file whose hash is known into its place. False if it lies on another file system after all (overlays). */
  async #moveIn(file: string, base: string, sha256: string): Promise<boolean> {
    const target = place(base, sha256);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    if (base === this.#disk) {
      const handle = await open(file, 'r');
      await handle.sync().finally(() => handle.close());
    }
    try {
      // Also when it is there already: what was just hashed is known to be right.
      await rename(file, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false;
      throw error;
    }
    await chmod(target, 0o600);
    if (base === this.#disk) await syncDirectory(dirname(target));
    return true;
  }

  /**
   * Writes parts that are only in memory to disk, too. When this resolves they have reached the platter; those in memory stay where they are.
   * @returns bytes written
   * @throws SwarmcutError `damaged` if one is not here at all; DiskFullError
   */
  persist(hashes: Iterable<string>): Promise<number> {
    return orDiskFull(this.#disk, () => this.#persist(hashes));
  }

  async #persist(hashes: Iterable<string>): Promise<number> {
    const copies: { sha256: string; path: string; sizeBytes: number }[] = [];
    try {
      await concurrently([...new Set(hashes)], PARALLEL_WRITES, async (sha256) => {
        const { path: source, sizeBytes } = await this.#findOrFail(sha256);
        if (source === place(this.#disk, sha256) || (await isFile(place(this.#disk, sha256), sizeBytes))) return;
        const path = join(this.#disk, INCOMING, `${process.pid}-${++this.#written}`);
        copies.push({ sha256, path, sizeBytes });
        await copyInPieces(source, path);
      });
      // All written before the first is waited for, so that the disk gets them together.
      await concurrently(copies, PARALLEL_WRITES, async ({ path }) => {
        const handle = await open(path, 'r+');
        await handle.sync().finally(() => handle.close());
        didSome();
      });
      const folders = new Set(copies.map(({ sha256 }) => dirname(place(this.#disk, sha256))));
      await concurrently([...folders], PARALLEL_WRITES, async (folder) => {
        await mkdir(folder, { recursive: true, mode: 0o700 });
      });
      await concurrently(copies, PARALLEL_WRITES, async ({ sha256, path }) => {
        await chmod(path, 0o600);
        await rename(path, place(this.#disk, sha256));
      });
      await concurrently([...folders], PARALLEL_WRITES, syncDirectory);
      if (folders.size > 0) await syncDirectory(this.#disk);
    } catch (error) {
      await Promise.all(copies.map(({ path }) => rm(path, { force: true })));
      throw error;
    }
    return copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.find(sha256)) !== undefined;
  }

  /** Where a part lies (in memory, if both), and its size; undefined if it is not here. */
  async find(sha256: string): Promise<{ path: string; sizeBytes: number } | undefined> {
    for (const base of [this.#memory, this.#disk]) {
      const path = place(base, sha256);
      try {
        return { path, sizeBytes: (await stat(path)).size };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    return undefined;
  }

  /** Where a part lies. @throws SwarmcutError `damaged` if it is not here */
  async path(sha256: string): Promise<string> {
    return (await this.#findOrFail(sha256)).path;
  }

  async #findOrFail(sha256: string): Promise<{ path: string; sizeBytes: number }> {
    const found = await this.find(sha256);
    if (found !== undefined) return found;
    throw new SwarmcutError('damaged', `part ${sha256} is missing on this node`, {
      advice: 'See `coordinator verify` for what else is missing; the snapshot cannot be restored from this node.',
    });
  }

  /**
   * Puts parts under their paths into a folder, as hard links where possible: they must not be written to.
   * @param elsewhere where one lies that is not in the store yet
   * @throws SwarmcutError `damaged` if one is missing, or its path leads out of the folder or is none; DiskFullError
   */
  materialize(
    parts: readonly Pick<Part, 'path' | 'sha256'>[],
    folder: string,
    elsewhere: (sha256: string) => string | undefined = () => undefined,
  ): Promise<void> {
    return orDiskFull(folder, () => this.#materialize(parts, folder, elsewhere));
  }

  async #materialize(
    parts: readonly Pick<Part, 'path' | 'sha256'>[],
    folder: string,
    elsewhere: (sha256: string) => string | undefined,
  ): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await concurrently(parts, PARALLEL, async ({ path, sha256 }) => {
      const target = pathInside(folder, { path, sha256 });
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await rm(target, { force: true });
      const source = elsewhere(sha256) ?? (await this.path(sha256));
      try {
        await link(source, target);
      } catch (error) {
        if (!['EXDEV', 'EPERM', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        await copyFile(source, target, constants.COPYFILE_FICLONE);
      }
    });
  }

  /** Reads a part again. Says what is wrong with it (`missing`, `has another hash: …`), or undefined. */
  async verify(sha256: string, signal?: AbortSignal): Promise<string | undefined> {
    const found = await this.find(sha256);
    if (found === undefined) return 'missing';
    const actual = await hashFile(found.path, undefined, signal);
    return actual.sha256 === sha256 ? undefined : `has another hash: ${actual.sha256}`;
  }

  /** Deletes a part, wherever it lies. One that is not here is no error. */
  async remove(sha256: string): Promise<void> {
    await rm(place(this.#memory, sha256), { force: true });
    await rm(place(this.#disk, sha256), { force: true });
  }

  /**
   * Deletes a part from memory if it is on disk, too: whoever had it in memory does not need it any more.
   * @returns whether it is not in memory
   */
  async leaveMemory(sha256: string): Promise<boolean> {
    const inMemory = await stat(place(this.#memory, sha256)).catch(() => undefined);
    if (inMemory === undefined) return true;
    if (!(await isFile(place(this.#disk, sha256), inMemory.size))) return false;
    await rm(place(this.#memory, sha256), { force: true });
    return true;
  }

  /** The hashes of all parts here. */
  async list(): Promise<Set<string>> {
    const all = new Set<string>();
    for (const base of [this.#disk, this.#memory]) {
      for (const folder of await readdir(base)) {
        for (const name of await readdir(join(base, folder))) if (SHA256.test(name)) all.add(name);
      }
    }
    return all;
  }

  /** Keeps parts, also ones that are not here yet, from being swept. */
  pin(owner: string, hashes: Iterable<string>): void {
    for (const sha256 of hashes) this.#pin(owner, sha256);
  }

  /** Ends all pins of an owner and says what they were. */
  unpin(owner: string): ReadonlySet<string> {
    const pins = this.#pins.get(owner) ?? new Set();
    this.#pins.delete(owner);
    return pins;
  }

  isPinned(sha256: string): boolean {
    for (const pins of this.#pins.values()) if (pins.has(sha256)) return true;
    return false;
  }

  #pin(owner: string | undefined, sha256: string): void {
    if (owner === undefined) return;
    const pins = this.#pins.get(owner);
    if (pins === undefined) this.#pins.set(owner, new Set([sha256]));
    else pins.add(sha256);
  }
}

/** A part that is being written. */
export interface TemporaryPart {
  readonly handle: FileHandle;
  /** Where it lies until it becomes a part. */
  readonly path: string;
  /** @param position in the file, bytes @throws DiskFullError when there is no room */
  writeAt(data: Uint8Array, position: number): Promise<void>;
  /** Appends. @throws DiskFullError when there is no room */
  write(data: Uint8Array): Promise<void>;
  /** The contents have this hash, which the caller has checked: it becomes a part. */
  commit(sha256: string): Promise<void>;
  /** Also after a failed `commit`. */
  discard(): Promise<void>;
}

/** Where a part comes in a folder. @throws SwarmcutError `damaged` when that would be outside */
export function pathInside(folder: string, { path, sha256 }: Pick<Part, 'path' | 'sha256'>): string {
  const inside = normalize(path);
  if (!isAbsolute(inside) && !inside.startsWith('..') && inside !== '.' && isPath(path)) return join(folder, inside);
  throw new SwarmcutError(
    'damaged',
    `part ${sha256} claims the path ${visible(path)}, which is none inside its folder`,
  );
}

async function writeAll(handle: FileHandle, data: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < data.length;) {
    const { bytesWritten } = await handle.write(data, at, data.length - at, position + at);
    at += bytesWritten;
  }
}

async function hashedAs(file: string, sha256: string | undefined): Promise<Hashed> {
  return sha256 === undefined ? hashFile(file) : { sha256, sizeBytes: (await stat(file)).size };
}

async function isFile(path: string, sizeBytes: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === sizeBytes;
}

function place(base: string, sha256: string): string {
  if (!SHA256.test(sha256)) throw new SwarmcutError('usage', `"${excerpt(sha256)}" is not a SHA-256 in lower-case hex`);
  return join(base, sha256.slice(0, 2), sha256);
}
