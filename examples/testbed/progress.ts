/** How long operations on a bed tell what they are doing, and wait for what they need. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestbedError } from './layout.ts';

/** One line of progress. */
export interface Progress {
  /** Milliseconds since the operation began. */
  readonly elapsedMs: number;
  /** What is being done or waited for, or what went wrong without being fatal. */
  readonly message: string;
  readonly level: 'info' | 'warning';
}

/** Receives progress; must not throw. */
export type Report = (progress: Progress) => void;

/** Turns messages into {@link Progress} with the time since its making. */
export class Reporter {
  readonly #report: Report;
  readonly #startMs = performance.now();

  constructor(report: Report | undefined) {
    this.#report = report ?? ((): void => undefined);
  }

  info(message: string): void {
    this.#report({ elapsedMs: performance.now() - this.#startMs, message, level: 'info' });
  }

  warning(message: string): void {
    this.#report({ elapsedMs: performance.now() - this.#startMs, message, level: 'warning' });
  }
}

/** Bounds of {@link waitFor}. */
export interface WaitOptions {
  /** Milliseconds until it gives up. */
  readonly timeoutMs: number;
  /** Milliseconds between two looks. Default 100. */
  readonly intervalMs?: number;
  /** Where to look when it gives up, appended to the error. */
  readonly hint?: string;
}

/**
 * Calls `look` until it returns something other than `undefined` or `false`, and returns that.
 * An error thrown by `look` counts as "not yet" and is named if time runs out.
 *
 * @throws TestbedError when `timeoutMs` have passed.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  options: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) break;
    await sleep(options.intervalMs ?? 100);
  }
  const why = last instanceof Error ? `: ${last.message}` : '';
  const hint = options.hint === undefined ? '' : ` (${options.hint})`;
  throw new TestbedError(`${what}: not within ${Math.round(options.timeoutMs / 1000)} s${why}${hint}`);
}

/** The error's message, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
