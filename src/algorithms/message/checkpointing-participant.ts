import {
  VECTOR_ENTRY_BYTES,
  type DependencyVector,
  type Determinant,
  type Envelope,
  type MessageEffect,
  type MessageInput,
  type MessageParticipant,
  type MessageParticipantState,
  type Piggyback,
  type ProcessIndex,
} from './contract.ts';
import { SenderLog } from './sender-log.ts';

/** How the checkpoint-based algorithms without coordination differ. */
export interface CheckpointingRules {
  /** The checkpoint index rides on messages (index-based CIC). */
  readonly carriesIndex: boolean;
  /** The dependency vector rides on messages (FDAS). */
  readonly carriesVector: boolean;
  /** Whether this message forces a checkpoint before it is delivered. */
  forces(own: CheckpointingView, carried: Piggyback): boolean;
}

export interface CheckpointingView {
  readonly index: number;
  readonly vector: DependencyVector;
  /** A message was sent since the last checkpoint. */
  readonly hasSent: boolean;
}

interface State extends MessageParticipantState {
  readonly interval: number;
  readonly index: number;
  readonly log: SenderLog;
}

const INTERVAL_BYTES = 4;
const INDEX_BYTES = 4;
const NOTHING: DependencyVector = new Map();

/** A process that checkpoints by its own timer, and before a message when the rules say so. */
export class CheckpointingParticipant implements MessageParticipant {
  readonly #process: ProcessIndex;
  readonly #rules: CheckpointingRules;
  #interval = 0;
  #index = 0;
  #vector: DependencyVector;
  #hasSent = false;
  #log = new SenderLog();
  #captured: State;

  constructor(process: ProcessIndex, rules: CheckpointingRules) {
    this.#process = process;
    this.#rules = rules;
    this.#vector = rules.carriesVector ? new Map([[process, 0]]) : NOTHING;
    this.#captured = this.#copy();
  }

  /** Nothing is logged, so states have no numbers. */
  readonly order = 0;

  get vector(): DependencyVector {
    return this.#vector;
  }

  get sentLogBytes(): number {
    return this.#log.bytes;
  }

  step(input: MessageInput): readonly MessageEffect[] {
    switch (input.kind) {
      case 'send': {
        const { to, number, payload, bytes } = input;
        this.#hasSent = true;
        const message: Envelope = { from: this.#process, to, number, payload, bytes, ...this.#piggyback() };
        this.#log.add(message);
        return [{ kind: 'transmit', message }];
      }
      case 'receive':
        return this.#receive(input.message);
      case 'act':
        return [{ kind: 'act' }];
      case 'checkpoint':
        this.#takeCheckpoint(this.#index + 1);
        return [{ kind: 'checkpoint', forced: false }];
      case 'stable':
      case 'recovered':
        return [];
    }
  }

  capture(): MessageParticipantState {
    return this.#captured;
  }

  restore(state: MessageParticipantState): void {
    const { interval, index, vector, log } = state as State;
    this.#interval = interval;
    this.#index = index;
    this.#vector = vector;
    this.#log = log.copy();
    this.#hasSent = false;
  }

  sentFrom(to: ProcessIndex, number: number): readonly Envelope[] {
    return this.#log.from(to, number);
  }

  forgetSent(to: ProcessIndex, below: number): void {
    this.#log.forget(to, below);
  }

  determinantsOf(): readonly Determinant[] {
    return [];
  }

  #receive(message: Envelope): readonly MessageEffect[] {
    const carried = message.piggyback;
    const own = { index: this.#index, vector: this.#vector, hasSent: this.#hasSent };
    const effects: MessageEffect[] = [];
    if (this.#rules.forces(own, carried)) {
      this.#takeCheckpoint(Math.max(this.#index, carried.index ?? 0));
      effects.push({ kind: 'checkpoint', forced: true });
    }
    if (carried.vector !== undefined) this.#vector = mergeVectors(this.#vector, carried.vector);
    effects.push({ kind: 'deliver', message });
    return effects;
  }

  #takeCheckpoint(index: number): void {
    this.#interval++;
    this.#index = index;
    this.#hasSent = false;
    if (this.#rules.carriesVector) this.#vector = new Map(this.#vector).set(this.#process, this.#interval);
    this.#captured = this.#copy();
  }

  #copy(): State {
    const { order } = this;
    return { order, vector: this.#vector, interval: this.#interval, index: this.#index, log: this.#log.copy() };
  }

  #piggyback(): { piggyback: Piggyback; piggybackBytes: number } {
    const { carriesIndex, carriesVector } = this.#rules;
    const piggyback: Piggyback = {
      interval: this.#interval,
      ...(carriesIndex ? { index: this.#index } : {}),
      ...(carriesVector ? { vector: this.#vector } : {}),
    };
    const vectorBytes = carriesVector ? this.#vector.size * VECTOR_ENTRY_BYTES : 0;
    return { piggyback, piggybackBytes: INTERVAL_BYTES + (carriesIndex ? INDEX_BYTES : 0) + vectorBytes };
  }
}

/** The greater of both, entry by entry. Gives back `own` when it has everything already. */
export function mergeVectors(own: DependencyVector, other: DependencyVector): DependencyVector {
  let merged: Map<ProcessIndex, number> | undefined;
  for (const [process, value] of other) {
    if ((own.get(process) ?? -1) >= value) continue;
    merged ??= new Map(own);
    merged.set(process, value);
  }
  return merged ?? own;
}
