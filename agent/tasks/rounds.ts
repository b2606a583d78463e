import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DumpTimes, TaskCheckpoint } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { followed } from '../../src/platform/activity.ts';
import { taskKey, type TaskRef } from '../../src/model/task.ts';
import { collectCheckpoint } from '../checkpoints/collect.ts';
import type { PartStore } from '../checkpoints/store/index.ts';
import type { PartSealing } from '../../src/storage/encryption/part-sealing.ts';
import { round, type Keeper } from './holder.ts';
import { openRoundSession, type PrepareOptions, type RoundSession, type RoundSessionOptions } from './round-session.ts';
import { SidecarRunner } from './sidecar-runner.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

export interface RoundsOptions extends RoundSessionOptions {
  readonly store: PartStore;
}

/** The rounds in which tasks of this node take part, until they are over or a relocation has taken the task over (held-tasks.ts). */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #sessions = new Map<string, RoundSession>();
  /** Prepares under way, so that a repeated call joins. */
  readonly #preparing = new Map<string, Promise<RoundSession>>();

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Whether tasks of this node take part in a round, or are about to. */
  has(snapshotId: string): boolean {
    const preparing = [...this.#preparing.keys()].some((key) => key.startsWith(`${snapshotId}/`));
    return preparing || [...this.#sessions.values()].some((session) => session.snapshotId === snapshotId);
  }

  /** Attaches the interceptor and gets everything ready that need not be done while frozen. */
  async prepare(options: PrepareOptions): Promise<void> {
    const { snapshotId, task } = options;
    const known = this.#sessions.get(task.containerId);
    if (known?.snapshotId === snapshotId) return;
    try {
      this.#options.held.mayTake(round(snapshotId), task.containerId);
      const key = `${snapshotId}/${task.containerId}`;
      const preparing = this.#preparing.get(key) ?? this.#prepare(options).finally(() => this.#preparing.delete(key));
      this.#preparing.set(key, preparing);
      await preparing;
    } catch (error) {
      throw error instanceof SwarmcutError ? at(task, error) : error;
    }
  }

  /** Starts the participant and waits for its report. */
  async cut(snapshotId: string, task: TaskRef, epoch: number): Promise<DumpTimes> {
    const session = this.#session(snapshotId, task);
    using _task = followed(() => session.task.progress());
    using _markers = followed(() => session.runner.progress?.() ?? { doing: '', mark: '' });
    const outcome = await session.runner.cut(epoch);
    if (outcome.kind === 'aborted') throw gaveUp(task, reasonOf(outcome.reason, session), session.task.failure);
    return session.task.times;
  }

  async release(snapshotId: string, task: TaskRef): Promise<void> {
    const session = this.#session(snapshotId, task);
    await session.runner.feed({ kind: 'release' });
    const { outcome } = session.runner;
    if (outcome?.kind === 'aborted')
      throw new SwarmcutError('failed', reasonOf(outcome.reason, session), { where: place(task) });
  }

  /** Moves the dump from the stage into the store. @param sealing encrypts it on the way */
  async collect(snapshotId: string, task: TaskRef, inMemory: boolean, sealing?: PartSealing): Promise<TaskCheckpoint> {
    const session = this.#session(snapshotId, task);
    const { staged } = session.task;
    const { runner, stageDir } = session;
    if (session.collected === undefined && runner.outcome?.kind === 'aborted')
      throw new SwarmcutError('failed', reasonOf(runner.outcome.reason, session), { where: place(task) });
    if (session.collected === undefined && staged === undefined) {
      throw new SwarmcutError('precondition', 'there is no dump of this task to collect', { where: place(task) });
    }
    const { store, ledger } = this.#options;
    session.collected ??= (async () => {
      if (staged === undefined) throw new SwarmcutError('internal', 'no dump');
      await failPoint('agent.collect');
      const channels = runner instanceof SidecarRunner ? await runner.collect(join(stageDir, 'channels')) : undefined;
      const checkpoint = await collectCheckpoint({
        task,
        staged,
        times: session.task.times,
        aliases: session.aliases,
        store,
        owner: ownerOf(snapshotId, task),
        inMemory,
        sealing,
        ...(channels === undefined ? {} : { channels }),
      });
      await failPoint('agent.record');
      await ledger.record(snapshotId, checkpoint, ownerOf(snapshotId, task));
      await rm(stageDir, { recursive: true, force: true });
      return checkpoint;
    })();
    return session.collected;
  }

  /** The checkpoints are permanent; what the round attached is detached. */
  async finish(snapshotId: string): Promise<void> {
    await failPoint('agent.finish');
    const { ledger, held } = this.#options;
    if (ledger.has(snapshotId)) await ledger.setState(snapshotId, 'permanent');
    await this.#endSessions(snapshotId, async (session) => {
      await session.runner.finish();
      await held.giveBack(session.held);
    });
  }

  /** Discards, unblocks, thaws, detaches; also tasks that a relocation has taken over. Unknown snapshots are no error. */
  async abort(snapshotId: string, reason: string): Promise<void> {
    const { held } = this.#options;
    held.close(round(snapshotId));
    await failPoint('agent.abort');
    await Promise.allSettled(
      [...this.#preparing].filter(([key]) => key.startsWith(`${snapshotId}/`)).map(([, preparing]) => preparing),
    );
    await held.release(round(snapshotId), reason);
    await this.#discard(snapshotId);
  }

  /** Checkpoints that are permanent outlive the tasks that they are of. */
  async #discard(snapshotId: string): Promise<void> {
    const { ledger } = this.#options;
    // What is committed stays: such an order comes too late, from somebody who does not know it.
    if (ledger.has(snapshotId) && ledger.get(snapshotId).state === 'permanent') return;
    await ledger.remove(snapshotId);
  }

  async #prepare(options: PrepareOptions): Promise<RoundSession> {
    const made: { session?: RoundSession } = {};
    const keeper: Keeper = {
      letGo: async (reason) => {
        if (made.session !== undefined) await this.#letGo(made.session, reason);
      },
      handedOver: () => {
        if (made.session !== undefined) this.#end(made.session);
      },
    };
    await failPoint('agent.prepare');
    made.session = await openRoundSession(options, this.#options, keeper);
    this.#sessions.set(options.task.containerId, made.session);
    return made.session;
  }

  /** The task runs on, and nothing is kept of it. */
  async #letGo(session: RoundSession, reason: string): Promise<void> {
    const { runner, ref, snapshotId, stageDir } = session;
    const { ledger } = this.#options;
    await runner.feed({ kind: 'abort', reason });
    await runner.finish();
    await session.collected?.catch(() => undefined);
    await ledger.release(ownerOf(snapshotId, ref));
    await rm(stageDir, { recursive: true, force: true });
    // Who gives up what was handed over knows nothing of the round.
    if (this.#sessions.get(ref.containerId) !== session) await this.#discard(snapshotId);
    else this.#end(session);
  }

  #session(snapshotId: string, task: TaskRef): RoundSession {
    const session = this.#sessions.get(task.containerId);
    if (session?.snapshotId === snapshotId) return session;
    throw new SwarmcutError(
      'not-found',
      `the agent does not know this task in round ${snapshotId}: it was restarted, or gave the round up`,
      {
        where: place(task),
        advice: 'take the snapshot again',
      },
    );
  }

  async #endSessions(snapshotId: string, act: (session: RoundSession) => Promise<void>): Promise<void> {
    const sessions = [...this.#sessions.values()].filter((session) => session.snapshotId === snapshotId);
    const results = await Promise.allSettled(
      sessions.map(async (session) => {
        await act(session);
        this.#end(session);
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Deadlines of the round count no more for this task. */
  #end(session: RoundSession): void {
    session.runner.close();
    this.#sessions.delete(session.ref.containerId);
  }
}

/** With what was under way in the task when it was let go. */
function reasonOf(reason: string, { task }: RoundSession): string {
  return task.interrupted === undefined ? reason : `${reason}: ${task.interrupted}`;
}

/** Whose pins keep a task's parts until the ledger names them: the task's own, since tasks are recorded one by one. */
function ownerOf(snapshotId: string, task: TaskRef): string {
  return `${snapshotId}/${taskKey(task)}`;
}

function place(task: TaskRef): { service: string; slot: string } {
  return { service: task.service, slot: task.slot };
}

/**
 * The error of a cut that came to nothing.
 * @param failure of its own dump, if it was that: what is known about it besides the reason must reach the user, too
 */
function gaveUp(task: TaskRef, reason: string, failure: unknown): SwarmcutError {
  const known = failure instanceof SwarmcutError && reason.includes(failure.message) ? failure : undefined;
  const unharmed = 'the task runs on; nothing was kept';
  return new SwarmcutError(known?.code ?? 'failed', reason, {
    where: { ...place(task), ...known?.where },
    advice: known?.advice === undefined ? unharmed : `${known.advice}; ${unharmed}`,
    ...(known === undefined ? {} : { cause: known }),
  });
}

function at(task: TaskRef, error: SwarmcutError): SwarmcutError {
  const { code, message, where, advice } = error;
  return new SwarmcutError(code, message, {
    where: { ...place(task), ...where },
    cause: error,
    ...(advice === undefined ? {} : { advice }),
  });
}
