import { realpath } from 'node:fs/promises';
import { SwarmcutError } from '../../src/model/errors.ts';
import { pause } from '../../src/platform/deadlines.ts';
import { run } from '../../src/platform/processes.ts';
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
  const until = performance.now() + withinMs;
  for (;;) {
    const mounts = (await mountsOf('self')).filter(({ mountPoint }) => mountPoint.startsWith(`${folder}/`));
    for (const { mountPoint } of mounts.reverse())
      await run(['umount', '-l', mountPoint], { timeoutMs: COMMAND_TIMEOUT_MS });
    const ended = await run(['rm', '-rf', '--one-file-system', '--', folder], { timeoutMs: COMMAND_TIMEOUT_MS });
    if (ended.exitCode === 0) return;
    if (performance.now() > until)
      throw new SwarmcutError('failed', `${folder} cannot be removed: ${ended.stderr.trim()}`, {
        where: { file: folder },
        advice: '`coordinator check --repair` removes it when nobody uses it any more',
      });
    await pause(AGAIN_MS);
  }
}
