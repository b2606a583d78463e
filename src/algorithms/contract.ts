/**
 * The one contract of every checkpoint algorithm: two kinds of pure state machine, both `step(input) -> effects`.
 *
 * - A {@link Participant} is the paper's *process*: one Swarm task. The agent of the task's node runs it; the simulator runs the
 *   very same object.
 * - A {@link Round} is the coordinator's view of one global checkpoint.
 *
 * Rules for whoever executes effects (for participants that is executor.ts):
 * 1. Effects of one step are executed strictly in the order in which they stand; an effect begins only when the one before it has
 *    completed. The order is what makes a cut consistent (docs/architecture.md, "Order of operations"): block before freeze, freeze
 *    before save, save before advance, advance before thaw.
 * 2. `save` is the exception: it is *started* in order, and its end comes back as the input `saved`.
 * 3. If an effect fails, the rest of that step is dropped and the input `failed` is fed back. The effects of that answer are
 *    executed as far as each one can be: undoing must not stop at its first error.
 * 4. Inputs are fed one at a time, and never while effects of an earlier step are still being executed.
 * 5. Time only enters as an argument. Nothing here knows a clock, a network or a promise.
 */

/** The paper's process: one task. Opaque; unique within a round. */
export type ProcessId = string;

/** A directed, FIFO stream of messages from one process to another (one TCP connection is two channels). Opaque. */
export type ChannelId = string;

/** Number of a global checkpoint of a stack: 1, 2, 3 … Its parity is the colour of the kernel interceptor. */
export type Epoch = number;

/** Milliseconds on the executor's monotonic clock. */
export type TimeMs = number;

/** What can happen to a participant. */
export type ParticipantInput =
  /** The coordinator (or, in the paper's words, the initiator itself) asks this process to take its checkpoint. */
  | { readonly kind: 'start'; readonly epoch: Epoch; readonly now: TimeMs }
  /** A marker, or the first message that carries a newer epoch, stands at the head of a channel. */
  | { readonly kind: 'marker'; readonly channel: ChannelId; readonly epoch: Epoch; readonly now: TimeMs }
  /** The `save` effect has ended well: the local checkpoint is complete and durable enough to be *tentative*. */
  | { readonly kind: 'saved'; readonly now: TimeMs }
  /** The coordinator's second word: everybody has saved (blocking algorithms), or the task may run on (`keepFrozen`). */
  | { readonly kind: 'release'; readonly now: TimeMs }
  /** The coordinator gives the round up. */
  | { readonly kind: 'abort'; readonly reason: string; readonly now: TimeMs }
  /** An effect could not be executed; the rest of its step was dropped. */
  | {
      readonly kind: 'failed';
      readonly effect: ParticipantEffect['kind'];
      readonly reason: string;
      readonly now: TimeMs;
    }
  /** A channel of this process has come into being / has ended. */
  | { readonly kind: 'opened'; readonly channel: ChannelId; readonly direction: 'in' | 'out'; readonly epoch: Epoch }
  | { readonly kind: 'closed'; readonly channel: ChannelId; readonly now: TimeMs }
  /** The interceptor has lost the peer at the other end of a channel. */
  | { readonly kind: 'peer-lost'; readonly channel: ChannelId; readonly now: TimeMs }
  /**
   * A round for this epoch is about to begin (phase *prepare*): whatever an earlier round left behind is dropped, and markers of any
   * other epoch are not taken. This is what makes the coordinated algorithms self-stabilising (docs/algorithms.md). Optional.
   */
  | { readonly kind: 'prepare'; readonly epoch: Epoch; readonly now: TimeMs }
  /** The interceptor has now recorded this many bytes on an incoming channel since `start-recording`. */
  | { readonly kind: 'recorded'; readonly channel: ChannelId; readonly bytes: number; readonly now: TimeMs }
  /** Counting algorithms (Mattern 1993): how many messages all peers together had sent to this process at their cuts. */
  | { readonly kind: 'expected'; readonly messages: number; readonly now: TimeMs }
  /** Counting algorithms: how many such messages have arrived by now, those delivered before the own cut included. */
  | { readonly kind: 'arrived'; readonly messages: number; readonly now: TimeMs }
  /** Time goes by; fed at least every 100 ms while a round runs. */
  | { readonly kind: 'tick'; readonly now: TimeMs };

/** What a participant wants done. */
export type ParticipantEffect =
  /** Nothing of this process enters or leaves the network any more; expires by itself at the deadline. */
  | { readonly kind: 'block' }
  /** Stop every thread of the process. The cut is fixed when this has completed. The dead man's switch is armed before. */
  | { readonly kind: 'freeze' }
  /** Begin to record the local state. Its end comes back as `saved`, or as `failed`. */
  | { readonly kind: 'save'; readonly epoch: Epoch }
  /** Put a marker into an outgoing channel, before anything sent later. */
  | { readonly kind: 'send-marker'; readonly channel: ChannelId; readonly epoch: Epoch }
  /** What has arrived on this incoming channel and was not delivered before the freeze, and what arrives from here on, is its state. */
  | { readonly kind: 'start-recording'; readonly channel: ChannelId; readonly epoch: Epoch }
  | { readonly kind: 'stop-recording'; readonly channel: ChannelId; readonly epoch: Epoch }
  /** Stop reading from this incoming channel (back-pressure): its recording has reached the limit. Nothing is lost. */
  | { readonly kind: 'pause-channel'; readonly channel: ChannelId }
  | { readonly kind: 'resume-channel'; readonly channel: ChannelId }
  /** Carry the new epoch (colour) from here on and undo `block`, as one transaction. */
  | { readonly kind: 'advance'; readonly epoch: Epoch }
  /** Undo `block` without taking a new epoch: the round failed before the cut counted. */
  | { readonly kind: 'unblock' }
  /** Let every thread run on. */
  | { readonly kind: 'thaw' }
  /** Forget what `save` recorded, also while it is still at it. */
  | { readonly kind: 'discard' }
  /** Tell the coordinator how this process fared. The last effect of a successful local checkpoint. */
  | { readonly kind: 'report'; readonly outcome: ParticipantOutcome };

export type ParticipantOutcome =
  | { readonly kind: 'saved'; readonly epoch: Epoch }
  | { readonly kind: 'aborted'; readonly epoch: Epoch; readonly reason: string };

/** The state machine of one process. */
export interface Participant {
  /** Takes one input and says what is to be done, in order. Inputs that mean nothing in the present state yield `[]`. */
  step(input: ParticipantInput): readonly ParticipantEffect[];
  /** True while the process is frozen, blocked or saving on behalf of a round. */
  readonly busy: boolean;
}

/** What a participant is made with. */
export interface ParticipantOptions {
  readonly process: ProcessId;
  /** The epoch that the process has reached when it joins. */
  readonly epoch: Epoch;
  /**
   * A local checkpoint that is not over after this long is aborted by the participant itself: so long may the process stand still. What a
   * participant that runs again still waits for may take as long as it takes, but not so long without any progress. Milliseconds.
   */
  readonly deadlineMs: number;
  /** Stay frozen and blocked after the save until `release` (live migration: the task goes on elsewhere, or here). */
  readonly keepFrozen: boolean;
  /** Most bytes recorded for one channel before it is paused. Default: `DEFAULT_RECORD_LIMIT_BYTES`. */
  readonly recordLimitBytes?: number;
}

/** What can happen to a round. */
export type RoundInput =
  | { readonly kind: 'begin'; readonly now: TimeMs }
  /** The interceptor of this process is attached and ready for the new epoch. */
  | { readonly kind: 'prepared'; readonly process: ProcessId; readonly now: TimeMs }
  /** The participant reported `saved`. */
  | { readonly kind: 'saved'; readonly process: ProcessId; readonly now: TimeMs }
  /** The process has been told `release` and runs again. */
  | { readonly kind: 'released'; readonly process: ProcessId; readonly now: TimeMs }
  /** The checkpoint of this process lies in the store, hashed: it is *tentative* in the sense of Koo & Toueg 1987. */
  | { readonly kind: 'collected'; readonly process: ProcessId; readonly now: TimeMs }
  /** Nothing of the above yet, but this process has got on with it. */
  | { readonly kind: 'progress'; readonly process: ProcessId; readonly doing: string; readonly now: TimeMs }
  /** The manifest is on disk: the point of no return. */
  | { readonly kind: 'committed'; readonly now: TimeMs }
  | { readonly kind: 'failed'; readonly process?: ProcessId; readonly reason: string; readonly now: TimeMs }
  | { readonly kind: 'cancel'; readonly reason: string; readonly now: TimeMs }
  | { readonly kind: 'tick'; readonly now: TimeMs };

/** What a round wants done. Effects that name processes go to all of them at once, in parallel. */
export type RoundEffect =
  | { readonly kind: 'prepare'; readonly processes: readonly ProcessId[]; readonly epoch: Epoch }
  | { readonly kind: 'start'; readonly processes: readonly ProcessId[]; readonly epoch: Epoch }
  | { readonly kind: 'release'; readonly processes: readonly ProcessId[] }
  | { readonly kind: 'collect'; readonly processes: readonly ProcessId[] }
  /** Write the manifest durably; answer with `committed` or `failed`. */
  | { readonly kind: 'commit' }
  /** Tell every agent that the checkpoints are permanent, and detach what the round attached. */
  | { readonly kind: 'finish'; readonly processes: readonly ProcessId[] }
  /** Instead of `commit`, with `keepFrozen`: the round ends here. Whoever asked for it answers for the frozen processes from now on. */
  | { readonly kind: 'hand-over'; readonly processes: readonly ProcessId[] }
  /** Tell every agent to discard, thaw and unblock; the round has failed. Sent at most once. */
  | { readonly kind: 'abort'; readonly processes: readonly ProcessId[]; readonly reason: string };

export type RoundPhase =
  | 'idle'
  | 'preparing'
  | 'cutting'
  | 'releasing'
  | 'collecting'
  | 'committing'
  | 'committed'
  | 'handed-over'
  | 'aborted';

/** The coordinator's state machine for one global checkpoint. */
export interface Round {
  step(input: RoundInput): readonly RoundEffect[];
  readonly phase: RoundPhase;
  /** Why the round was aborted, if it was. */
  readonly reason: string | undefined;
}

export interface RoundOptions {
  readonly processes: readonly ProcessId[];
  readonly epoch: Epoch;
  /** Longest time without progress of any process until all have saved (and been released). Milliseconds. */
  readonly deadlineMs: number;
  /** The processes stay frozen when the round ends (live migration): it ends by `hand-over`, not by `commit`. */
  readonly keepFrozen: boolean;
}

/** A checkpoint algorithm as users choose it: the value of the label `swarmcut.algorithm`. */
export interface Algorithm {
  readonly name: string;
  /** What stands between the task and the network. */
  readonly interceptor: 'kernel' | 'proxy';
  participant(options: ParticipantOptions): Participant;
  round(options: RoundOptions): Round;
}
