import { randomUUID } from 'node:crypto';
import { SwarmcutError } from '../model/errors.ts';
import { ProgressDeadline, passedText, seconds, type Passed, type Progress } from '../platform/deadlines.ts';
import type { CallPlace } from './status.ts';

/** A call that is answered sooner is not asked about. Also the time between two questions. Milliseconds. */
const ASK_EVERY_MS = 2_000;

/** Asks the agent what these calls are at. @returns by call, without those that it does not know; rejects when there is no answer */
export type AskProgress = (calls: readonly string[]) => Promise<ReadonlyMap<string, Progress>>;

/** A call that has not been answered yet. */
export interface WatchedCall extends Disposable {
  /** What names it to the agent. */
  readonly id: string;
  /** Aborted, with the error, when it gets on no more. */
  readonly signal: AbortSignal;
}

interface Watched {
  readonly deadline: ProgressDeadline;
  readonly onProgress: ((doing: string) => void) | undefined;
}

/**
 * The calls to one agent that are not answered yet. For as long as there are any, the agent is asked what they are at: one that gets on takes as long
 * as it takes. An agent that is slow is told from one that does not answer at all.
 */
export class CallWatch {
  readonly #ask: AskProgress;
  readonly #calls = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;
  /** When the agent last answered such a question. */
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(ask: AskProgress) {
    this.#ask = ask;
  }

  /** @param onProgress told when the call has got on */
  watch(place: CallPlace, onProgress?: (doing: string) => void): WatchedCall {
    const id = randomUUID();
    const deadline = new ProgressDeadline({
      limitMs: place.deadlineMs,
      late: (passed) => this.#lateness(place, passed),
    });
    this.#calls.set(id, { deadline, onProgress });
    this.#timer ??= setInterval(() => void this.#look(), ASK_EVERY_MS);
    return {
      id,
      signal: deadline.signal,
      [Symbol.dispose]: () => {
        deadline[Symbol.dispose]();
        this.#calls.delete(id);
        if (this.#calls.size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    let progress: ReadonlyMap<string, Progress>;
    try {
      progress = await this.#ask([...this.#calls.keys()]);
    } catch {
      // The calls themselves will hear that the connection is broken.
      return;
    }
    this.#heardAt = performance.now();
    for (const [id, seen] of progress) {
      const call = this.#calls.get(id);
      if (call?.deadline.note(seen) === true) call.onProgress?.(seen.doing);
    }
  }

  #lateness({ node, address, method }: CallPlace, passed: Passed): SwarmcutError {
    const agent = `the agent of node ${node} (${address})`;
    const silent = performance.now() - this.#heardAt > passed.idleMs;
    const message = silent
      ? `${agent} did not answer ${method}, nor anything else, within ${seconds(passed.idleMs)}`
      : `${agent} answers, but ${method} has made ${passedText(passed)}`;
    return new SwarmcutError('unreachable', message, {
      where: { node },
      advice: silent
        ? 'is the node there, and can it be reached? `systemctl status swarmcut-agent` and `journalctl -u swarmcut-agent` on it'
        : 'see what keeps it: `journalctl -u swarmcut-agent` on the node, and how busy its processors and disks are',
    });
  }
}
