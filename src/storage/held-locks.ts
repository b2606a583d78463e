import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../platform/files.ts';

/** An operation on a stack that is under way on this machine. */
export interface HeldLock {
  readonly stack: string;
  readonly command: string;
  readonly id: string;
}

/**
 * What is under way, as the lock files say (locks.ts). Only read: trying the locks themselves could make somebody else's attempt fail.
 * What a killed process has left in its file does not count.
 */
export async function heldLocks(runDirectory: string): Promise<HeldLock[]> {
  const folder = join(runDirectory, 'locks');
  const names = await readdir(folder).catch(() => [] as string[]);
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith('.lock'))
      .map(async (name): Promise<HeldLock | undefined> => {
        const text = await readFile(join(folder, name), 'utf8').catch(() => '');
        if (text === '') return undefined;
        try {
          const { pid, command, id } = JSON.parse(text) as { pid: number; command: string; id: string };
          if (pid === process.pid || !(await exists(`/proc/${pid}`))) return undefined;
          return { stack: decodeURIComponent(name.slice(0, -'.lock'.length)), command, id };
        } catch {
          return undefined;
        }
      }),
  );
  return found.filter((lock) => lock !== undefined);
}
