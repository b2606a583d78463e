import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { SharedRecord, SharedRecords } from '../../orchestrator/index.ts';
import { NO_STATE, fromRecord, toRecord, type LockHolder, type LockState } from './state.ts';

/** A holder that is not heard of for so long has lost its lock: longer than managers take to choose another leader. Milliseconds. */
export const LEASE_MS = 20_000;
/** How often a holder renews its lease; whoever comes second sees after this time that it lives. Milliseconds. */
export const RENEW_MS = 2_000;
/** Whoever waits for a lease to end waits this much longer than it lasts: clocks do not run equally fast. */
const DRIFT = 1.1;
/** A step that must not be taken without the lock begins only while the lease has this much left. Milliseconds. */
const LEFT_MS = 5_000;
/** How long a holder tries to learn whether something was written, and whether it still has the lock. Milliseconds. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 250;
const LOOK_MS = 100;

/** Time as a lease sees it: never a wall clock. */
export interface LeaseTime {
  /** Milliseconds since some moment. */
  now(): number;
  /** @throws the signal's reason */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls again and again. @returns what ends it */
  every(ms: number, call: () => void): () => void;
}

export interface AcquireOptions {
  readonly records: SharedRecords;
  readonly name: string;
  readonly holder: Omit<LockHolder, 'leaseMs'>;
  readonly time: LeaseTime;
  readonly signal: AbortSignal;
  /** A lock whose holder lives is waited for for so long. Milliseconds. */
  readonly waitMs: number;
  /** Whether a holder is known to be gone, so that nobody need wait for its lease to end. */
  isGone(holder: LockHolder): boolean;
  /** Told once if it has to be waited whether the holder lives. @param atMostMs until its lease ends */
  onSilence(holder: LockHolder, atMostMs: number): void;
  /** @returns what is thrown when somebody else has the lock, and lives */
  refusal(holder: LockHolder): SwarmcutError;
}

/** It is not known whether something was written, and cannot be found out: neither that it was nor that it was not may be acted upon. */
export class InDoubtError extends SwarmcutError {
  constructor(cause: unknown) {
    super('unreachable', `the cluster's state cannot be reached: ${messageOf(cause)}`, {
      advice:
        'what is under way stands as it is, and is finished forward or back when the managers answer again: by itself, or by the next command on the stack, on whatever manager',
      cause,
    });
  }
}

/** Somebody else has the lock. Nothing may be done or undone any more: that one does it. */
export class LockLostError extends SwarmcutError {
  constructor(text: string) {
    super('conflict', text, {
      advice:
        'this command has stopped and has changed nothing since; whoever has taken over finishes or undoes what it had begun',
    });
  }
}

/** Waits until the lock can be had. @throws SwarmcutError what `refusal` says; whatever keeps the record from being read */
export async function acquireLease(options: AcquireOptions): Promise<Lease> {
  const { records, name, time, signal } = options;
  const holder = { ...options.holder, leaseMs: LEASE_MS };
  const until = time.now() + options.waitMs;
  const watch = new Watch(options);
  for (;;) {
    signal.throwIfAborted();
    const seen = await watch.read();
    const state = seen === undefined ? NO_STATE : fromRecord(seen.value);
    if (seen !== undefined && state.holder !== undefined && !options.isGone(state.holder)) {
      const found = watch.look(seen, state.holder);
      if (found === 'lives' && time.now() >= until) throw options.refusal(state.holder);
      if (found !== 'has ended') {
        await time.pause(LOOK_MS, signal);
        continue;
      }
    }
    const sentAt = time.now();
    const mine = toRecord({ ...state, holder, writes: 0 });
    const trouble = await attempt(() =>
      seen === undefined ? records.create(name, mine) : records.replace(seen, mine),
    );
    const now = await again(time, () => records.read(name));
    const taken = now === undefined ? NO_STATE : fromRecord(now.value);
    if (now !== undefined && taken.holder?.nonce === holder.nonce)
      return new Lease(options, now, taken, sentAt + LEASE_MS);
    // Else somebody was faster.
    if (trouble !== undefined) throw trouble as Error;
  }
}

/** Judges from the outside whether the holder of a record lives: by nothing but how long the record stays as it is. */
class Watch {
  readonly #options: AcquireOptions;
  #version: number | undefined;
  #nonce = '';
  #sinceMs = 0;
  #told = false;

  constructor(options: AcquireOptions) {
    this.#options = options;
  }

  /**
   * The record. While it is watched, a reading that fails is repeated, and the watch begins anew: its holder could not be heard either.
   * @throws what kept it from being read at first, or for long
   */
  async read(): Promise<SharedRecord | undefined> {
    const { records, name, time, signal } = this.#options;
    const begunMs = time.now();
    for (;;) {
      try {
        return await records.read(name);
      } catch (error) {
        if (this.#nonce === '' || time.now() - begunMs > PATIENCE_MS) throw error;
        this.#version = undefined;
        await time.pause(RETRY_MS, signal);
      }
    }
  }

  /** To be called after the record has been read. */
  look({ version }: SharedRecord, holder: LockHolder): 'lives' | 'has ended' | 'not known' {
    const now = this.#options.time.now();
    if (version !== this.#version) {
      const renewed = this.#version !== undefined && this.#nonce === holder.nonce;
      [this.#version, this.#nonce, this.#sinceMs] = [version, holder.nonce, now];
      return renewed ? 'lives' : 'not known';
    }
    const silentMs = now - this.#sinceMs;
    const atMostMs = holder.leaseMs * DRIFT;
    if (silentMs >= atMostMs) return 'has ended';
    if (silentMs > 1.5 * RENEW_MS && !this.#told) {
      this.#told = true;
      this.#options.onSilence(holder, Math.ceil(atMostMs - silentMs));
    }
    return 'not known';
  }
}

/**
 * A lock that is ours for as long as we renew it. What must not be done without it asks {@link sure} first; what is written through
 * {@link update} is written by its holder or not at all, however late it comes.
 */
export class Lease {
  /** Higher than that of everybody who had the lock before: whoever has heard of it takes no orders from those. */
  readonly token: number;
  readonly #options: AcquireOptions;
  readonly #nonce: string;
  readonly #lost = new AbortController();
  readonly #stopRenewing: () => void;
  #record: SharedRecord;
  #state: LockState;
  #validUntilMs: number;
  #queue: Promise<unknown> = Promise.resolve();
  #writes = 0;
  #renewing = false;
  #released = false;

  constructor(options: AcquireOptions, record: SharedRecord, state: LockState, validUntilMs: number) {
    this.#options = options;
    this.#nonce = options.holder.nonce;
    this.#record = record;
    this.#state = state;
    this.#validUntilMs = validUntilMs;
    this.token = record.version;
    this.#stopRenewing = options.time.every(RENEW_MS, () => this.#renew());
  }

  /** What is written in the record. Nobody else changes it while we have the lock. */
  get state(): LockState {
    return this.#state;
  }

  /** Aborted, with a {@link LockLostError}, when somebody else has the lock. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Ends when it is sure that nobody else has the lock, now and for some seconds: at once while the lease is young, else after it has been renewed.
   * @throws LockLostError; InDoubtError when it cannot be found out
   */
  async sure(): Promise<void> {
    while (!this.#isYoung()) {
      this.#throwIfLost();
      await this.update((state) => state);
    }
    this.#throwIfLost();
  }

  /**
   * Changes what is written. When this has returned, all managers see it; if it throws a LockLostError, nobody ever will. It may have been written
   * before the lock was lost, too: then that is in doubt here, and whoever has the lock knows.
   * @throws LockLostError; InDoubtError
   */
  update(change: (state: LockState) => LockState): Promise<void> {
    return this.#serially(() => this.#write(change, PATIENCE_MS));
  }

  /** Gives the lock back. Never throws: a lock that cannot be given back ends with its lease. Again: no effect. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#stopRenewing();
    await this.#serially(async () => {
      if (!this.lost.aborted) await this.#write((state) => ({ ...state, holder: undefined }), RETRY_MS);
    }).catch(() => undefined);
  }

  #isYoung(): boolean {
    return this.#options.time.now() < this.#validUntilMs - LEFT_MS;
  }

  #throwIfLost(): void {
    if (this.lost.aborted) throw this.lost.reason as Error;
  }

  #renew(): void {
    if (this.#renewing || this.#released || this.lost.aborted) return;
    this.#renewing = true;
    // One that fails is followed by another; that the lock is lost is told by the signal.
    void this.#serially(() => this.#write((state) => state, 0))
      .catch(() => undefined)
      .finally(() => (this.#renewing = false));
  }

  async #write(change: (state: LockState) => LockState, patienceMs: number): Promise<void> {
    const { records, name, time } = this.#options;
    const writes = ++this.#writes;
    const sentAt = time.now();
    let maybeWritten = false;
    for (;;) {
      this.#throwIfLost();
      const wanted = { ...change(this.#state), writes };
      const value = toRecord(wanted);
      let refused = false;
      let trouble = await attempt(async () => void (refused = !(await records.replace(this.#record, value))));
      maybeWritten ||= !refused;
      const seen = await records.read(name).catch((error: unknown) => {
        trouble = error;
        return null;
      });
      if (seen !== null && this.#takeIn(seen, wanted, maybeWritten)) {
        // From the first attempt on: any of them may have been the one that was heard.
        this.#validUntilMs = sentAt + LEASE_MS;
        return;
      }
      if (time.now() - sentAt >= patienceMs) throw new InDoubtError(trouble);
      await time.pause(RETRY_MS);
    }
  }

  /** @returns whether what we wanted is written. It may also be something that we wrote earlier and were not told of. */
  #takeIn(seen: SharedRecord | undefined, wanted: LockState, maybeWritten: boolean): boolean {
    const state = seen === undefined ? NO_STATE : fromRecord(seen.value);
    if (seen === undefined || state.holder?.nonce !== this.#nonce) {
      // Given back: nobody has it, or the next one already.
      if (wanted.holder === undefined) return true;
      const lost = this.#lose(seen === undefined ? 'its record was removed' : takenBy(state.holder));
      throw maybeWritten ? new InDoubtError(lost) : lost;
    }
    this.#record = seen;
    this.#state = state;
    return state.writes === wanted.writes;
  }

  #lose(how: string): LockLostError {
    const { name, holder } = this.#options;
    const error = new LockLostError(`this ${holder.command} (id ${holder.id}) no longer has the lock ${name}: ${how}`);
    this.#stopRenewing();
    this.#lost.abort(error);
    return error;
  }

  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function takenBy(holder: LockHolder | undefined): string {
  if (holder === undefined) return 'another command has had it meanwhile';
  return `a ${holder.command} (id ${holder.id}) on node ${holder.node} took it at ${holder.since}, since this one had not been heard of for ${LEASE_MS / 1000} s`;
}

/** What became of it is seen when the record is read again. @returns what it threw */
async function attempt(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A reading that fails is repeated for a while: something may have been written. */
async function again<T>(time: LeaseTime, call: () => Promise<T>): Promise<T> {
  for (let left = 4; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left === 0) throw error;
      await time.pause(RETRY_MS);
    }
  }
}
