import { open, readFile, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError } from '../model/errors.ts';
import { tryLockFile } from '../platform/libc/flock.ts';
import { PRIVATE_FILE_MODE, ensureDirectory } from '../platform/files.ts';

/** What a lock file says about who has it. Only for people: the lock itself is the kernel's. */
const holderSchema = z.object({
  pid: z.number().int(),
  /** `snapshot`, `restore`, `migrate` … */
  command: z.string(),
  /** Id of the snapshot, restore or migration. */
  id: z.string(),
  /** ISO 8601. */
  since: z.string(),
});
export type LockHolder = z.infer<typeof holderSchema>;

/** A lock that is held until released, or until this process ends in whatever way. */
export interface StackLock extends AsyncDisposable {
  /** Gives the lock back. Again: no effect. */
  release(): Promise<void>;
}

/**
 * Makes sure that only one command works on a stack at a time: `<run>/locks/<stack>.lock`, locked with flock(2). A file that a killed
 * process has left behind is simply taken over, since the kernel gave up its lock.
 * @throws SwarmcutError `conflict`, naming the command that runs, its id, and since when.
 */
export async function acquireStackLock(
  runDirectory: string,
  stack: string,
  work: { readonly command: string; readonly id: string; /** Default: now. */ readonly now?: Date },
): Promise<StackLock> {
  const directory = join(runDirectory, 'locks');
  await ensureDirectory(directory);
  // Stack names are plain, but this one may come from a typing error.
  const path = join(directory, `${encodeURIComponent(stack)}.lock`);
  // For appending: opening must not empty the file of somebody who has the lock.
  const file = await open(path, 'a', PRIVATE_FILE_MODE);
  try {
    if (!tryLockFile(file.fd)) throw conflict(stack, path, await readHolder(path));
    const holder: LockHolder = {
      pid: process.pid,
      command: work.command,
      id: work.id,
      since: (work.now ?? new Date()).toISOString(),
    };
    await file.truncate(0);
    await file.write(`${JSON.stringify(holder)}\n`);
  } catch (error) {
    await file.close();
    throw error;
  }
  return releaseOnce(file);
}

/** What a lock file says, looked at from outside. */
export interface SeenLock {
  readonly stack: string;
  readonly file: string;
  /** Some process has it now. */
  readonly held: boolean;
  /** Who has it, or, when nobody does, who had it and ended without giving it back. */
  readonly holder: LockHolder | undefined;
}

/** All locks that are held, or were left by processes that are no more. Changes nothing. */
export async function readStackLocks(runDirectory: string): Promise<SeenLock[]> {
  const directory = join(runDirectory, 'locks');
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.lock')).sort();
  const seen = await Promise.all(
    names.map(async (name): Promise<SeenLock> => {
      const path = join(directory, name);
      const stack = decodeURIComponent(name.slice(0, -'.lock'.length));
      const holder = await readHolder(path);
      const file = await open(path, 'r');
      try {
        return { stack, file: path, held: !tryLockFile(file.fd), holder };
      } finally {
        await file.close();
      }
    }),
  );
  return seen.filter(({ held, holder }) => held || holder !== undefined);
}

/** The file stays, empty: removing it would let two commands lock two files of the same name. */
function releaseOnce(file: FileHandle): StackLock {
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => {
    released ??= file.truncate(0).finally(() => file.close());
    return released;
  };
  return { release, [Symbol.asyncDispose]: release };
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // It has just been taken or is just being given back: the refusal stands, only its details are missing.
    return undefined;
  }
}

/** Who is at work on a stack, in words. */
export function holderText(stack: string, holder: LockHolder | undefined): string {
  return holder === undefined
    ? `another command is at work on stack ${stack}`
    : `a ${holder.command} (id ${holder.id}) of stack ${stack} has been running since ${holder.since} (process ${holder.pid})`;
}

function conflict(stack: string, file: string, holder: LockHolder | undefined): SwarmcutError {
  return new SwarmcutError('conflict', holderText(stack, holder), {
    where: { stack, file },
    advice: 'wait for it to end, or end it with Ctrl-C: it then puts everything back',
  });
}
