import type { Epoch, Participant, ParticipantEffect, ParticipantInput, ParticipantOptions } from '../contract.ts';

/** How the two algorithms of the kernel interceptor differ. */
export interface KernelParticipantRules {
  /**
   * `sync`: stay blocked and frozen until the coordinator says that everybody has saved.
   * `lai-yang`: go on alone as soon as the own checkpoint is saved.
   */
  readonly waitsForRelease: boolean;
}

type State = 'running' | 'saving' | 'waiting';

/**
 * Participant of the kernel interceptor: block, freeze, save, advance, thaw.
 *
 * The cut is fixed by `freeze`. Until `advance`, nothing that this process sent after its cut can have left it (it is blocked), and with
 * `advance` everything it sends carries the new colour, which nobody takes before their own cut (Lai & Yang 1987, section 3). What was
 * in flight at the cut lies unacknowledged in the sender's TCP send queue: it is the channel state.
 */
export class KernelParticipant implements Participant {
  #state: State = 'running';
  #epoch: Epoch;
  #deadline = Number.POSITIVE_INFINITY;
  readonly #options: ParticipantOptions;
  readonly #waits: boolean;

  constructor(options: ParticipantOptions, rules: KernelParticipantRules) {
    this.#options = options;
    this.#epoch = options.epoch;
    this.#waits = rules.waitsForRelease || options.keepFrozen;
  }

  get busy(): boolean {
    return this.#state === 'saving' || this.#state === 'waiting';
  }

  /** The epoch that this process has reached (its last completed cut). */
  get epoch(): Epoch {
    return this.#epoch;
  }

  step(input: ParticipantInput): readonly ParticipantEffect[] {
    switch (input.kind) {
      case 'start':
        return this.#start(input.epoch, input.now);
      case 'saved':
        return this.#saved();
      case 'release':
        return this.#state === 'waiting' ? this.#goOn() : [];
      case 'abort':
        return this.#abort(input.reason);
      case 'failed': {
        const reason = `${input.effect} failed: ${input.reason}`;
        // Letting go has failed half way: this process counts as running already, but may stand still.
        return input.effect === 'advance' || input.effect === 'thaw' ? this.#undo(reason) : this.#abort(reason);
      }
      case 'tick':
        return input.now >= this.#deadline ? this.#abort('the deadline has passed') : [];
      // TCP itself is the channel here: there are no markers to take and no channels to record.
      case 'marker':
      case 'opened':
      case 'closed':
      case 'peer-lost':
      case 'prepare':
      case 'recorded':
      case 'expected':
      case 'arrived':
        return [];
    }
  }

  #start(epoch: Epoch, now: number): readonly ParticipantEffect[] {
    if (this.#state !== 'running' || epoch <= this.#epoch) return [];
    this.#state = 'saving';
    this.#epoch = epoch;
    this.#deadline = now + this.#options.deadlineMs;
    return [{ kind: 'block' }, { kind: 'freeze' }, { kind: 'save', epoch }];
  }

  #saved(): readonly ParticipantEffect[] {
    if (this.#state !== 'saving') return [];
    const report: ParticipantEffect = { kind: 'report', outcome: { kind: 'saved', epoch: this.#epoch } };
    if (this.#waits) {
      this.#state = 'waiting';
      return [report];
    }
    return [...this.#goOn(), report];
  }

  #goOn(): readonly ParticipantEffect[] {
    this.#state = 'running';
    this.#deadline = Number.POSITIVE_INFINITY;
    return [{ kind: 'advance', epoch: this.#epoch }, { kind: 'thaw' }];
  }

  #abort(reason: string): readonly ParticipantEffect[] {
    return this.busy ? this.#undo(reason) : [];
  }

  #undo(reason: string): readonly ParticipantEffect[] {
    this.#state = 'running';
    this.#deadline = Number.POSITIVE_INFINITY;
    return [
      { kind: 'discard' },
      { kind: 'unblock' },
      { kind: 'thaw' },
      { kind: 'report', outcome: { kind: 'aborted', epoch: this.#epoch, reason } },
    ];
  }
}
