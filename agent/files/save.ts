import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Part } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { ContainerFacts } from '../runtime/docker/containers.ts';
import { mountAt, mountsOf, type MountInfo } from '../linux/mountinfo.ts';
import { createTar, tarEntries } from './tar.ts';

/** A part of a checkpoint that lies in a file of the stage. */
export interface StagedPart {
  readonly kind: Part['kind'];
  /** See `Part` in proto/types.proto. For a volume: its key (`VolumeFacts.key`). */
  readonly path: string;
  readonly file: string;
}

export interface SavedFiles {
  readonly parts: readonly StagedPart[];
  /** What was not saved, in words for the user. */
  readonly notes: readonly string[];
}

/** What {@link saveFiles} needs to know of a container. */
export type FilesOf = Pick<ContainerFacts, 'pid' | 'upperDir' | 'volumes' | 'binds' | 'shm'>;

export interface SaveOptions {
  readonly signal?: AbortSignal;
  /** Also save the names that CRIU makes for files that are open under a deleted one. Default false. */
  readonly withCriuLinks?: boolean;
}

/** Path of the part that holds the writable layer, and of that which holds `/dev/shm`. */
const UPPER_PATH = 'upper';
const SHM_PATH = 'shm';

/** The engine mounts its own files over these in every container. */
const ENGINE_FILES = ['./etc/hosts', './etc/hostname', './etc/resolv.conf', './.dockerenv'];

/** Links that CRIU makes in the container's root for the time of a dump (`saveLinkRemaps` saves those that matter). */
const CRIU_LINKS = './*link_remap.[0-9]*';

/**
 * Saves the files of a frozen container into `targetDir`: its writable layer, as overlayfs has it; a tar for each volume of the
 * `local` driver; and `/dev/shm` if that lies outside its mount namespace. Bind mounts are noted, not saved.
 * @throws SwarmcutError `failed`, `interrupted`, `precondition` (an overlayfs feature whose layers mean nothing elsewhere)
 */
export async function saveFiles(facts: FilesOf, targetDir: string, options: SaveOptions = {}): Promise<SavedFiles> {
  const { signal } = options;
  const excludes = options.withCriuLinks === true ? [] : [CRIU_LINKS];
  await mkdir(targetDir, { recursive: true, mode: 0o700 });
  const notes = facts.binds.map((bind) => `${bind.destination} is a bind mount of ${bind.source}: not saved`);
  if (facts.shm.kind === 'foreign') notes.push('/dev/shm is shared with the node or another container: not saved');

  const mounts = await mountsOf('self');
  const jobs: (() => Promise<StagedPart>)[] = [
    () => saveUpper(facts.upperDir, join(targetDir, 'upper.tar'), mounts, { excludes, signal }),
  ];
  for (const [index, volume] of facts.volumes.entries()) {
    if (volume.driver !== 'local') {
      notes.push(`volume ${volume.name} (${volume.destination}) is of driver ${volume.driver}: not saved`);
    } else if (mountAt(mounts, volume.source) !== undefined) {
      // A `local` volume with options (NFS, a device): its contents are not this node's, and stay where they are.
      notes.push(`volume ${volume.name} (${volume.destination}) is mounted from elsewhere: not saved`);
    } else {
      jobs.push(async () => {
        const file = join(targetDir, `volume-${index}.tar`);
        const changed = await createTar(volume.source, file, { excludes, signal });
        if (changed.length > 0) {
          notes.push(
            `volume ${volume.name} (${volume.destination}) was written to by others meanwhile: ${changed.length} files`,
          );
        }
        return { kind: 'VOLUME', path: volume.key, file };
      });
    }
  }
  if (facts.shm.kind === 'outside') {
    const { source } = facts.shm;
    jobs.push(async () => {
      const file = join(targetDir, 'shm.tar');
      await createTar(source, file, { signal });
      return { kind: 'SHM', path: SHM_PATH, file };
    });
  }
  // All must have ended before anybody deletes the directory.
  const results = await Promise.allSettled(jobs.map((job) => job()));
  const parts = results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  return { parts, notes };
}

async function saveUpper(
  upperDir: string,
  file: string,
  mounts: readonly MountInfo[],
  options: { readonly excludes: readonly string[]; readonly signal: AbortSignal | undefined },
): Promise<StagedPart> {
  await createTar(upperDir, file, { ...options, excludes: [...ENGINE_FILES, ...options.excludes] });
  // Looking at every header costs time that the task is frozen, so it is done only where such layers can come to be.
  const overlay = mounts.find((mount) => mount.fsType === 'overlay' && mount.superOptions.get('upperdir') === upperDir);
  const mounted = overlay?.superOptions;
  if (mounted?.get('redirect_dir') === 'on' || mounted?.get('metacopy') === 'on') await checkUpper(file);
  return { kind: 'UPPER', path: UPPER_PATH, file };
}

/**
 * A directory renamed with `redirect_dir`, or a file changed in its metadata only with `metacopy`, names another layer's contents, which
 * a tar of the upper layer does not have.
 * @throws SwarmcutError `precondition`
 */
async function checkUpper(file: string): Promise<void> {
  for await (const entry of tarEntries(file)) {
    for (const name of ['redirect', 'metacopy']) {
      if (!entry.xattrs.includes(`trusted.overlay.${name}`)) continue;
      throw new SwarmcutError('precondition', `/${entry.path} uses overlayfs' ${name}, which cannot be saved`, {
        advice: `switch it off: echo N > /sys/module/overlay/parameters/${name === 'redirect' ? 'redirect_dir' : name}, and start the task again`,
      });
    }
  }
}
