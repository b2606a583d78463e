import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { DumpTimes, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { megabytes } from '../../../src/model/size.ts';
import type { Emit } from '../events/events.ts';
import type { RoundExecutor } from './round-driver.ts';
import { overlaySubnets, type RoundTask } from './participants.ts';

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
  /** Must be the one that the round was made with (`keepFrozen`). */
  readonly ending: RoundEnding;
}

/** Calls beyond the freeze itself get this much longer, so that the agent's own deadline speaks first. */
const ANSWER_MARGIN_MS = 10_000;

/** Executes a round through the agents, whatever stands between their tasks and the network. */
export class AgentExecutor implements RoundExecutor {
  readonly #options: AgentExecutorOptions;
  readonly #tasks: ReadonlyMap<string, RoundTask>;
  readonly #subnets: string[];
  readonly #checkpoints = new Map<string, TaskCheckpoint>();

  constructor(options: AgentExecutorOptions) {
    this.#options = options;
    this.#tasks = new Map(options.tasks.map((task) => [task.key, task]));
    this.#subnets = overlaySubnets(options.tasks.map(({ task }) => task));
  }

  get checkpoints(): Checkpoints {
    return this.#checkpoints;
  }

  get #keepFrozen(): boolean {
    return this.#options.ending.kind === 'hand-over';
  }

  prepare(key: string): Promise<void> {
    const { snapshotId, stack, algorithm, epoch, freezeTimeoutMs, foreign = [] } = this.#options;
    return this.#step(key, 'prepare', async ({ agent, ref, task }) => {
      await agent.prepare({
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
      });
      return undefined;
    });
  }

  start(key: string): Promise<void> {
    const { snapshotId, epoch, freezeTimeoutMs } = this.#options;
    return this.#step(key, 'freeze and dump', async ({ agent, ref }) => {
      const deadlineMs = freezeTimeoutMs + ANSWER_MARGIN_MS;
      const { times } = await agent.cut({ snapshotId, task: ref, epoch }, { deadlineMs });
      return times === null ? undefined : frozenText(times);
    });
  }

  release(key: string): Promise<void> {
    return this.#step(key, 'release', async ({ agent, ref }) => {
      await agent.release({ snapshotId: this.#options.snapshotId, task: ref });
      return undefined;
    });
  }

  collect(key: string): Promise<void> {
    const { snapshotId } = this.#options;
    return this.#step(key, 'store', async ({ agent, ref }) => {
      const checkpoint = await agent.collect({ snapshotId, task: ref, inMemory: this.#keepFrozen });
      if (checkpoint.task === null || checkpoint.times === null) {
        throw new SwarmcutError('internal', `the agent of ${agent.node} sent an incomplete checkpoint`);
      }
      this.#checkpoints.set(key, checkpoint as TaskCheckpoint);
      const bytes = checkpoint.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
      return megabytes(bytes);
    });
  }

  async commit(): Promise<void> {
    const { ending } = this.#options;
    if (ending.kind !== 'commit') throw new SwarmcutError('internal', 'this round is not to be committed');
    await ending.commit(this.#checkpoints);
  }

  async handOver(): Promise<void> {
    const { ending } = this.#options;
    if (ending.kind !== 'hand-over') throw new SwarmcutError('internal', 'this round keeps no task frozen');
    await ending.handOver(this.#checkpoints);
  }

  /** The manifest is written: an agent that cannot be told now is told at the next command on this stack (reconcile.ts). */
  async finish(): Promise<void> {
    const { snapshotId, emit } = this.#options;
    await this.#everyAgent(async (agent) => {
      await agent.finish({ snapshotId }).catch((error: unknown) => {
        emit({
          kind: 'warning',
          message: `node ${agent.node} could not be told that the snapshot is complete (${messageOf(error)}); it will be told later`,
        });
      });
    });
  }

  async abort(_processes: readonly string[], reason: string): Promise<void> {
    const { snapshotId, emit } = this.#options;
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
