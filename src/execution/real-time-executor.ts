import type { Epoch, Participant, ParticipantInput, ParticipantOutcome } from '../algorithms/contract.ts';
import type { ChannelEffects, Part, Pending, Result, TaskEffects } from '../algorithms/effects.ts';
import { Executor } from '../algorithms/executor.ts';
import { messageOf } from '../model/errors.ts';

/** Longest time between two ticks of a running round (contract.ts). */
const TICK_MS = 100;

/** A real task: what is done to it is done when the promise resolves. */
export type TaskHandle = TaskEffects<Promise<void>>;

/** A task whose participant runs elsewhere, and reports to it. */
export interface TaskHost extends TaskHandle {
  report(outcome: ParticipantOutcome): Promise<void>;
}

/** An input without its time, which is added when it is fed. */
export type UntimedInput = ParticipantInput extends infer I ? (I extends { now: number } ? Omit<I, 'now'> : I) : never;

/** A participant, and who does what it wants done. Whatever returns nothing has been done already. */
export interface RealPart {
  readonly participant: Participant;
  readonly task: TaskEffects<Promise<void> | undefined>;
  /** Told of each report. */
  readonly report?: (outcome: ParticipantOutcome) => Promise<void> | undefined;
  readonly channels?: ChannelEffects;
}

export interface RealTimeExecutorOptions {
  readonly log: (message: string, details: object) => void;
  /** The first participant. Without it: none until {@link RealTimeExecutor.prepare}. */
  readonly part?: RealPart;
}

/**
 * The executor of src/algorithms in real time: effects are promises, the clock ticks, and one can wait for the report. Inputs are taken in a
 * microtask of their own, for whoever feeds them may be in the middle of something.
 */
export class RealTimeExecutor {
  readonly #executor: Executor;
  readonly #log: (message: string, details: object) => void;
  #ticker: NodeJS.Timeout | undefined;
  #outcome: ParticipantOutcome | undefined;
  #waiting: ((outcome: ParticipantOutcome) => void)[] = [];

  constructor({ log, part }: RealTimeExecutorOptions) {
    this.#log = log;
    this.#executor = new Executor(part && this.#part(part));
  }

  get busy(): boolean {
    return this.#executor.busy;
  }

  /** The participant's last report. */
  get outcome(): ParticipantOutcome | undefined {
    return this.#outcome;
  }

  /** The participant's last report, or its next one if there is none yet. */
  reported(): Promise<ParticipantOutcome> {
    const outcome = this.#outcome;
    return outcome ? Promise.resolve(outcome) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Time goes by for the participant, until {@link stop}. */
  run(): void {
    this.#ticker ??= setInterval(() => void this.feed({ kind: 'tick' }), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Feeds one input; resolves when all its effects have been carried out (a `save` only begun). */
  feed(input: UntimedInput): Promise<void> {
    return inTurn((now, done) => this.#executor.feed({ ...input, now } as ParticipantInput, done));
  }

  /** As {@link Executor.announce}. */
  announce(epoch: Epoch): void {
    this.#executor.announce(epoch);
  }

  /** As {@link Executor.withdraw}. */
  withdraw(): void {
    this.#executor.withdraw();
  }

  /** As {@link Executor.prepare}. @returns false when the round was withdrawn meanwhile */
  prepare(epoch: Epoch, make: () => RealPart): Promise<boolean> {
    const made = (): Part => {
      this.#outcome = undefined;
      return this.#part(make());
    };
    return inTurn<boolean>((now, done) => this.#executor.prepare(epoch, now, made, done));
  }

  /** As {@link Executor.start}; resolves when its effects have been carried out. @returns false when there is no such round (any more) */
  start(epoch: Epoch): Promise<boolean> {
    return inTurn<boolean>((now, done) => {
      if (!this.#executor.start(epoch, now, () => done(true))) done(false);
    });
  }

  /** As {@link Executor.abort}; resolves when everything has been undone. */
  abort(reason: string): Promise<void> {
    this.withdraw();
    return this.feed({ kind: 'abort', reason });
  }

  #part({ participant, task, report, channels }: RealPart): Part {
    return {
      participant,
      task: {
        block: () => pending(task.block()),
        freeze: () => pending(task.freeze()),
        save: (epoch) => pending(task.save(epoch)),
        advance: (epoch) => pending(task.advance(epoch)),
        unblock: () => pending(task.unblock()),
        thaw: () => pending(task.thaw()),
        discard: () => pending(task.discard()),
      },
      report: (outcome) => {
        this.#outcome = outcome;
        for (const resolve of this.#waiting.splice(0)) resolve(outcome);
        return pending(report?.(outcome));
      },
      onFault: (effect, reason) => this.#log('effect failed', { effect, reason }),
      ...(channels && { channels }),
    };
  }
}

function pending(promise: Promise<void> | undefined): Result {
  if (promise === undefined) return undefined;
  const wait: Pending = (ended) =>
    void promise.then(
      () => ended(performance.now()),
      (error: unknown) => ended(performance.now(), messageOf(error)),
    );
  return wait;
}

/** In a microtask of its own. @param act gets the time, and what it calls at the end */
async function inTurn<T = void>(act: (now: number, done: (value: T) => void) => void): Promise<T> {
  await Promise.resolve();
  return new Promise((resolve) => act(performance.now(), resolve));
}
