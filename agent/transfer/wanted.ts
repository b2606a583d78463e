import { AsyncLocalStorage } from 'node:async_hooks';
import { SwarmcutError } from '../../src/model/errors.ts';
import { megabytes } from '../../src/model/size.ts';
import { didSome } from '../../src/platform/activity.ts';

/** A checkpoint has a hundred parts, each of which would be a message to the coordinator. */
const REPORT_EVERY_MS = 100;

/** A node that has parts: its name (as in its certificate) and `host:port` of its agent. */
export interface PartSource {
  readonly node: string;
  readonly address: string;
}

/** A part that is not here yet. */
export interface Wanted {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** What a source has sent instead of a part. */
export function broken(node: string, sha256: string, problem: string): SwarmcutError {
  return new SwarmcutError('damaged', `node ${node} sent part ${sha256} with ${problem}`, { where: { node } });
}

/** How far a fetch is, for the call in which it is made: bytes come in on connections that were made in others. */
export class Progress {
  readonly #inCall = AsyncLocalStorage.snapshot();
  #done = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  readonly #total: number;
  readonly #report: ((doneBytes: number, totalBytes: number) => void) | undefined;

  constructor(total: number, report: ((doneBytes: number, totalBytes: number) => void) | undefined) {
    this.#total = total;
    this.#report = report;
  }

  /** Negative: a source has failed, and what came from it does not count. */
  add(bytes: number): void {
    this.#inCall(() => this.#add(bytes));
  }

  #add(bytes: number): void {
    this.#done += bytes;
    didSome();
    const now = performance.now();
    if (now - this.#reportedAt < REPORT_EVERY_MS && this.#done < this.#total) return;
    this.#reportedAt = now;
    didSome(`${megabytes(this.#done)} of ${megabytes(this.#total)} are here`);
    this.#report?.(this.#done, this.#total);
  }
}
