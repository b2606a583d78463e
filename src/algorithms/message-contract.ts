/**
 * The contract of the algorithms that see every message: uncoordinated and communication-induced checkpointing, and message logging
 * (Elnozahy, Alvisi, Wang & Johnson 2002, "A survey of rollback-recovery protocols in message-passing systems"). As in contract.ts, a
 * participant is pure and its effects are carried out in order; there is no round, because nobody coordinates.
 *
 * Every participant of this kind keeps what it has sent in a log of its own until the receiver has it in a checkpoint: a process that
 * goes back gets its messages again from their senders, and drops what it has already (numbers per channel are 1, 2, 3 …).
 */

/** Number of a process, 0 to n - 1. */
export type ProcessIndex = number;

/** A message of the application with what the algorithm lets ride on it. */
export interface Envelope {
  readonly from: ProcessIndex;
  readonly to: ProcessIndex;
  /** 1, 2, 3 … from `from` to `to`. */
  readonly number: number;
  readonly payload: number;
  readonly bytes: number;
  readonly piggyback: Piggyback;
  readonly piggybackBytes: number;
}

/** What rides on messages. Each algorithm uses the fields it needs. */
export interface Piggyback {
  /** Checkpoint interval of the sender: checkpoints it had taken. Recorded dependencies come from it. */
  readonly interval: number;
  /** Checkpoint index (index-based CIC). */
  readonly index?: number;
  /** Transitive dependency vector: intervals (FDAS) or state numbers (optimistic logging). Never changed after sending. */
  readonly vector?: DependencyVector;
  /** Determinants that the receiver may not know (causal logging). */
  readonly determinants?: readonly Determinant[];
}

/** By process: the last of its intervals or states that one depends on. Processes that are missing: none. */
export type DependencyVector = ReadonlyMap<ProcessIndex, number>;

/**
 * What has to be known to repeat a delivery (Elnozahy et al., section 4): `receiver`'s delivery number `order` was message `number` from
 * `sender`, after `actions` spontaneous actions of its own.
 */
export interface Determinant {
  readonly receiver: ProcessIndex;
  /** 1, 2, 3 … deliveries of the receiver: its state number. */
  readonly order: number;
  readonly sender: ProcessIndex;
  readonly number: number;
  readonly actions: number;
}

/** A determinant on the wire: four 32-bit numbers. */
export const DETERMINANT_BYTES = 16;
export const VECTOR_ENTRY_BYTES = 8;

export type MessageInput =
  /** The application has sent a message. */
  | { readonly kind: 'send'; readonly to: ProcessIndex; readonly number: number; readonly payload: number; readonly bytes: number }
  /** A message stands at the receiver. `actions`: spontaneous actions that its application has done so far. */
  | { readonly kind: 'receive'; readonly message: Envelope; readonly actions: number }
  /** Time for a basic checkpoint. */
  | { readonly kind: 'checkpoint' }
  /** Everything logged up to this delivery number is on stable storage. */
  | { readonly kind: 'stable'; readonly order: number };

export type MessageEffect =
  /** Take a checkpoint before anything that follows. `forced`: the algorithm's rule, not the timer, asked for it. */
  | { readonly kind: 'checkpoint'; readonly forced: boolean }
  | { readonly kind: 'transmit'; readonly message: Envelope }
  | { readonly kind: 'deliver'; readonly message: Envelope }
  /** Write this determinant to stable storage; `stable` comes back. Nothing waits for it unless the participant holds messages back. */
  | { readonly kind: 'log'; readonly determinant: Determinant };

/** The state machine of one process. */
export interface MessageParticipant {
  step(input: MessageInput): readonly MessageEffect[];
  /** Everything that must come back with a checkpoint: a copy. */
  capture(): MessageParticipantState;
  /** Goes back to a captured state (which stays usable). */
  restore(state: MessageParticipantState): void;
  /** The messages to `to` that it may have to give again, from this number on, in order. */
  sentFrom(to: ProcessIndex, number: number): readonly Envelope[];
  /** The receiver has everything below this number in a checkpoint that stays: it need not be kept. */
  forgetSent(to: ProcessIndex, below: number): void;
  /** Bytes that the sender's log holds. */
  readonly sentLogBytes: number;
  /** Messages held back until something is stable. */
  readonly holding: boolean;
}

/** Opaque to the executor. */
export interface MessageParticipantState {
  readonly kind: string;
}

export interface MessageAlgorithm {
  readonly name: string;
  /**
   * How a crash is recovered: `rollback` to a recovery line (checkpoint-based), or `replay` of the crashed process alone.
   */
  readonly recovery: 'rollback' | 'replay';
  participant(options: { readonly process: ProcessIndex; readonly processes: number }): MessageParticipant;
}
