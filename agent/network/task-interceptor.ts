import type { Epoch } from '../../src/algorithms/contract.ts';

export interface PrepareOptions {
  /** The overlay networks between the tasks of the snapshot, in CIDR notation. */
  readonly subnets: readonly string[];
  /** Addresses in there that are those of tasks outside of the snapshot: what they send has no colour for us, though it may have that of a round of their own. */
  readonly foreign?: readonly string[];
  /** The coming checkpoint, i.e. what {@link TaskInterceptor.advance} will be called with. Must differ by one from the last. */
  readonly epoch: Epoch;
  /** After this long without `advance` the coming colour is let in again (the agent must be dead). Milliseconds; default 300 000. */
  readonly colourTimeoutMs?: number;
}

/**
 * What stands between one task and the network while a round runs, whichever algorithm runs it: the block, and what changes when the cut
 * is made. Both interceptors stand behind it, so that order of operations, dead man's switch, journal and recovery are the same code.
 * Every method can be called again with no further effect; calls on one task must not overlap. All throw SwarmcutError `failed`.
 */
export interface TaskInterceptor {
  /** The task's network namespace. */
  readonly netns: string;
  /** Gets the task ready for a cut. */
  prepare(options: PrepareOptions): Promise<void>;
  /** Nothing of the application enters or leaves for at most `timeoutMs`, TCP over `lo` included. */
  block(timeoutMs: number): Promise<void>;
  /** Gives the block a new time-out from now, also if it has expired. */
  renewBlock(timeoutMs: number): Promise<void>;
  /** The cut number `epoch` is made: what is sent from now on comes after it; the block is open. */
  advance(epoch: Epoch): Promise<void>;
  /** Opens the block. No error if the namespace is gone. */
  unblock(): Promise<void>;
  /** Opens the block of a restored container so that its connections go on at once. @param pid of its first process */
  openRestored(pid: number, skewMs?: number): Promise<void>;
  /** The round is over: what it needed goes. No error if the namespace is gone. */
  detach(): Promise<void>;
  /** Commands that open the block without this process, for a dead man's switch; each on its own and in any order. */
  undoCommands(): string[][];
}
