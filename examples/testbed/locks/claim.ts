/** Which run works with a bed: a second one must not take it away from under it. */
import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ensureDirectory } from '../../../src/platform/files.ts';
import { tryLockFile } from '../../../src/platform/libc/flock.ts';
import { statFields } from '../hosts.ts';
import { TestbedError, bedName, paths } from '../layout.ts';
import type { BedOptions } from '../layout.ts';

const holderSchema = z.object({
  pid: z.number().int(),
  /** Clock ticks since boot: tells the process from a later one with the same pid. */
  start: z.string(),
  /** For people: what it is doing there. */
  what: z.string(),
  /** ISO 8601. */
  since: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

/** Not only for the caller, who may not keep what it gets: a file that nobody refers to is closed, and its lock is gone. */
const held = new Set<FileHandle>();

/** A bed that this process has for itself until it lets go of it, or ends in whatever way. */
export interface Claim extends AsyncDisposable {
  /** Gives the bed back, as it is. Again: no effect. */
  release(): Promise<void>;
}

/**
 * Takes a bed for one run. From now on `up` and `down` of that bed are refused to every process but this one and its descendants, and so is
 * another claim. A bed whose run has died is free: the lock is the kernel's.
 *
 * @param what for those who are refused: `npm run demo`
 * @throws TestbedError naming the process that has it.
 */
export async function claimBed(options: BedOptions, what: string): Promise<Claim> {
  const bed = bedName(options);
  const file = await openLocked(bed);
  held.add(file);
  const stat = await statFields(process.pid);
  const holder: Holder = { pid: process.pid, start: stat?.start ?? '', what, since: new Date().toISOString() };
  await file.truncate(0);
  await file.write(`${JSON.stringify(holder)}\n`);
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => {
    // The file stays, empty: removing it would let two runs lock two files of the same name.
    released ??= file.truncate(0).finally(() => {
      held.delete(file);
      return file.close();
    });
    return released;
  };
  return { release, [Symbol.asyncDispose]: release };
}

async function openLocked(bed: string): Promise<FileHandle> {
  const name = paths.owner(bed);
  await ensureDirectory(path.dirname(name));
  // For appending: opening must not empty the file of somebody who has the lock.
  const file = await open(name, 'a', 0o600);
  if (tryLockFile(file.fd)) return file;
  await file.close();
  throw taken(bed, await readHolder(bed));
}

/**
 * @throws TestbedError if a run that is alive has the bed, unless this process belongs to it.
 */
export async function refuseClaimed(bed: string): Promise<void> {
  const holder = await readHolder(bed);
  if (holder === undefined || !(await isAlive(holder)) || (await belongsTo(holder.pid))) return;
  throw taken(bed, holder);
}

async function readHolder(bed: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(paths.owner(bed), 'utf8')));
  } catch {
    // Nobody has it; or it has just been taken, or is just being given back.
    return undefined;
  }
}

async function isAlive({ pid, start }: Holder): Promise<boolean> {
  const found = await statFields(pid);
  return found?.start === start && found.state !== 'Z';
}

/** Whether this process is that one or descends from it. */
async function belongsTo(ancestor: number): Promise<boolean> {
  for (let pid: number | undefined = process.pid; pid !== undefined && pid > 0; pid = (await statFields(pid))?.parent)
    if (pid === ancestor) return true;
  return false;
}

function taken(bed: string, holder: Holder | undefined): TestbedError {
  const who =
    holder === undefined ? 'another process' : `process ${holder.pid} (${holder.what}), since ${holder.since}`;
  return new TestbedError(
    `test bed '${bed}' is in use by ${who}: wait for its end, or take a bed of another name (SWARMCUT_BED=<name>, or --name)`,
  );
}
