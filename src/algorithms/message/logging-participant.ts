import { mergeVectors } from './checkpointing-participant.ts';
import {
  DETERMINANT_BYTES,
  ORDER_BYTES,
  OWN_ACTION,
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

/** How the three kinds of message logging differ (Elnozahy et al. 2002, section 4). */
export interface LoggingRules {
  /** Pessimistic: nothing is sent before the determinants of all that came before are stable. */
  readonly holdsSends: boolean;
  /** Optimistic: the transitive dependency vector rides on messages. */
  readonly carriesVector: boolean;
  /** Causal: determinants that are not known to be stable ride on messages. */
  readonly carriesDeterminants: boolean;
}

interface State extends MessageParticipantState {
  readonly log: SenderLog;
}

/** A process whose nondeterministic events are logged: message contents at the sender, determinants where the rules say. */
export class LoggingParticipant implements MessageParticipant {
  readonly #process: ProcessIndex;
  readonly #rules: LoggingRules;
  #order = 0;
  #stable = 0;
  #vector: DependencyVector = new Map();
  #log = new SenderLog();
  #held: { readonly message: Envelope; readonly order: number }[] = [];
  /** Causal: determinants in the causal past that are not known to be stable, by receiver, in order. */
  #known = new Map<ProcessIndex, Determinant[]>();
  /** Causal: by destination and receiver, the last determinant that was sent along. */
  readonly #told = new Map<ProcessIndex, Map<ProcessIndex, number>>();
  #captured: State;

  constructor(process: ProcessIndex, rules: LoggingRules) {
    this.#process = process;
    this.#rules = rules;
    this.#captured = this.#copy();
  }

  get order(): number {
    return this.#order;
  }

  get vector(): DependencyVector {
    return this.#vector;
  }

  get sentLogBytes(): number {
    return this.#log.bytes;
  }

  step(input: MessageInput): readonly MessageEffect[] {
    switch (input.kind) {
      case 'send':
        return this.#send(input.to, input.number, input.payload, input.bytes);
      case 'receive': {
        const { message } = input;
        const { vector, determinants, order } = message.piggyback;
        for (const determinant of determinants ?? []) this.#learn(determinant);
        const log = this.#event(message.from, message.number, order ?? 0, vector);
        return [log, { kind: 'deliver', message }];
      }
      case 'act':
        return [this.#event(OWN_ACTION, 0, 0, undefined), { kind: 'act' }];
      case 'checkpoint':
        this.#captured = this.#copy();
        return [{ kind: 'checkpoint', forced: false }];
      case 'stable':
        return this.#becameStable(input.orders);
      case 'recovered':
        this.#told.delete(input.process);
        return [];
    }
  }

  capture(): MessageParticipantState {
    return this.#captured;
  }

  restore(state: MessageParticipantState): void {
    const { order, vector, log, known } = state as State;
    this.#order = order;
    this.#vector = vector;
    this.#log = log.copy();
    this.#held = [];
    this.#known = new Map([...(known ?? [])].map(([process, list]) => [process, [...list]]));
    this.#told.clear();
  }

  sentFrom(to: ProcessIndex, number: number): readonly Envelope[] {
    const held = this.#held.find(({ message }) => message.to === to)?.message.number ?? Number.POSITIVE_INFINITY;
    return this.#log.from(to, number).filter((message) => message.number < held);
  }

  forgetSent(to: ProcessIndex, below: number): void {
    this.#log.forget(to, below);
  }

  determinantsOf(process: ProcessIndex): readonly Determinant[] {
    return this.#known.get(process) ?? [];
  }

  #send(to: ProcessIndex, number: number, payload: number, bytes: number): readonly MessageEffect[] {
    const message: Envelope = { from: this.#process, to, number, payload, bytes, ...this.#piggyback(to) };
    this.#log.add(message);
    if (!this.#rules.holdsSends || this.#stable >= this.#order) return [{ kind: 'transmit', message }];
    this.#held.push({ message, order: this.#order });
    return [];
  }

  /** The next nondeterministic event has happened. */
  #event(
    sender: ProcessIndex,
    number: number,
    senderOrder: number,
    vector: DependencyVector | undefined,
  ): MessageEffect {
    const determinant: Determinant = { receiver: this.#process, order: ++this.#order, sender, number, senderOrder };
    if (this.#rules.carriesVector) {
      const merged = vector === undefined ? this.#vector : mergeVectors(this.#vector, vector);
      this.#vector = new Map(merged).set(this.#process, this.#order);
    }
    if (this.#rules.carriesDeterminants) this.#learn(determinant);
    return { kind: 'log', determinant };
  }

  #learn(determinant: Determinant): void {
    const list = this.#known.get(determinant.receiver);
    if (list === undefined) this.#known.set(determinant.receiver, [determinant]);
    else if (determinant.order > (list.at(-1)?.order ?? 0)) list.push(determinant);
  }

  #becameStable(orders: ArrayLike<number>): readonly MessageEffect[] {
    this.#stable = Math.max(this.#stable, orders[this.#process] ?? 0);
    for (const [process, list] of this.#known) {
      const stable = orders[process] ?? 0;
      const first = list.findIndex(({ order }) => order > stable);
      if (first < 0) this.#known.delete(process);
      else if (first > 0) list.splice(0, first);
    }
    const free = this.#held.filter(({ order }) => order <= this.#stable);
    this.#held = this.#held.filter(({ order }) => order > this.#stable);
    return free.map(({ message }) => ({ kind: 'transmit', message }));
  }

  #piggyback(to: ProcessIndex): { piggyback: Piggyback; piggybackBytes: number } {
    const { order } = this;
    if (this.#rules.carriesVector) {
      const piggybackBytes = ORDER_BYTES + this.#vector.size * VECTOR_ENTRY_BYTES;
      return { piggyback: { order, vector: this.#vector }, piggybackBytes };
    }
    if (!this.#rules.carriesDeterminants) return { piggyback: { order }, piggybackBytes: ORDER_BYTES };
    const determinants: Determinant[] = [];
    let told = this.#told.get(to);
    if (told === undefined) this.#told.set(to, (told = new Map<ProcessIndex, number>()));
    for (const [process, list] of this.#known) {
      if (process === to) continue;
      const last = told.get(process) ?? 0;
      for (const determinant of list) if (determinant.order > last) determinants.push(determinant);
      told.set(process, list.at(-1)?.order ?? last);
    }
    return {
      piggyback: { order, determinants },
      piggybackBytes: ORDER_BYTES + determinants.length * DETERMINANT_BYTES,
    };
  }

  #copy(): State {
    const known = new Map([...this.#known].map(([process, list]) => [process, [...list]] as const));
    return { order: this.#order, vector: this.#vector, log: this.#log.copy(), known };
  }
}
