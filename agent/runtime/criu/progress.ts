import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from '../../../src/platform/deadlines.ts';
import { megabytes } from '../../../src/model/size.ts';

/** Longest piece of a log that is read for its last line. Bytes. */
const TAIL_BYTES = 512;

/**
 * How far a dump is that is under way: what lies in its folders, and the last that CRIU has logged.
 * @param expectedBytes of the images, about
 */
export async function dumpProgress(
  { imageDir, workDir, filesDir }: { readonly imageDir: string; readonly workDir: string; readonly filesDir: string },
  expectedBytes: number,
): Promise<Progress> {
  const [images, files, log] = await Promise.all([
    bytesIn(imageDir),
    bytesIn(filesDir),
    logEnd(join(workDir, 'dump.log')),
  ]);
  const criu = `CRIU has written ${megabytes(images)} of some ${megabytes(expectedBytes)}`;
  return {
    doing: [criu, ...(files === 0 ? [] : [`${megabytes(files)} of files are saved`]), ...log.lines].join(', '),
    mark: `${images}/${files}/${log.bytes}`,
  };
}

/** How far a restore is that is under way. */
export async function restoreProgress(workDir: string): Promise<Progress> {
  const { bytes, lines } = await logEnd(join(workDir, 'restore.log'));
  return { doing: ['CRIU restores', ...lines].join(', '), mark: String(bytes) };
}

/** 0 if it is not there (yet, or any more). */
async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** @returns the log's size, and its last whole line if there is one */
async function logEnd(path: string): Promise<{ readonly bytes: number; readonly lines: readonly string[] }> {
  try {
    await using file = await open(path);
    const { size: bytes } = await file.stat();
    const length = Math.min(bytes, TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, bytes - length);
    const last = buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').at(-1) ?? '';
    const line = last.replace(/^\(\d+\.\d+\)\s*/, '').trim();
    return { bytes, lines: line === '' ? [] : [`its last words: ${line}`] };
  } catch {
    return { bytes: 0, lines: [] };
  }
}
