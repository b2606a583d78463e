import type { Epoch, Participant, ParticipantOutcome } from '../../src/algorithms/index.ts';
import type { Progress } from '../../src/platform/deadlines.ts';
import { RealTimeExecutor, type TaskHandle, type UntimedInput } from '../../src/execution/real-time-executor.ts';

/** One task's part in a round, wherever its participant runs. */
export interface TaskRunner {
  /** Starts the local checkpoint and waits for the participant's report. Called again, it joins. */
  cut(epoch: Epoch): Promise<ParticipantOutcome>;
  /** Tells it the coordinator's word; resolves when it is done. */
  feed(input: { readonly kind: 'release' } | { readonly kind: 'abort'; readonly reason: string }): Promise<void>;
  /** What it waits for from others, if that can be seen here. */
  progress?(): Promise<Progress>;
  /** True while the task is blocked, frozen or saved on behalf of the round. */
  readonly busy: boolean;
  /** The participant's last report. */
  readonly outcome: ParticipantOutcome | undefined;
  /** Its deadline counts no more: whoever calls this answers for the task. */
  close(): void;
  /** The round is over for this task. */
  finish(): Promise<void>;
}

/** Runs one participant on one task, whose channels nobody sees: that is the kernel interceptor. */
export class ParticipantRunner implements TaskRunner {
  readonly #executor: RealTimeExecutor;

  constructor(participant: Participant, task: TaskHandle, log: (message: string, details: object) => void) {
    this.#executor = new RealTimeExecutor({ log, part: { participant, task } });
  }

  /** Feeds one input; resolves when all its effects have been executed (a `save` only begun). */
  feed(input: UntimedInput): Promise<void> {
    return this.#executor.feed(input);
  }

  /** Starts the local checkpoint and waits for the participant's report. Called again, it joins. */
  cut(epoch: Epoch): Promise<ParticipantOutcome> {
    this.#executor.run();
    void this.#executor.feed({ kind: 'start', epoch });
    return this.#executor.reported();
  }

  /** True while the task is blocked, frozen or saved on behalf of the round. */
  get busy(): boolean {
    return this.#executor.busy;
  }

  /** The participant's last report. */
  get outcome(): ParticipantOutcome | undefined {
    return this.#executor.outcome;
  }

  /** No more ticks. The participant must be at rest. */
  close(): void {
    this.#executor.stop();
  }

  finish(): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
