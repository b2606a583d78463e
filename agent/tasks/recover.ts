import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/model/errors.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { removeTree } from '../files/remove-tree.ts';
import { findDeadmen, type Deadman } from '../runtime/criu/deadman.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import type { Standstills } from '../runtime/shim/standstills.ts';
import type { HeldTasks } from './held-tasks.ts';
import { relocation } from './holder.ts';
import type { Journal, JournalEntry } from './journal.ts';
import type { OpenedTask } from './open-task.ts';

/**
 * Takes over the tasks that an earlier agent has left frozen in doubt: whoever resolves their relocation says what becomes of them. One
 * that has ended is forgotten. For an agent that starts, after {@link recoverTasks}, when sidecars have been taken over.
 */
export async function adoptTasks(
  runDir: string,
  parts: {
    readonly journal: Pick<Journal, 'entries' | 'forget'>;
    readonly held: Pick<HeldTasks, 'adopt'>;
    readonly standstills: Pick<Standstills, 'unmark'>;
    readonly open: (entry: JournalEntry) => Promise<OpenedTask>;
    readonly log: Pick<Logger, 'warn'>;
  },
): Promise<void> {
  const { journal, held, standstills, open, log } = parts;
  const deadmen = await findDeadmen(runDir);
  for (const entry of await journal.entries()) {
    const { containerId, owner, inDoubt } = entry;
    const deadman = deadmen.find((one) => one.containerId === containerId);
    if (inDoubt !== true || deadman === undefined) continue;
    try {
      await held.adopt(relocation(owner), await open(entry), deadman);
      log.warn({ containerId, owner }, 'a task stands still until it is known whether its successor runs');
    } catch (error) {
      log.warn({ containerId, owner, reason: messageOf(error) }, 'a task that stood still in doubt has ended');
      standstills.unmark(containerId);
      await deadman.cancel();
      await journal.forget(containerId);
    }
  }
}

/**
 * Lets go of every task that an agent of this node blocked or froze: unblock, thaw, call the dead man's switch off, throw the stage away.
 * For an agent that starts, and for one that stops. Goes on past errors: the switches stay armed for what could not be done.
 */
export async function recoverTasks(
  directories: Directories,
  parts: {
    readonly journal: Pick<Journal, 'entries' | 'forget'>;
    readonly standstills: Pick<Standstills, 'clear'>;
    readonly log: Pick<Logger, 'warn' | 'error'>;
  },
): Promise<void> {
  const { journal, standstills, log } = parts;
  const deadmen = await findDeadmen(directories.run);
  const undecided = new Set<string>();
  for (const { containerId, pid, owner, stageDir, inDoubt } of await journal.entries()) {
    // Whether its successor runs is not known here. Its switch is armed, and the engine's stops of it go on waiting.
    if (inDoubt === true && (await stillArmed(deadmen, containerId))) {
      undecided.add(containerId);
      continue;
    }
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
  // Whatever else waits in the shim goes on: nothing is left that could be decided.
  standstills.clear(undecided);
  for (const base of [directories.run, directories.state]) {
    await rm(join(base, 'stage'), { recursive: true, force: true });
    await removeTree(join(base, 'restore')).catch((error: unknown) =>
      log.warn({ reason: messageOf(error) }, 'something of a restore is left'),
    );
  }
}

async function stillArmed(deadmen: readonly Deadman[], containerId: string): Promise<boolean> {
  const deadman = deadmen.find((one) => one.containerId === containerId);
  return deadman !== undefined && !(await deadman.fired());
}

async function thaw(containerId: string): Promise<void> {
  const root = await findRuncRoot(containerId).catch(() => undefined);
  // A container that runc does not know has ended.
  if (root !== undefined) await new Runc({ root }).resume(containerId);
}
