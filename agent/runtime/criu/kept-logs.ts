import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PRIVATE_FILE_MODE, ensureDirectory } from '../../../src/platform/files.ts';

/** How many logs of failures are kept; the oldest goes when another one comes. */
const KEPT = 20;

/** How much of a log is kept, from its end: that is where the reason stands. Bytes. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Where an agent keeps CRIU's logs of failures: the work directories go when the round or the restore is over. */
export function keptLogsFolder(stateDirectory: string): string {
  return join(stateDirectory, 'log', 'criu');
}

/**
 * Keeps the log of a dump or restore that failed.
 * @param log CRIU's own, in its work directory
 * @param name the new one's: begins with the time, so that names sort by it
 * @returns where it is now, or undefined when there is none or it cannot be kept (then the failure itself is still to be told)
 */
export async function keepLog(log: string, folder: string, name: string): Promise<string | undefined> {
  const kept = join(folder, name);
  try {
    await using source = await open(log, 'r');
    await ensureDirectory(folder);
    await using target = await open(kept, 'w', PRIVATE_FILE_MODE);
    const { size } = await source.stat();
    const start = Math.max(0, size - MAX_BYTES);
    if (start > 0) await target.write(`(${start} bytes before this are left out)\n`);
    for await (const chunk of source.createReadStream({ start, autoClose: false }) as AsyncIterable<Buffer>)
      await target.writeFile(chunk);
    const old = (await readdir(folder)).sort().slice(0, -KEPT);
    for (const each of old) await rm(join(folder, each), { force: true });
    return kept;
  } catch {
    return undefined;
  }
}
