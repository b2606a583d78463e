import { setTimeout as sleep } from 'node:timers/promises';

/** How {@link poll} looks. */
export interface PollOptions {
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Aborted: no more looks; the reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Looks again and again, the first time at once and the last time when the time is up, until something is there.
 * @param look undefined: not yet. What it throws is thrown.
 * @returns what it saw, or undefined when `timeoutMs` have passed
 * @throws the signal's reason
 */
export async function poll<T>(
  look: () => T | undefined | Promise<T | undefined>,
  { timeoutMs, intervalMs, signal }: PollOptions,
): Promise<T | undefined> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const seen = await look();
    if (seen !== undefined || performance.now() >= until) return seen;
    await pause(intervalMs, signal);
  }
}

/** Waits. @throws the signal's reason, at once when it is aborted */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * The answer, if it comes in time; else fails with `late`. The work itself goes on: whoever can end it should have it look at a signal. For short
 * things; what may take long on a busy machine has a {@link ProgressDeadline}.
 */
export async function within<T>(answer: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => afterInput(() => reject(late())), timeoutMs);
  });
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** How far some work is. */
export interface Progress {
  /** For people: `CRIU has written 312 of some 1130 MB`. */
  readonly doing: string;
  /** Differs from an earlier one if and only if something was done in between. */
  readonly mark: string;
}

/** How it stood when a {@link ProgressDeadline} passed. */
export interface Passed {
  /** The last that was heard of it; '' if nothing was. */
  readonly doing: string;
  /** Since the beginning. */
  readonly forMs: number;
  /** Since the last progress. */
  readonly idleMs: number;
}

export interface ProgressDeadlineOptions {
  /** Longest time without progress. */
  readonly limitMs: number;
  /** The error that it ends with. */
  readonly late: (passed: Passed) => Error;
}

/** Between two looks at a limit. Milliseconds. */
const LOOK_MS = 1_000;

/**
 * A deadline for work that may take as long as it takes, if only it gets on: it passes when nothing was done for `limitMs`. Time in which this
 * process itself had no processor hardly counts: it could not have heard of any progress. To be disposed of when the work has ended.
 */
export class ProgressDeadline {
  readonly #options: ProgressDeadlineOptions;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #beganAt = performance.now();
  readonly #everyMs: number;
  #touchedAt = this.#beganAt;
  #lookedAt = this.#beganAt;
  #idleMs = 0;
  #doing = '';
  #mark = '';

  constructor(options: ProgressDeadlineOptions) {
    this.#options = options;
    this.#everyMs = Math.max(1, Math.min(LOOK_MS, options.limitMs / 4));
    this.#timer = setInterval(() => this.#look(), this.#everyMs);
  }

  /** Aborted, with the error, when it has passed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** How it stands now. */
  get passed(): Passed {
    const now = performance.now();
    return { doing: this.#doing, forMs: now - this.#beganAt, idleMs: now - this.#touchedAt };
  }

  /** Something was done. @param doing what is being done from now on */
  touch(doing = this.#doing): void {
    this.#doing = doing;
    this.#touchedAt = performance.now();
    this.#idleMs = 0;
  }

  /** Compares with what was noted before. @returns whether something was done in between */
  note({ doing, mark }: Progress): boolean {
    const done = mark !== this.#mark;
    this.#mark = mark;
    this.#doing = doing;
    if (done) this.touch();
    return done;
  }

  /** @throws the error, when it has passed */
  check(): void {
    this.signal.throwIfAborted();
  }

  /** The answer, if this does not pass before. The work itself goes on: it should have {@link signal}. */
  async guard<T>(answer: Promise<T>): Promise<T> {
    this.check();
    let late: (() => void) | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      late = () => reject(this.signal.reason as Error);
      this.signal.addEventListener('abort', late, { once: true });
    });
    try {
      return await Promise.race([answer, tooLate]);
    } finally {
      if (late !== undefined) this.signal.removeEventListener('abort', late);
    }
  }

  /** The work has ended: it passes no more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#idleMs += Math.min(now - this.#lookedAt, this.#everyMs);
    this.#lookedAt = now;
    if (this.#idleMs < this.#options.limitMs) return;
    afterInput(() => {
      if (this.#idleMs < this.#options.limitMs || this.signal.aborted) return;
      clearInterval(this.#timer);
      this.#abort.abort(this.#options.late(this.passed));
    });
  }
}

/** `no progress for 60 s, after 98 s in all, while CRIU dumps pages`. */
export function passedText({ doing, forMs, idleMs }: Passed): string {
  const inAll = forMs - idleMs < 1_000 ? '' : `, after ${seconds(forMs)} in all`;
  return `no progress for ${seconds(idleMs)}${inAll}${doing === '' ? '' : `; last heard: ${doing}`}`;
}

/** `0.05 s`, `98 s`. */
export function seconds(ms: number): string {
  return `${ms >= 10_000 ? Math.round(ms / 1000) : Number((ms / 1000).toFixed(2))} s`;
}

/**
 * When what has come in meanwhile was dealt with. Timers of a process that had no processor for a while are due before it has read what was
 * waiting for it.
 */
function afterInput(act: () => void): void {
  // Immediates run behind the reading; what is read may itself be answered behind it.
  setImmediate(() => setImmediate(act));
}
