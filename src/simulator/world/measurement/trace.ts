import { combine } from '../prng.ts';

/** One thing that happened. Times in microseconds. */
export interface TraceEvent {
  readonly time: number;
  readonly process: string;
  readonly kind: string;
  readonly subject: string | undefined;
  readonly number: number | undefined;
}

/** What happened in a run: always a digest of it, and all of it when asked to. */
export class Trace {
  readonly events: TraceEvent[] = [];
  readonly kept: boolean;
  #digest = 0;

  constructor(kept: boolean) {
    this.kept = kept;
  }

  add(time: number, process: string, kind: string, subject?: string, number?: number): void {
    this.count(time, kind, number ?? 0);
    if (this.kept) this.events.push({ time, process, kind, subject, number });
  }

  /** For readers only: not in the digest. */
  remark(time: number, process: string, kind: string, subject?: string, number?: number): void {
    if (this.kept) this.events.push({ time, process, kind, subject, number });
  }

  /** The digest's part of {@link add}, for a trace that is not kept. */
  count(time: number, kind: string, number: number): void {
    this.#digest = combine(combine(this.#digest, time | 0), combine(kind.charCodeAt(0) + kind.length, number));
  }

  /** Equal for equal runs. Eight hexadecimal digits. */
  get digest(): string {
    return this.#digest.toString(16).padStart(8, '0');
  }

  /** One line per event: time in milliseconds, who, what. */
  lines(): string[] {
    return this.events.map(({ time, process, kind, subject, number }) =>
      [(time / 1000).toFixed(3).padStart(9), process, kind, subject, number]
        .filter((part) => part !== undefined)
        .join(' '),
    );
  }
}
