import { realpath } from 'node:fs/promises';
import { SwarmcutError } from '../../src/model/errors.ts';
import { poll } from '../../src/platform/deadlines.ts';
import { runProcess, run } from '../../src/platform/processes.ts';
import { mountsOf } from '../linux/mountinfo.ts';

/** Longest time in which somebody may still be busy there. Milliseconds. */
const WITHIN_MS = 10_000;

/** Milliseconds. */
const AGAIN_MS = 100;

const COMMAND_TIMEOUT_MS = 60_000;

/**
 * Removes a folder in which CRIU works, or has worked. A restore that is given up, or was killed, has the hierarchies of cgroups mounted there (`.criu.cgyard.*`): what is
 * mounted is unmounted, never removed, and file systems that come meanwhile are not entered.
 * @throws SwarmcutError `failed` when something of it is still there after a while
 */
export async function removeTree(path: string, withinMs = WITHIN_MS): Promise<void> {
  const folder = await realpath(path).catch(() => undefined);
  if (folder === undefined) return;
  let why = '';
  const removed = async (): Promise<true | undefined> => {
    const mounts = (await mountsOf('self')).filter(({ mountPoint }) => mountPoint.startsWith(`${folder}/`));
    // Whoever made one may undo it just now.
    for (const { mountPoint } of mounts.reverse()) await unmount(mountPoint).catch(() => undefined);
    const ended = await run(['rm', '-rf', '--one-file-system', '--', folder], { timeoutMs: COMMAND_TIMEOUT_MS });
    why = ended.stderr.trim();
    return ended.exitCode === 0 ? true : undefined;
  };
  if (await poll(removed, { timeoutMs: withinMs, intervalMs: AGAIN_MS })) return;
  throw new SwarmcutError('failed', `${folder} cannot be removed: ${why}`, {
    where: { file: folder },
    advice: '`coordinator check --repair` removes it when nobody uses it any more',
  });
}

/** Also of one that is in use: it is gone when nobody uses it any more. @throws SwarmcutError `failed` if nothing is mounted there */
export async function unmount(mountPoint: string): Promise<void> {
  await runProcess(['umount', '-l', mountPoint]);
}
