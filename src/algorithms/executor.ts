import { messageOf } from '../model/errors.ts';
import type { Epoch, Participant, ParticipantEffect, ParticipantInput, TimeMs } from './contract.ts';
import { perform, type Part, type Result } from './effects.ts';

interface Queued {
  readonly input: ParticipantInput;
  readonly done: (() => void) | undefined;
}

/** The effects of one input. */
interface Step {
  readonly done: (() => void) | undefined;
  readonly effects: readonly ParticipantEffect[];
  /** Its effects undo a round: an error in one does not stop the others. */
  readonly undoes: boolean;
  /** Position of the next effect. */
  next: number;
}

/** What was dropped by {@link Executor.halt}. */
export interface Halted {
  /** The effect that was under way. */
  readonly underWay: ParticipantEffect['kind'] | undefined;
  /** Those who wait for inputs to be dealt with. */
  readonly waiting: readonly (() => void)[];
}

/**
 * Carries out the effects of one task's participants, by the rules of contract.ts: one input at a time, effects strictly in order, `save`
 * only begun, a failed effect drops the rest of its step and is fed back, undoing goes on after an error.
 *
 * Rounds follow each other: {@link announce}, {@link prepare}, {@link start}, {@link abort} or {@link withdraw}. A round's participant is made when the
 * effects of the one before it have ended, and only if its round was not given up meanwhile: calls may overtake each other.
 *
 * Sans-IO: it knows no clock and waits for nothing. Effects that end at once are carried out one after the other without a pause; one that
 * takes its time says when it has ended, and the executor goes on in that call.
 */
export class Executor {
  #part: Part | undefined;
  #queue: Queued[] = [];
  #step: Step | undefined;
  #underWay: ParticipantEffect['kind'] | undefined;
  /** Further up in the call stack effects are being carried out: whatever is fed meanwhile waits. */
  #running = false;
  /** Ends of effects that were begun before the last `halt` are void. */
  #life = 0;
  /** Local checkpoints begun or discarded: the end of an older one is void. */
  #saves = 0;
  #announced: Epoch | undefined;
  /** The announced one, as soon as it has its participant. */
  #prepared: Epoch | undefined;
  /** The latest that was heard. */
  #now: TimeMs = 0;

  constructor(part?: Part) {
    this.#part = part;
  }

  get participant(): Participant | undefined {
    return this.#part?.participant;
  }

  /** The participant blocks, freezes or saves its task, or wants to. */
  get busy(): boolean {
    return this.#part?.participant.busy ?? false;
  }

  /** There is nothing to do, and nothing of a round is left to be done. */
  get idle(): boolean {
    return this.#step === undefined && this.#queue.length === 0 && !this.busy;
  }

  /** Epoch of the round that is prepared, or about to be. */
  get announced(): Epoch | undefined {
    return this.#announced;
  }

  /** Epoch of the round that may be started. */
  get prepared(): Epoch | undefined {
    return this.#prepared;
  }

  /** Takes an input; `done` is called when its effects have been carried out (a `save` only begun). Without a participant: at once. */
  feed(input: ParticipantInput, done?: () => void): void {
    this.#queue.push({ input, done });
    this.#run();
  }

  /** A round of this epoch will be prepared; one announced before it is withdrawn. */
  announce(epoch: Epoch): void {
    this.withdraw();
    this.#announced = epoch;
  }

  /** The announced round is over, or given up: it will not be prepared nor started any more. What it has begun goes on. */
  withdraw(): void {
    this.#announced = undefined;
    this.#prepared = undefined;
  }

  /**
   * Ends what an earlier round has left open, then makes the participant of the announced one and tells it of its round.
   * @param make called when the effects of the earlier round have ended, unless this round was withdrawn meanwhile. Without it the present
   *   participant stays, and ends the earlier round itself
   * @param done told whether the round may be started
   */
  prepare(epoch: Epoch, now: TimeMs, make: (() => Part) | undefined, done: (prepared: boolean) => void): void {
    const tell: Queued = { input: { kind: 'prepare', epoch, now }, done: () => done(this.#ready(epoch)) };
    if (make === undefined) {
      this.feed(tell.input, tell.done);
      return;
    }
    this.feed({ kind: 'abort', reason: `round ${epoch} begins`, now }, () => {
      if (this.#announced !== epoch) {
        done(false);
        return;
      }
      this.#part = make();
      this.#saves++;
      this.#queue.unshift(tell);
    });
  }

  /** Starts the local checkpoint. @returns false when this round is not prepared (yet, or any more) */
  start(epoch: Epoch, now: TimeMs, done?: () => void): boolean {
    if (this.#prepared !== epoch) return false;
    this.feed({ kind: 'start', epoch, now }, done);
    return true;
  }

  /** Gives the round up: one that is only being prepared, too. */
  abort(reason: string, now: TimeMs, done?: () => void): void {
    this.withdraw();
    this.feed({ kind: 'abort', reason, now }, done);
  }

  /** Drops all inputs that wait and the rest of the step, as if whoever executed them had died. */
  halt(): Halted {
    const steps = this.#step === undefined ? this.#queue : [this.#step, ...this.#queue];
    const halted = { underWay: this.#underWay, waiting: steps.flatMap(({ done }) => done ?? []) };
    this.#life++;
    this.#queue = [];
    this.#step = undefined;
    this.#underWay = undefined;
    return halted;
  }

  #ready(epoch: Epoch): boolean {
    if (this.#announced === epoch) this.#prepared = epoch;
    return this.#prepared === epoch;
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#goOn());
    } finally {
      this.#running = false;
    }
  }

  /** @returns false when it has to wait for something */
  #goOn(): boolean {
    if (this.#underWay !== undefined) return false;
    const step = this.#step;
    if (step === undefined) {
      const queued = this.#queue.shift();
      if (queued !== undefined) this.#begin(queued);
      return queued !== undefined;
    }
    const effect = step.effects[step.next++];
    if (effect !== undefined) this.#execute(effect);
    else {
      this.#step = undefined;
      step.done?.();
    }
    return true;
  }

  #begin({ input, done }: Queued): void {
    if ('now' in input) this.#now = input.now;
    const effects = this.#part?.participant.step(input) ?? [];
    const { kind } = input;
    // A participant may also give up by itself, as when a peer is lost. Nobody discards for another reason.
    const undoes =
      kind === 'abort' || kind === 'failed' || kind === 'tick' || effects.some((effect) => effect.kind === 'discard');
    this.#step = { done, effects, undoes, next: 0 };
  }

  #execute(effect: ParticipantEffect): void {
    if (effect.kind === 'discard') this.#saves++;
    if (effect.kind === 'save') {
      this.#save(effect.epoch);
      return;
    }
    const life = this.#life;
    this.#underWay = effect.kind;
    this.#attempt(
      () => perform(effect, this.#part),
      (fault) => {
        if (life !== this.#life) return;
        this.#underWay = undefined;
        if (fault !== undefined) this.#failed(effect.kind, fault);
        this.#run();
      },
    );
  }

  /** Begins to save. Its end is an input like others. */
  #save(epoch: Epoch): void {
    const life = this.#life;
    const save = ++this.#saves;
    this.#attempt(
      () => this.#part?.task.save(epoch),
      (fault) => {
        if (save !== this.#saves || life !== this.#life) return;
        const now = this.#now;
        this.feed(
          fault === undefined ? { kind: 'saved', now } : { kind: 'failed', effect: 'save', reason: fault, now },
        );
      },
    );
  }

  #attempt(act: () => Result, ended: (fault: string | undefined) => void): void {
    let pending: Result;
    try {
      pending = act();
    } catch (error) {
      ended(messageOf(error));
      return;
    }
    if (pending === undefined) {
      ended(undefined);
      return;
    }
    pending((now, fault) => {
      this.#now = now;
      ended(fault);
    });
  }

  #failed(effect: ParticipantEffect['kind'], reason: string): void {
    const step = this.#step;
    this.#part?.onFault?.(effect, reason);
    if (step === undefined || step.undoes) return;
    // The rest of the step is dropped, and the answer takes its place before anything that waits.
    this.#begin({ input: { kind: 'failed', effect, reason, now: this.#now }, done: step.done });
  }
}
