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
  /** Checkpoint interval of the sender: its checkpoints so far. Recorded dependencies come from it. */
  readonly interval?: number;
  /** State number of the sender (message logging). */
  readonly order?: number;
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
 * What has to be known to repeat a nondeterministic event (Elnozahy et al., section 4): event number `order` of `receiver` was the delivery
 * of message `number` from `sender`, or a spontaneous action of its own (a timer that fired), written as {@link OWN_ACTION}.
 */
export interface Determinant {
  readonly receiver: ProcessIndex;
  /** 1, 2, 3 … events of the receiver: its state number. */
  readonly order: number;
  readonly sender: ProcessIndex;
  readonly number: number;
  /** State number of the sender when it sent: the delivery can be repeated only if the sender comes to that state again. */
  readonly senderOrder: number;
}

export const OWN_ACTION = -1;

/** A determinant on the wire: five 32-bit numbers. */
export const DETERMINANT_BYTES = 20;
export const ORDER_BYTES = 4;
export const VECTOR_ENTRY_BYTES = 8;

export type MessageInput =
  /** The application has sent a message. */
  | {
      readonly kind: 'send';
      readonly to: ProcessIndex;
      readonly number: number;
      readonly payload: number;
      readonly bytes: number;
    }
  /** A message stands at the receiver. */
  | { readonly kind: 'receive'; readonly message: Envelope }
  /** The application is about to act on its own. */
  | { readonly kind: 'act' }
  /** Time for a basic checkpoint. */
  | { readonly kind: 'checkpoint' }
  /** By process: all its determinants up to this number are on stable storage. */
  | { readonly kind: 'stable'; readonly orders: ArrayLike<number> }
  /** That process has gone back: what it was told before may be lost to it. */
  | { readonly kind: 'recovered'; readonly process: ProcessIndex };

export type MessageEffect =
  /** Take a checkpoint before anything that follows. `forced`: the algorithm's rule, not the timer, asked for it. */
  | { readonly kind: 'checkpoint'; readonly forced: boolean }
  | { readonly kind: 'transmit'; readonly message: Envelope }
  | { readonly kind: 'deliver'; readonly message: Envelope }
  | { readonly kind: 'act' }
  /** Write this determinant to stable storage; `stable` comes back. Nothing waits for it unless the participant holds messages back. */
  | { readonly kind: 'log'; readonly determinant: Determinant };

/** The state machine of one process. */
export interface MessageParticipant {
  step(input: MessageInput): readonly MessageEffect[];
  /** What must come back with the last checkpoint: a copy, as things were when the `checkpoint` effect was decided upon. */
  capture(): MessageParticipantState;
  /** Goes back to a captured state, which stays usable. */
  restore(state: MessageParticipantState): void;
  /** Messages to `to` that it may have to give again, from this number on, in order. */
  sentFrom(to: ProcessIndex, number: number): readonly Envelope[];
  /** The receiver has everything below this number in a checkpoint that stays. */
  forgetSent(to: ProcessIndex, below: number): void;
  /** Determinants of that process that are known here (causal logging). */
  determinantsOf(process: ProcessIndex): readonly Determinant[];
  readonly sentLogBytes: number;
  /** Nondeterministic events so far: the state number. 0 where nothing is logged. */
  readonly order: number;
  /** What the present state depends on (optimistic logging). */
  readonly vector: DependencyVector;
}

/** Opaque to the executor, but for what a recovery is planned with. */
export interface MessageParticipantState {
  readonly order: number;
  readonly vector: DependencyVector;
  /** Determinants that were known and perhaps not stable (causal logging), by receiver. */
  readonly known?: ReadonlyMap<ProcessIndex, readonly Determinant[]>;
}

export interface MessageAlgorithm {
  readonly name: string;
  /**
   * What a crash costs: `rollback` of everybody who depends on lost states, to a recovery line of checkpoints; or `replay` of what was
   * logged, and rollback only of those who depend on what was not.
   */
  readonly recovery: 'rollback' | 'replay';
  /** A process that did not crash never has to go back (pessimistic and causal logging). */
  readonly orphanFree?: boolean;
  /** Determinants are written at once, or gathered for a while. */
  readonly logging?: 'eager' | 'lazy';
  participant(process: ProcessIndex): MessageParticipant;
}
