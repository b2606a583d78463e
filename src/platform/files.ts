import { randomBytes } from 'node:crypto';
import { access, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, basename } from 'node:path';
import { orDiskFull } from './disk-full.ts';

/** Small things about files that several programs need. */

/** Mode of every directory that swarmcut makes for itself: images and keys are nobody else's business. */
export const PRIVATE_DIRECTORY_MODE = 0o700;
/** Mode of every file that swarmcut writes for itself. */
export const PRIVATE_FILE_MODE = 0o600;

/** Makes a directory and those above it, for the owner only. Directories that exist keep their mode. */
export async function ensureDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(directory) === directory) throw error;
    // Node says so also where the file system has no room for the directory: the plain call gives the true reason.
    await ensureDirectory(dirname(directory));
    await mkdir(directory, { mode: PRIVATE_DIRECTORY_MODE });
  }
}

/**
 * Replaces a file so that after a power cut there is either the old or the new content, never a part: temporary file in the same
 * directory, fsync, rename, fsync of the directory. Makes the directory if need be.
 * @throws DiskFullError, or the system's error of the step that failed; the old content is then still there.
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  mode: number = PRIVATE_FILE_MODE,
): Promise<void> {
  await orDiskFull(dirname(path), () => replace(path, content, mode));
}

async function replace(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const directory = dirname(path);
  await ensureDirectory(directory);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/**
 * Replaces a file so that whoever reads it finds the old or the new content, never a part. Not more: after a power cut it may be empty. For
 * what lies in memory or can be made again; else {@link writeDurably}. The directory must be there.
 * @throws DiskFullError, or the system's error; the old content is then still there
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  mode: number = PRIVATE_FILE_MODE,
): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await orDiskFull(dirname(path), () => writeFile(temporary, content, { mode }));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Whether there is something, of whatever kind, that we may look at. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Makes renames and removals in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
