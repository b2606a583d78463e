import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/model/errors.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { findDeadmen } from '../runtime/criu/deadman.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import type { Journal } from './journal.ts';

/**
 * Lets go of every task that an agent of this node blocked or froze: unblock, thaw, call the dead man's switch off, throw the stage away.
 * For an agent that starts, and for one that stops. Goes on past errors: the switches stay armed for what could not be done.
 */
export async function recoverTasks(directories: Directories, journal: Journal, log: Logger): Promise<void> {
  const deadmen = await findDeadmen(directories.run);
  for (const { containerId, pid, owner, stageDir } of await journal.entries()) {
    try {
      const interceptor = new KernelInterceptor({ netns: `/proc/${pid}/ns/net` });
      await interceptor.unblock();
      await thaw(containerId);
      await interceptor.recover();
      for (const deadman of deadmen) if (deadman.containerId === containerId) await deadman.cancel();
      if (stageDir !== undefined) await rm(stageDir, { recursive: true, force: true });
      await journal.forget(containerId);
      log.warn({ containerId, owner }, 'let go of a task that an earlier agent blocked');
    } catch (error) {
      log.error(
        { containerId, owner, reason: messageOf(error) },
        "cannot let go of a task; its dead man's switch will",
      );
    }
  }
  for (const base of [directories.run, directories.state]) {
    await rm(join(base, 'stage'), { recursive: true, force: true });
    await rm(join(base, 'restore'), { recursive: true, force: true });
  }
}

async function thaw(containerId: string): Promise<void> {
  const root = await findRuncRoot(containerId).catch(() => undefined);
  // A container that runc does not know has ended.
  if (root !== undefined) await new Runc({ root }).resume(containerId);
}
