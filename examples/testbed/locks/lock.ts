/** A lock between processes, let go by the kernel whatever becomes of its holder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { TestbedError } from '../layout.ts';

/**
 * Runs `action` while holding an exclusive flock(2) on `file`, which is made if need be and stays.
 *
 * Node has no flock: a child of util-linux's `flock` holds it for as long as its standard input is open, that is, until we
 * close it or die.
 *
 * @param onWait called once if somebody else holds the lock, before waiting for it.
 * @throws TestbedError if the lock cannot be taken at all; whatever `action` throws.
 */
export async function withLock<T>(file: string, onWait: () => void, action: () => Promise<T>): Promise<T> {
  mkdirSync(path.dirname(file), { recursive: true });
  const holder = (await hold(file, true)) ?? (onWait(), await hold(file, false));
  if (holder === undefined) throw new TestbedError(`cannot lock ${file}: is util-linux's flock installed?`);
  try {
    return await action();
  } finally {
    const ended = once(holder, 'exit');
    holder.stdin.end();
    await ended;
  }
}

async function hold(file: string, tryOnly: boolean) {
  const flock = spawn('flock', [...(tryOnly ? ['--nonblock'] : []), file, 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Ctrl-C reaches the whole foreground group; the lock must outlive our own clean-up.
    detached: true,
  });
  const failed = new Promise<undefined>((resolve) => {
    flock.once('exit', () => {
      resolve(undefined);
    });
    flock.once('error', () => {
      resolve(undefined);
    });
  });
  const locked = once(flock.stdout, 'data').then(() => flock);
  return Promise.race([locked, failed]);
}
