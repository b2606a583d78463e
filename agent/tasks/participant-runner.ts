import type {
  Epoch,
  Participant,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOutcome,
} from '../../src/algorithms/index.ts';
import { messageOf } from '../../src/model/errors.ts';

/** A step's own kind without `now`, which the runner adds. */
type Untimed = ParticipantInput extends infer I ? (I extends { now: number } ? Omit<I, 'now'> : I) : never;

/** One task's part in a round, wherever its participant runs. */
export interface TaskRunner {
  /** Starts the local checkpoint and waits for the participant's report. Called again, it joins. */
  cut(epoch: Epoch): Promise<ParticipantOutcome>;
  /** Tells it the coordinator's word; resolves when it is done. */
  feed(input: { readonly kind: 'release' } | { readonly kind: 'abort'; readonly reason: string }): Promise<void>;
  /** True while the task is held, frozen or saved on behalf of the round. */
  readonly busy: boolean;
  /** The participant's last report. */
  readonly outcome: ParticipantOutcome | undefined;
  /** Its deadline counts no more: whoever calls this answers for the task. */
  close(): void;
  /** The round is over for this task. */
  finish(): Promise<void>;
}

/** Carries out what a participant wants done to a real task. Every method is safe to call twice. */
export interface TaskHandle {
  hold(): Promise<void>;
  freeze(): Promise<void>;
  /** Records the local state; settles when that has ended. */
  save(epoch: Epoch): Promise<void>;
  advance(epoch: Epoch): Promise<void>;
  unhold(): Promise<void>;
  thaw(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Runs one participant on one task, by the executor's rules of src/algorithms/contract.ts: one input at a time, effects in order, a
 * failed effect is fed back, and undoing does not stop at its first error.
 */
export class ParticipantRunner implements TaskRunner {
  readonly #participant: Participant;
  readonly #task: TaskHandle;
  readonly #log: (message: string, details: object) => void;
  #queue: Promise<void> = Promise.resolve();
  #ticker: NodeJS.Timeout | undefined;
  #outcome: ParticipantOutcome | undefined;
  #waiting: ((outcome: ParticipantOutcome) => void)[] = [];

  constructor(participant: Participant, task: TaskHandle, log: (message: string, details: object) => void) {
    this.#participant = participant;
    this.#task = task;
    this.#log = log;
  }

  /** Feeds one input; resolves when all its effects have been executed (a `save` only begun). */
  feed(input: Untimed): Promise<void> {
    this.#queue = this.#queue.then(() => this.#step(input));
    return this.#queue;
  }

  /** Starts the local checkpoint and waits for the participant's report. Called again, it joins. */
  async cut(epoch: Epoch): Promise<ParticipantOutcome> {
    this.#ticker ??= setInterval(() => void this.feed({ kind: 'tick' }), 100);
    void this.feed({ kind: 'start', epoch });
    return this.#outcome ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** True while the task is held, frozen or saved on behalf of the round. */
  get busy(): boolean {
    return this.#participant.busy;
  }

  /** The participant's last report. */
  get outcome(): ParticipantOutcome | undefined {
    return this.#outcome;
  }

  /** No more ticks. The participant must be at rest. */
  close(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  finish(): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #step(untimed: Untimed): Promise<void> {
    const input = { ...untimed, now: performance.now() } as ParticipantInput;
    const effects = this.#participant.step(input);
    const undoing = input.kind === 'abort' || input.kind === 'failed' || input.kind === 'tick';
    for (const effect of effects) {
      try {
        await this.#execute(effect);
      } catch (error) {
        const reason = messageOf(error);
        this.#log('effect failed', { effect: effect.kind, reason });
        if (undoing) continue;
        await this.#step({ kind: 'failed', effect: effect.kind, reason });
        return;
      }
    }
  }

  async #execute(effect: ParticipantEffect): Promise<void> {
    switch (effect.kind) {
      case 'hold':
        return this.#task.hold();
      case 'freeze':
        return this.#task.freeze();
      case 'save':
        this.#task.save(effect.epoch).then(
          () => this.feed({ kind: 'saved' }),
          (error: unknown) => this.feed({ kind: 'failed', effect: 'save', reason: messageOf(error) }),
        );
        return;
      case 'advance':
        return this.#task.advance(effect.epoch);
      case 'unhold':
        return this.#task.unhold();
      case 'thaw':
        return this.#task.thaw();
      case 'discard':
        return this.#task.discard();
      case 'report':
        this.#outcome = effect.outcome;
        for (const resolve of this.#waiting.splice(0)) resolve(effect.outcome);
        return;
      default:
        // Markers and recording belong to the proxy interceptor, which this agent does not have for this task.
        throw new Error(`the kernel interceptor cannot ${effect.kind}`);
    }
  }
}
