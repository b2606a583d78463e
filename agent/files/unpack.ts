import { lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { VolumeFacts } from '../runtime/docker/containers.ts';
import { mountAt, mountsOf } from '../linux/mountinfo.ts';
import type { StagedPart } from './save.ts';
import { extractTar, tarEntries } from './tar.ts';
import { VolumeSwap } from './volume-swaps.ts';

/** Where the files of a checkpoint go: a container that waits in `create`. `WaitingFacts` is one. */
export interface UnpackTarget {
  /** The container's merged root; nothing is mounted in it yet. */
  readonly rootfs: string;
  readonly volumes: readonly Pick<VolumeFacts, 'key' | 'name' | 'source' | 'destination'>[];
  readonly shmSource: string | undefined;
}

export interface UnpackOptions {
  /** Names the directories beside volumes, so that two restores cannot meet. Letters and digits. */
  readonly restoreId: string;
  /** Directory for a small temporary file. */
  readonly workDir: string;
  readonly signal?: AbortSignal;
  /**
   * Sources of volumes that this restore has unpacked on this node already, added to by each call: tasks that share a volume must all find
   * the same files in it, and the first to come brings them.
   */
  readonly unpackedVolumes?: Set<string>;
}

export interface UnpackedFiles {
  /** Puts the former contents of the volumes back. The container's root is not undone: it goes away with the container. */
  undo(): Promise<void>;
  /** The volumes stay as they are now, also if this agent ends before {@link commit}. */
  seal(): Promise<void>;
  /** Deletes the former contents of the volumes. Only when whoever used them has ended. */
  commit(): Promise<void>;
}

/** @param unpackedVolumes forgets those that are put back */
export function unpackedFiles(swaps: VolumeSwap[], unpackedVolumes?: Set<string>): UnpackedFiles {
  return {
    async undo() {
      for (const swap of swaps.splice(0).reverse()) {
        await swap.undo();
        unpackedVolumes?.delete(swap.source);
      }
    },
    async seal() {
      for (const swap of swaps) await swap.seal();
    },
    async commit() {
      for (const swap of swaps.splice(0)) await swap.commit();
    },
  };
}

/**
 * Unpacks the saved files into a new container: the upper layer through its merged root (deletions deleted, opaque directories replaced),
 * the volumes beside their present contents and then swapped in by rename, so that an old task that is still frozen keeps its own.
 * @throws SwarmcutError `failed`, `damaged`, `precondition`, `interrupted`; volumes are put back then
 */
export async function unpackFiles(
  parts: Iterable<StagedPart> | AsyncIterable<StagedPart>,
  target: UnpackTarget,
  options: UnpackOptions,
): Promise<UnpackedFiles> {
  const swaps: VolumeSwap[] = [];
  const unpacked = unpackedFiles(swaps, options.unpackedVolumes);
  try {
    for await (const part of parts) {
      options.signal?.throwIfAborted();
      switch (part.kind) {
        case 'CRIU':
        case 'CHANNELS':
          break;
        case 'UPPER':
          await unpackUpper(part.file, target.rootfs, options);
          break;
        case 'VOLUME': {
          const swap = await unpackVolume(part, target, options);
          if (swap !== undefined) swaps.push(swap);
          break;
        }
        case 'SHM':
          if (target.shmSource === undefined) {
            throw new SwarmcutError(
              'failed',
              'the task was saved with a shared /dev/shm, but the new container has none',
              {
                advice: "is the engine's default-ipc-mode the same on both nodes?",
              },
            );
          }
          await extractTar(part.file, target.shmSource, { signal: options.signal });
          break;
      }
    }
  } catch (error) {
    await unpacked.undo();
    throw error;
  }
  return unpacked;
}

async function unpackUpper(file: string, rootfs: string, options: UnpackOptions): Promise<void> {
  const whiteouts: Buffer[] = [];
  for await (const entry of tarEntries(file)) {
    if (entry.name.length === 0) continue;
    options.signal?.throwIfAborted();
    for (const name of ['redirect', 'metacopy']) {
      if (entry.xattrs.includes(`trusted.overlay.${name}`)) {
        throw new SwarmcutError(
          'precondition',
          `/${entry.path} was saved with overlayfs' ${name} and cannot be unpacked`,
        );
      }
    }
    const present = await inside(rootfs, entry.name);
    const path = below(rootfs, entry.name);
    if (entry.kind === 'whiteout') {
      whiteouts.push(entry.name);
      if (present !== 'nothing') await rm(path, { recursive: true, force: true });
    } else if (entry.kind === 'directory') {
      if (present === 'other') await rm(path);
      else if (present === 'directory' && entry.xattrs.includes('trusted.overlay.opaque')) await empty(path);
    } else if (present === 'directory') {
      await rm(path, { recursive: true, force: true });
    }
  }
  if (whiteouts.some((name) => name.includes('\n'))) {
    throw new SwarmcutError(
      'failed',
      'a deleted file has a line break in its name, which tar cannot be told to leave out',
    );
  }
  await mkdir(options.workDir, { recursive: true, mode: 0o700 });
  const excludeFile = join(options.workDir, 'whiteouts');
  const excludePatterns = join(options.workDir, 'whiteout-patterns');
  const trimmed = whiteouts.filter(endsInBlank);
  await writeFile(excludeFile, lines(whiteouts), { mode: 0o600 });
  await writeFile(excludePatterns, lines(trimmed.map(asPattern)), { mode: 0o600 });
  try {
    await extractTar(file, rootfs, {
      excludeFile,
      ...(trimmed.length === 0 ? {} : { excludePatterns }),
      signal: options.signal,
    });
  } finally {
    await rm(excludeFile, { force: true });
    await rm(excludePatterns, { force: true });
  }
}

/** As they stand in an archive. */
function lines(names: readonly Buffer[]): Buffer {
  return Buffer.concat(names.flatMap((name) => [Buffer.from('./'), name, Buffer.from('\n')]));
}

/** GNU tar takes the blanks at the end of a line for no part of the name. */
function endsInBlank(name: Buffer): boolean {
  return /[ \t\v\f\r]$/.test(name.toString('latin1'));
}

/** A pattern (glob(7)) for this name alone, which does not end in a blank. */
function asPattern(name: Buffer): Buffer {
  const text = name.toString('latin1').replace(/[\\*?[\]]/g, '\\$&');
  return Buffer.from(`${text.slice(0, -1)}[${text.slice(-1)}]`, 'latin1');
}

/** Names are bytes in no particular encoding. */
function below(root: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), name]);
}

/**
 * What is at a path below a root whose symbolic links must not be followed: they would lead out of it, into this node's own files.
 * A path below anything but a directory counts as nothing: extracting its parents will replace what is there.
 */
async function inside(root: string, name: Buffer): Promise<'nothing' | 'directory' | 'other'> {
  let at = '';
  let found: 'nothing' | 'directory' | 'other' = 'directory';
  for (const word of name.toString('latin1').split('/')) {
    if (word === '..' || found !== 'directory') return 'nothing';
    at = at === '' ? word : `${at}/${word}`;
    try {
      found = (await lstat(below(root, Buffer.from(at, 'latin1')))).isDirectory() ? 'directory' : 'other';
    } catch {
      return 'nothing';
    }
  }
  return found;
}

async function empty(directory: Buffer): Promise<void> {
  for (const name of await readdir(directory, { encoding: 'buffer' })) {
    await rm(Buffer.concat([directory, Buffer.from('/'), name]), { recursive: true, force: true });
  }
}

async function unpackVolume(
  part: StagedPart,
  target: UnpackTarget,
  options: UnpackOptions,
): Promise<VolumeSwap | undefined> {
  const volume = target.volumes.find((candidate) => candidate.key === part.path);
  if (volume === undefined) {
    throw new SwarmcutError('failed', `the new container does not mount the saved volume ${part.path}`, {
      advice: 'restore with the service spec of the snapshot',
    });
  }
  const { source } = volume;
  if (options.unpackedVolumes?.has(source) === true) return undefined;
  if (mountAt(await mountsOf('self'), source) !== undefined) {
    throw new SwarmcutError('failed', `volume ${volume.name} is mounted from elsewhere on this node`, {
      where: { file: source },
    });
  }
  const swap = new VolumeSwap(source, options.restoreId);
  const fresh = await swap.begin();
  try {
    await extractTar(part.file, fresh, { signal: options.signal });
  } catch (error) {
    await swap.discard();
    throw error;
  }
  await swap.swap();
  options.unpackedVolumes?.add(source);
  return swap;
}
