import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SwarmcutError } from '../model/errors.ts';

/** `f_type` of tmpfs and ramfs: statfs(2). */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);

/** No room for a write: `precondition`, with the file system, what is free on it, and what to do. The system's error is its cause. */
export class DiskFullError extends SwarmcutError {}

/**
 * Runs what writes below `path`.
 * @throws DiskFullError in place of the system's bare ENOSPC or EDQUOT; every other error as it is
 */
export async function orDiskFull<Result>(path: string, write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    throw await diskFull(path, code, error);
  }
}

async function diskFull(path: string, code: 'ENOSPC' | 'EDQUOT', cause: unknown): Promise<DiskFullError> {
  const mount = await mountPoint(path);
  const { type, bsize, bavail, blocks, ffree, files } = await statfs(mount);
  const inMemory = MEMORY_FILE_SYSTEMS.has(type);
  const free =
    code === 'ENOSPC' && files > 0 && ffree === 0
      ? `none of its ${files} inodes is free`
      : `${megabytes(bavail * bsize)} of ${megabytes(blocks * bsize)} are free`;
  const what = code === 'EDQUOT' ? 'the quota is used up on' : 'there is no room on';
  return new DiskFullError('precondition', `${what} the file system of ${path} (mounted at ${mount}): ${free}`, {
    where: { file: path },
    advice: inMemory
      ? `it lies in memory: remove what is not needed there, or mount a larger one (\`mount -o remount,size=… ${mount}\`)`
      : 'remove old snapshots (`coordinator rm --older-than 7d`), or move the directory to a larger file system (--state-dir, --run-dir)',
    cause,
  });
}

/** Whether a directory lies in memory: in a tmpfs or ramfs. */
export async function isInMemory(directory: string): Promise<boolean> {
  return MEMORY_FILE_SYSTEMS.has((await statfs(directory)).type);
}

/** The topmost directory of the same device. A path that does not exist (yet) is looked for from its first existing parent. */
async function mountPoint(path: string): Promise<string> {
  const device = async (file: string): Promise<number | undefined> =>
    stat(file).then(
      ({ dev }) => dev,
      () => undefined,
    );
  let at = path;
  while ((await device(at)) === undefined && dirname(at) !== at) at = dirname(at);
  const own = await device(at);
  while (dirname(at) !== at && (await device(dirname(at))) === own) at = dirname(at);
  return at;
}

/** Three digits at most are of interest, but a bare 0 only where there is nothing. */
function megabytes(bytes: number): string {
  return `${bytes === 0 ? 0 : (bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}
