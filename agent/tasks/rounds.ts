import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithms, type Algorithm } from '../../src/algorithms/index.ts';
import type { DumpTimes, TaskCheckpoint } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { taskKey, type Alias, type TaskRef } from '../../src/model/task.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { Deadman } from '../runtime/criu/deadman.ts';
import { watchedPaths } from '../linux/inotify.ts';
import { keptLogsFolder } from '../runtime/criu/kept-logs.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import { ProxiedTaskInterceptor } from '../network/proxied-task.ts';
import type { TaskInterceptor } from '../network/task-interceptor.ts';
import type { NetworkMemory } from '../network/network-memory.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import type { TaskSidecar } from '../sidecars/task-sidecar.ts';
import type { Ledger, PartStore } from '../checkpoints/store/index.ts';
import { collectCheckpoint } from '../checkpoints/collect.ts';
import { ContainerTask } from './container-task.ts';
import type { Journal } from './journal.ts';
import { ParticipantRunner, type TaskRunner } from './participant-runner.ts';
import { SidecarRunner } from './sidecar-runner.ts';
import { sidecarFor } from './sidecar-check.ts';
import { chooseStage, estimateBytes } from '../checkpoints/stage.ts';

/** How many rounds that were given up an agent remembers. */
const REMEMBERED_ROUNDS = 100;

/** Without a word from the coordinator for this long beyond the freeze, the coming colour is let in again. Milliseconds. */
const COLOUR_MARGIN_MS = 120_000;

export interface PrepareOptions {
  readonly snapshotId: string;
  readonly stack: string;
  readonly algorithm: string;
  readonly epoch: number;
  readonly task: TaskRef;
  readonly subnets: readonly string[];
  readonly deadlineMs: number;
  readonly keepFrozen: boolean;
  readonly aliases: readonly Alias[];
}

export interface RoundsOptions {
  readonly directories: Directories;
  readonly containers: Containers;
  readonly journal: Journal;
  readonly store: PartStore;
  readonly ledger: Ledger;
  readonly memory: NetworkMemory;
  readonly sidecars: Pick<Sidecars, 'of'>;
  readonly log: Logger;
}

interface TaskSession {
  readonly snapshotId: string;
  readonly ref: TaskRef;
  readonly interceptor: TaskInterceptor;
  readonly runc: Runc;
  readonly task: ContainerTask;
  readonly runner: TaskRunner;
  readonly aliases: readonly Alias[];
  readonly stageDir: string;
  readonly prepared: { readonly estimatedBytes: number; readonly stage: 'memory' | 'disk' };
  collected: Promise<TaskCheckpoint> | undefined;
}

/** The rounds in which tasks of this node take part. One container is in at most one round at a time. */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #sessions = new Map<string, TaskSession>();
  /** Prepares under way, so that a repeated call joins. */
  readonly #preparing = new Map<string, Promise<TaskSession>>();
  /** Rounds that were given up lately: an `abort` may overtake a `prepare`, which must then find the round gone. */
  readonly #given = new Set<string>();

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Attaches the interceptor and gets everything ready that need not be done while frozen. */
  async prepare(options: PrepareOptions): Promise<TaskSession['prepared']> {
    const { containerId } = options.task;
    const known = this.#sessions.get(containerId);
    if (known !== undefined) {
      if (known.snapshotId === options.snapshotId) return known.prepared;
      throw new SwarmcutError('conflict', `another round (${known.snapshotId}) has this task`, {
        where: place(options.task),
      });
    }
    if (this.#given.has(options.snapshotId)) {
      throw new SwarmcutError('interrupted', `round ${options.snapshotId} was given up`, {
        where: place(options.task),
      });
    }
    const key = `${options.snapshotId}/${containerId}`;
    const under = this.#preparing.get(key) ?? this.#prepare(options).finally(() => this.#preparing.delete(key));
    this.#preparing.set(key, under);
    return (await under).prepared;
  }

  /** Starts the participant and waits for its report. */
  async cut(snapshotId: string, task: TaskRef, epoch: number): Promise<DumpTimes> {
    const session = this.#session(snapshotId, task);
    const outcome = await session.runner.cut(epoch);
    if (outcome.kind === 'aborted') {
      throw new SwarmcutError('failed', outcome.reason, {
        where: place(task),
        advice: 'the task runs on; nothing was kept',
      });
    }
    return session.task.times;
  }

  async release(snapshotId: string, task: TaskRef): Promise<void> {
    const session = this.#session(snapshotId, task);
    await session.runner.feed({ kind: 'release' });
    const { outcome } = session.runner;
    if (outcome?.kind === 'aborted') throw new SwarmcutError('failed', outcome.reason, { where: place(task) });
  }

  /** Moves the dump from the stage into the store. */
  async collect(snapshotId: string, task: TaskRef, inMemory: boolean): Promise<TaskCheckpoint> {
    const session = this.#session(snapshotId, task);
    const { staged } = session.task;
    const { runner, stageDir } = session;
    if (session.collected === undefined && runner.outcome?.kind === 'aborted')
      throw new SwarmcutError('failed', runner.outcome.reason, { where: place(task) });
    if (session.collected === undefined && staged === undefined) {
      throw new SwarmcutError('precondition', 'there is no dump of this task to collect', { where: place(task) });
    }
    const { store, ledger } = this.#options;
    session.collected ??= (async () => {
      if (staged === undefined) throw new SwarmcutError('internal', 'no dump');
      const channels = runner instanceof SidecarRunner ? await runner.collect(join(stageDir, 'channels')) : undefined;
      const checkpoint = await collectCheckpoint({
        task,
        staged,
        times: session.task.times,
        aliases: session.aliases,
        store,
        owner: ownerOf(snapshotId, task),
        inMemory,
        ...(channels === undefined ? {} : { channels }),
      });
      await ledger.record(snapshotId, checkpoint, ownerOf(snapshotId, task));
      await rm(stageDir, { recursive: true, force: true });
      return checkpoint;
    })();
    return session.collected;
  }

  /** The checkpoints are permanent; what the round attached is detached. */
  async finish(snapshotId: string): Promise<void> {
    const { ledger } = this.#options;
    if (ledger.has(snapshotId)) await ledger.setState(snapshotId, 'permanent');
    await this.#endSessions(snapshotId, async (session) => {
      await session.runner.finish();
      await this.#detach(session.interceptor, session.ref.containerId);
    });
  }

  /** Discards, unholds, thaws, detaches. Unknown snapshots are no error. */
  async abort(snapshotId: string, reason: string): Promise<void> {
    this.#given.add(snapshotId);
    for (const oldest of this.#given) {
      if (this.#given.size <= REMEMBERED_ROUNDS) break;
      this.#given.delete(oldest);
    }
    await Promise.allSettled(
      [...this.#preparing].filter(([key]) => key.startsWith(`${snapshotId}/`)).map(([, under]) => under),
    );
    await this.#endSessions(snapshotId, async (session) => {
      await session.runner.feed({ kind: 'abort', reason });
      await session.runner.finish();
      await session.collected?.catch(() => undefined);
      await this.#options.ledger.release(ownerOf(snapshotId, session.ref));
      await rm(session.stageDir, { recursive: true, force: true });
      await this.#detach(session.interceptor, session.ref.containerId);
    });
    await this.#options.ledger.remove(snapshotId);
  }

  /** A task that was kept frozen goes on here after all. */
  async releaseContainer(snapshotId: string, containerId: string): Promise<void> {
    const session = this.#sessions.get(containerId);
    if (session?.snapshotId !== snapshotId) return;
    await session.runner.feed({ kind: 'release' });
    await session.runner.finish();
    await this.#detach(session.interceptor, session.ref.containerId);
    this.#end(session);
  }

  /** Containers that a round keeps frozen. */
  frozenBy(snapshotId: string): string[] {
    return [...this.#sessions.values()]
      .filter((session) => session.snapshotId === snapshotId && session.runner.busy)
      .map((session) => session.ref.containerId);
  }

  /**
   * Puts the deadline of a task off that this round keeps frozen: from now on only the dead man's switch watches over it.
   * @returns false if no round has this container
   * @throws SwarmcutError `interrupted` when its deadline has passed already and it runs on
   */
  async renewFrozen(snapshotId: string, containerId: string, deadlineMs: number): Promise<boolean> {
    const session = this.#sessions.get(containerId);
    if (session?.snapshotId !== snapshotId) return false;
    session.runner.close();
    if (!session.runner.busy) {
      throw new SwarmcutError('interrupted', 'the task was frozen for too long and runs on', {
        where: place(session.ref),
        advice: 'raise the label swarmcut.freeze-timeout',
      });
    }
    await session.task.renew(deadlineMs);
    return true;
  }

  /** A task that was kept frozen has moved: whoever calls this answers for what is left of it. */
  handOver(
    snapshotId: string,
    containerId: string,
  ): { runc: Runc; interceptor: TaskInterceptor; deadman: Deadman | undefined } | undefined {
    const session = this.#sessions.get(containerId);
    if (session?.snapshotId !== snapshotId) return undefined;
    this.#end(session);
    return { runc: session.runc, interceptor: session.interceptor, deadman: session.task.handOver() };
  }

  async #prepare(options: PrepareOptions): Promise<TaskSession> {
    const { snapshotId, stack, task: ref, epoch, subnets, deadlineMs } = options;
    const { containers, journal, directories, ledger } = this.#options;
    const algorithm = algorithmOf(options);
    const sidecar = await sidecarFor(algorithm, stack, ref, this.#options.sidecars.of(ref.containerId));
    const facts = await containers.facts(ref.containerId);
    const estimatedBytes = await estimateBytes(facts);
    const stage = await chooseStage(directories, estimatedBytes, ref);
    const stageDir = join(stage.dir, snapshotId, taskKey(ref));
    await ledger.begin(snapshotId, stack);
    const Interceptor = sidecar === undefined ? KernelInterceptor : ProxiedTaskInterceptor;
    const interceptor: TaskInterceptor = new Interceptor({ netns: facts.networkNamespace });
    const runc = new Runc({
      root: await findRuncRoot(ref.containerId),
      keptLogs: keptLogsFolder(directories.state),
    });
    // From here on there is something in the task that another agent must know of if this one dies.
    await journal.note({ containerId: facts.id, pid: facts.pid, owner: snapshotId, stageDir });
    try {
      await interceptor.prepare({ subnets, epoch, colourTimeoutMs: deadlineMs + COLOUR_MARGIN_MS });
      const task = new ContainerTask({
        facts,
        interceptor,
        runc,
        stageDir,
        runDir: directories.run,
        deadlineMs,
        inotifyPaths: (await watchedPaths(facts.pid)).paths,
      });
      const aliases = await this.#options.memory.aliasesOf(ref.containerId, options.aliases);
      const session: TaskSession = {
        snapshotId,
        ref,
        interceptor,
        runc,
        task,
        runner: await this.#runner(options, sidecar, task),
        aliases,
        stageDir,
        prepared: { estimatedBytes, stage: stage.kind },
        collected: undefined,
      };
      this.#sessions.set(ref.containerId, session);
      return session;
    } catch (error) {
      // No session, so nobody would come back to it. What cannot be detached stays in the journal.
      await this.#detach(interceptor, facts.id).catch(() => undefined);
      throw error;
    }
  }

  async #runner(options: PrepareOptions, sidecar: TaskSidecar | undefined, task: ContainerTask): Promise<TaskRunner> {
    const { snapshotId, task: ref, epoch, deadlineMs, keepFrozen } = options;
    const warn = (message: string, details: object): void =>
      this.#options.log.error({ ...details, snapshotId, task: taskKey(ref) }, message);
    if (sidecar !== undefined)
      return SidecarRunner.prepare({ sidecar, task, epoch, deadlineMs, keepFrozen, log: warn });
    const algorithm = algorithmOf(options);
    const participant = algorithm.participant({ process: taskKey(ref), epoch: epoch - 1, deadlineMs, keepFrozen });
    return new ParticipantRunner(participant, task, warn);
  }

  /** Nothing of a round is left in the task. */
  async #detach(interceptor: TaskInterceptor, containerId: string): Promise<void> {
    await interceptor.detach();
    await this.#options.journal.forget(containerId);
  }

  #session(snapshotId: string, task: TaskRef): TaskSession {
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

  async #endSessions(snapshotId: string, act: (session: TaskSession) => Promise<void>): Promise<void> {
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

  #end(session: TaskSession): void {
    session.runner.close();
    this.#sessions.delete(session.ref.containerId);
  }
}

/** @throws SwarmcutError `precondition` for one that this agent does not have */
function algorithmOf({ algorithm: name }: PrepareOptions): Algorithm {
  const algorithm = algorithms[name];
  if (algorithm !== undefined) return algorithm;
  throw new SwarmcutError('precondition', `this agent does not know algorithm ${name}`, {
    advice: 'coordinator and agents must be of the same version',
  });
}

/** Whose pins keep a task's parts until the ledger names them: the task's own, since tasks are recorded one by one. */
function ownerOf(snapshotId: string, task: TaskRef): string {
  return `${snapshotId}/${taskKey(task)}`;
}

function place(task: TaskRef): { service: string; slot: string } {
  return { service: task.service, slot: task.slot };
}
