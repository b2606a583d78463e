import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { isSealed, type DumpTimes, type TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { megabytes } from '../../../src/model/size.ts';
import { InDoubtError } from '../lock/lease.ts';
import type { Emit } from '../events/events.ts';
import type { OnProgress, RoundExecutor } from './round-driver.ts';
import { overlaySubnets, type RoundTask } from './participants.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

type Checkpoints = ReadonlyMap<string, TaskCheckpoint>;

/** What becomes of a round once every checkpoint is collected. */
export type RoundEnding =
  /** `commit` makes the checkpoints permanent; the tasks run on. */
  | { readonly kind: 'commit'; readonly commit: (checkpoints: Checkpoints) => Promise<void> }
  /** Live migration: the tasks stay frozen and their parts in memory, and `handOver` finds somebody who answers for them from then on. */
  | { readonly kind: 'hand-over'; readonly handOver: (checkpoints: Checkpoints) => Promise<void> };

export interface AgentExecutorOptions {
  readonly snapshotId: string;
  readonly stack: string;
  readonly algorithm: string;
  readonly epoch: number;
  readonly freezeTimeoutMs: number;
  readonly tasks: readonly RoundTask[];
  /** Addresses of tasks of other stacks on the same networks. */
  readonly foreign?: readonly string[];
  readonly emit: Emit;
  /** Keys that agents encrypt the parts with. */
  readonly encryption?: { readonly snapshotKey: Buffer; readonly contentKey: Buffer } | undefined;
  /** The dumps never touch a disk as they are. Implied by `encryption`. */
  readonly stageInMemory?: boolean;
  /** Must be the one that the round was made with (`keepFrozen`). */
  readonly ending: RoundEnding;
}

/** A cut may be without progress for this much longer than the task may stand still, so that the agent's own deadline speaks first. Milliseconds. */
const ANSWER_MARGIN_MS = 10_000;

/** Executes a round through the agents, whatever stands between their tasks and the network. */
export class AgentExecutor implements RoundExecutor {
  readonly #options: AgentExecutorOptions;
  readonly #tasks: ReadonlyMap<string, RoundTask>;
  readonly #subnets: string[];
  readonly #checkpoints = new Map<string, TaskCheckpoint>();
  readonly #untold = new Set<string>();
  /** It is not known whether the round is committed. */
  #inDoubt = false;

  constructor(options: AgentExecutorOptions) {
    this.#options = options;
    this.#tasks = new Map(options.tasks.map((task) => [task.key, task]));
    this.#subnets = overlaySubnets(options.tasks.map(({ task }) => task));
  }

  get checkpoints(): Checkpoints {
    return this.#checkpoints;
  }

  /** Nodes whose agents could not be told that the round is committed. */
  get untold(): readonly string[] {
    return [...this.#untold];
  }

  get #keepFrozen(): boolean {
    return this.#options.ending.kind === 'hand-over';
  }

  prepare(key: string, onProgress: OnProgress): Promise<void> {
    const {
      snapshotId,
      stack,
      algorithm,
      epoch,
      freezeTimeoutMs,
      encryption,
      stageInMemory,
      foreign = [],
    } = this.#options;
    return this.#step(key, 'prepare', async ({ agent, ref, task }) => {
      await failPoint('coordinator.prepare');
      const order = {
        snapshotId,
        stack,
        algorithm,
        epoch,
        task: ref,
        subnets: this.#subnets,
        foreign: [...foreign],
        deadlineMs: freezeTimeoutMs,
        keepFrozen: this.#keepFrozen,
        aliases: [...task.addresses],
        stageInMemory: stageInMemory === true || encryption !== undefined,
      };
      await agent.prepare(order, { onProgress });
      return undefined;
    });
  }

  start(key: string, onProgress: OnProgress): Promise<void> {
    const { snapshotId, epoch, freezeTimeoutMs } = this.#options;
    return this.#step(key, 'freeze and dump', async ({ agent, ref }) => {
      await failPoint('coordinator.cut');
      const deadlineMs = freezeTimeoutMs + ANSWER_MARGIN_MS;
      const { times } = await agent.cut({ snapshotId, task: ref, epoch }, { deadlineMs, onProgress });
      return times === null ? undefined : frozenText(times);
    });
  }

  release(key: string, onProgress: OnProgress): Promise<void> {
    return this.#step(key, 'release', async ({ agent, ref }) => {
      await failPoint('coordinator.release');
      await agent.release({ snapshotId: this.#options.snapshotId, task: ref }, { onProgress });
      return undefined;
    });
  }

  collect(key: string): Promise<void> {
    const { snapshotId, encryption } = this.#options;
    return this.#step(key, 'store', async ({ agent, ref }) => {
      await failPoint('coordinator.collect');
      const checkpoint = await agent.collect({
        snapshotId,
        task: ref,
        inMemory: this.#keepFrozen,
        ...(encryption === undefined ? {} : { encryption }),
      });
      if (checkpoint.task === null || checkpoint.times === null) {
        throw new SwarmcutError('internal', `the agent of ${agent.node} sent an incomplete checkpoint`);
      }
      // One that does not know how would store them as they are.
      if (encryption !== undefined && !checkpoint.parts.every(isSealed))
        throw new SwarmcutError('precondition', `the agent of ${agent.node} did not encrypt the checkpoint`, {
          advice: 'agent and coordinator are of different versions: install the same one everywhere',
        });
      this.#checkpoints.set(key, checkpoint as TaskCheckpoint);
      const bytes = checkpoint.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
      return megabytes(bytes);
    });
  }

  async commit(): Promise<void> {
    const { ending } = this.#options;
    if (ending.kind !== 'commit') throw new SwarmcutError('internal', 'this round is not to be committed');
    await failPoint('coordinator.commit');
    try {
      await ending.commit(this.#checkpoints);
    } catch (error) {
      this.#inDoubt = error instanceof InDoubtError;
      throw error;
    }
  }

  async handOver(): Promise<void> {
    const { ending } = this.#options;
    if (ending.kind !== 'hand-over') throw new SwarmcutError('internal', 'this round keeps no task frozen');
    await failPoint('coordinator.hand-over');
    await ending.handOver(this.#checkpoints);
  }

  /** The manifest is written: an agent that cannot be told now is told at the next command on this stack (reconcile.ts). */
  async finish(): Promise<void> {
    const { snapshotId, emit } = this.#options;
    await failPoint('coordinator.committed');
    await this.#everyAgent(async (agent) => {
      await agent.finish({ snapshotId }).catch((error: unknown) => {
        this.#untold.add(agent.node);
        emit({
          kind: 'warning',
          message: `node ${agent.node} could not be told that the snapshot is complete (${messageOf(error)}); it will be told later`,
        });
      });
    });
  }

  async abort(_processes: readonly string[], reason: string): Promise<void> {
    const { snapshotId, emit } = this.#options;
    await failPoint('coordinator.abort');
    // The tasks run on since their release. What is kept of them is settled by whoever can read what was written.
    if (this.#inDoubt) return;
    await this.#everyAgent(async (agent) => {
      await agent.abort({ snapshotId, reason }).catch((error: unknown) => {
        emit({
          kind: 'warning',
          message: `node ${agent.node} could not be told to abort (${messageOf(error)}); its own deadline will thaw the tasks`,
        });
      });
    });
  }

  async #everyAgent(call: (agent: RoundTask['agent']) => Promise<void>): Promise<void> {
    await Promise.all([...new Set(this.#options.tasks.map(({ agent }) => agent))].map(call));
  }

  async #step(key: string, step: string, act: (task: RoundTask) => Promise<string | undefined>): Promise<void> {
    const task = this.#tasks.get(key);
    if (task === undefined) throw new SwarmcutError('internal', `no such task in this round: ${key}`);
    const { emit } = this.#options;
    emit({ kind: 'step-begun', task: key, step });
    try {
      emit({ kind: 'step-done', task: key, step, detail: await act(task) });
    } catch (error) {
      emit({ kind: 'step-failed', task: key, step, reason: messageOf(error) });
      throw error instanceof SwarmcutError ? withTask(error, task) : error;
    }
  }
}

/** The agent knows the container; the user knows the task. */
function withTask(error: SwarmcutError, { task, agent }: RoundTask): SwarmcutError {
  return new SwarmcutError(error.code, error.message, {
    where: { ...error.where, node: agent.node, service: task.service, slot: task.slot },
    cause: error,
    ...(error.advice === undefined ? {} : { advice: error.advice }),
  });
}

function frozenText(times: DumpTimes): string {
  const until = times.thawedAtMs === 0 ? '' : `, frozen ${times.thawedAtMs - times.frozenAtMs} ms`;
  return `dump ${Math.round(times.dumpWallUs / 1000)} ms${until}`;
}
