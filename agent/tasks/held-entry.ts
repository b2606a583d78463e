import { SwarmcutError } from '../../src/model/errors.ts';
import type { HeldTask } from './held-task.ts';
import { holderText, type Holder, type Keeper } from './holder.ts';
import type { OpenedTask } from './open-task.ts';

/** A task that somebody has. */
export interface Entry {
  readonly task: HeldTask;
  readonly opened: OpenedTask;
  readonly keeper: Keeper;
  holder: Holder;
  /** The round that has stopped it for its holder, a relocation. */
  cutBy: Holder | undefined;
  /** It stands still until its holder says whether its successor runs: nobody else may let it go. */
  inDoubt: boolean;
  timer: NodeJS.Timeout | undefined;
}

export function taken(entry: Entry): SwarmcutError {
  const moved = isMoved(entry) ? ' and has moved it away' : '';
  return new SwarmcutError('conflict', `another ${holderText(entry.holder)} has this task${moved}`);
}

/** A call, since the compiler does not know that the state changes meanwhile. */
export function isMoved({ task }: Entry): boolean {
  return task.state === 'moved';
}

export function runsOn(): SwarmcutError {
  return new SwarmcutError('interrupted', 'the task was frozen for too long, or its agent was restarted: it runs on', {
    advice: 'raise the label swarmcut.freeze-timeout for a migration, or --timeout for a restore',
  });
}
