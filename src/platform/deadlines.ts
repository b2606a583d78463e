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

/** The answer, if it comes in time; else fails with `late`. The work itself goes on: whoever can end it should have it look at a signal. */
export async function within<T>(answer: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), timeoutMs);
  });
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
