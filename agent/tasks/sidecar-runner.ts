import { z } from 'zod';
import type { Epoch, ParticipantOutcome } from '../../src/algorithms/index.ts';
import { streamCutSchema } from '../../src/model/checkpoint.ts';
import { messageOf } from '../../src/model/errors.ts';
import { within, type Progress } from '../../src/platform/deadlines.ts';
import type { TaskHandle, TaskHost } from '../../src/execution/real-time-executor.ts';
import type { TaskSidecar } from '../sidecars/task-sidecar.ts';
import type { SidecarRecord } from '../checkpoints/collect.ts';
import type { TaskRunner } from './participant-runner.ts';

/** The participant in the sidecar aborts at its deadline by itself. If nothing is heard of it for this much longer, it is taken for dead. */
const DEADLINE_MARGIN_MS = 1_000;

/** A sidecar that is told to give up and has not done so after this long (CRIU must come to its end) is taken for dead. Milliseconds. */
const ABORT_TIMEOUT_MS = 5_000;

/** Longest wait for a sidecar to say how far its round is. Milliseconds. */
const STATUS_TIMEOUT_MS = 2_000;

/** Deadline of a participant whose task is kept frozen: the agent watches over it, since it may be put off (agent/tasks/held-tasks.ts). */
const KEPT_DEADLINE_MS = 24 * 3_600_000;

const collectedSchema = z.object({ streams: z.array(streamCutSchema) });

export interface SidecarRunnerOptions {
  readonly sidecar: Pick<TaskSidecar, 'call' | 'host' | 'onLost'>;
  readonly task: TaskHandle;
  readonly epoch: Epoch;
  readonly deadlineMs: number;
  readonly keepFrozen: boolean;
  readonly log: (message: string, details: object) => void;
}

/**
 * A round whose participant runs in the task's sidecar, where the markers are; it asks back for what is to be done to the container. The
 * participant may begin by a marker before the coordinator's `cut` comes. A sidecar that dies takes the round with it: the task is
 * let go here then.
 */
export class SidecarRunner implements TaskRunner {
  readonly #options: SidecarRunnerOptions;
  readonly #ignoreLoss: () => void;
  #blocked = false;
  #outcome: ParticipantOutcome | undefined;
  #waiting: ((outcome: ParticipantOutcome) => void)[] = [];
  #deadline: NodeJS.Timeout | undefined;
  /** There is nothing to be watched over any more. */
  #closed = false;
  /** What is being undone because the sidecar has died. */
  #undoing: Promise<void> | undefined;

  private constructor(options: SidecarRunnerOptions) {
    this.#options = options;
    this.#ignoreLoss = options.sidecar.onLost((reason) => void this.#lost(`its sidecar has died: ${reason}`));
  }

  /** Announces the round to the sidecar. @throws SwarmcutError when the sidecar does not answer */
  static async prepare(options: SidecarRunnerOptions): Promise<SidecarRunner> {
    const { sidecar, epoch, deadlineMs, keepFrozen } = options;
    const runner = new SidecarRunner(options);
    sidecar.host = runner.#host();
    try {
      await sidecar.call('prepare', {
        epoch,
        deadlineMs: keepFrozen ? KEPT_DEADLINE_MS : deadlineMs,
        keepFrozen,
      });
    } catch (error) {
      runner.#detach();
      throw error;
    }
    return runner;
  }

  async cut(epoch: Epoch): Promise<ParticipantOutcome> {
    if (this.#outcome !== undefined) return this.#outcome;
    const reported = new Promise<ParticipantOutcome>((resolve) => this.#waiting.push(resolve));
    this.#watch();
    this.#options.sidecar.call('start', { epoch }).catch((error: unknown) => this.#lost(messageOf(error)));
    return reported;
  }

  async feed(input: { readonly kind: 'release' } | { readonly kind: 'abort'; readonly reason: string }): Promise<void> {
    const { sidecar, epoch } = this.#options;
    try {
      if (input.kind === 'release') await sidecar.call('releaseRound', { epoch });
      else await inTime(sidecar.call('abort', { reason: input.reason }));
    } catch (error) {
      await this.#lost(messageOf(error));
    }
    await this.#undoing;
  }

  get busy(): boolean {
    return this.#blocked;
  }

  get outcome(): ParticipantOutcome | undefined {
    return this.#outcome;
  }

  /** Markers that it still waits for: each is a peer that has got on. */
  async progress(): Promise<Progress> {
    const { round } = await within(
      this.#options.sidecar.call('status'),
      STATUS_TIMEOUT_MS,
      () => new Error('no answer'),
    );
    const awaited = round?.epoch === this.#options.epoch ? round.awaited : 0;
    return { doing: awaited === 0 ? '' : `${awaited} markers are still to come`, mark: String(awaited) };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#deadline);
  }

  async finish(): Promise<void> {
    this.close();
    this.#detach();
    // One that has died meanwhile remembers nothing anyway.
    await inTime(this.#options.sidecar.call('finish')).catch(() => undefined);
  }

  /** Has the sidecar write what it has recorded. @param folder is made */
  async collect(folder: string): Promise<SidecarRecord> {
    const { sidecar, epoch } = this.#options;
    const { streams } = collectedSchema.parse(await sidecar.call('collect', { epoch, folder }));
    return { folder, streams };
  }

  #host(): TaskHost {
    const { task } = this.#options;
    return {
      block: async () => {
        // Before the first step, so that whatever fails in it is undone.
        this.#blocked = true;
        this.#watch();
        await task.block();
      },
      freeze: () => task.freeze(),
      save: (epoch) => task.save(epoch),
      advance: (epoch) => task.advance(epoch),
      unblock: () => task.unblock(),
      thaw: async () => {
        await task.thaw();
        this.#blocked = false;
        // What it waits for from now on, markers of its peers, may take as long as these need.
        this.close();
      },
      discard: () => task.discard(),
      report: (outcome) => {
        this.#report(outcome);
        return Promise.resolve();
      },
    };
  }

  #report(outcome: ParticipantOutcome): void {
    // A marker of another epoch is refused by a report, too; it is not about this round.
    if (outcome.epoch !== this.#options.epoch) return;
    this.#outcome = outcome;
    if (!this.#blocked) this.close();
    for (const resolve of this.#waiting.splice(0)) resolve(outcome);
  }

  /** From now on the task is let go when its time is over, whatever the sidecar does. */
  #watch(): void {
    const { deadlineMs, keepFrozen } = this.#options;
    const afterMs = keepFrozen ? deadlineMs : deadlineMs + DEADLINE_MARGIN_MS;
    if (this.#closed) return;
    this.#deadline ??= setTimeout(() => void this.feed({ kind: 'abort', reason: 'the deadline has passed' }), afterMs);
  }

  /** There is nobody left who would say what to do: everything is undone here. */
  #lost(reason: string): Promise<void> {
    this.#undoing ??= this.#undo(reason);
    return this.#undoing;
  }

  async #undo(reason: string): Promise<void> {
    const { task, sidecar, epoch, log } = this.#options;
    // What a sidecar that lives on after all may still ask for must not meet what is done here.
    sidecar.host = undefined;
    this.close();
    const steps = this.#blocked ? (['discard', 'unblock', 'thaw'] as const) : (['discard'] as const);
    for (const step of steps) {
      await task[step]().catch((error: unknown) => log('effect failed', { effect: step, reason: messageOf(error) }));
    }
    this.#blocked = false;
    this.#report({ kind: 'aborted', epoch, reason });
  }

  #detach(): void {
    this.#ignoreLoss();
    this.#options.sidecar.host = undefined;
  }
}

/** Fails instead of waiting for a sidecar that hangs. */
function inTime<T>(answer: Promise<T>): Promise<T> {
  return within(answer, ABORT_TIMEOUT_MS, () => new Error('its sidecar does not answer'));
}
