import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { DumpTimes, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { megabytes } from '../../../src/model/size.ts';
import type { Reporter } from '../../api.ts';
import type { RoundExecutor } from './round-driver.ts';
import { overlaySubnets, type RoundTask } from './participants.ts';

export interface AgentExecutorOptions {
  readonly snapshotId: string;
  readonly stack: string;
  readonly algorithm: string;
  readonly epoch: number;
  readonly freezeTimeoutMs: number;
  /** Live migration: tasks stay frozen after their dump, and their parts stay in memory. */
  readonly keepFrozen: boolean;
  readonly tasks: readonly RoundTask[];
  readonly reporter: Reporter;
  /** What makes the round permanent, once every checkpoint is collected. */
  readonly commit: (checkpoints: ReadonlyMap<string, TaskCheckpoint>) => Promise<void>;
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

  get checkpoints(): ReadonlyMap<string, TaskCheckpoint> {
    return this.#checkpoints;
  }

  prepare(key: string): Promise<void> {
    const { snapshotId, stack, algorithm, epoch, freezeTimeoutMs, keepFrozen } = this.#options;
    return this.#step(key, 'prepare', async ({ agent, ref, task }) => {
      await agent.prepare({
        snapshotId,
        stack,
        algorithm,
        epoch,
        task: ref,
        subnets: this.#subnets,
        deadlineMs: freezeTimeoutMs,
        keepFrozen,
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
    const { snapshotId, keepFrozen } = this.#options;
    return this.#step(key, 'store', async ({ agent, ref }) => {
      const checkpoint = await agent.collect({ snapshotId, task: ref, inMemory: keepFrozen });
      if (checkpoint.task === null || checkpoint.times === null) {
        throw new SwarmcutError('internal', `the agent of ${agent.node} sent an incomplete checkpoint`);
      }
      this.#checkpoints.set(key, checkpoint as TaskCheckpoint);
      const bytes = checkpoint.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
      return megabytes(bytes);
    });
  }

  commit(): Promise<void> {
    return this.#options.commit(this.#checkpoints);
  }

  /** The manifest is written: an agent that cannot be told now is told at the next command on this stack (reconcile.ts). */
  async finish(): Promise<void> {
    const { snapshotId, reporter } = this.#options;
    await this.#everyAgent(async (agent) => {
      await agent.finish({ snapshotId }).catch((error: unknown) => {
        reporter.info(
          `node ${agent.node} could not be told that the snapshot is complete (${messageOf(error)}); it will be told later`,
        );
      });
    });
  }

  async abort(_processes: readonly string[], reason: string): Promise<void> {
    const { snapshotId, reporter } = this.#options;
    await this.#everyAgent(async (agent) => {
      await agent.abort({ snapshotId, reason }).catch((error: unknown) => {
        reporter.info(
          `node ${agent.node} could not be told to abort (${messageOf(error)}); its own deadline will thaw the tasks`,
        );
      });
    });
  }

  async #everyAgent(call: (agent: RoundTask['agent']) => Promise<void>): Promise<void> {
    await Promise.all([...new Set(this.#options.tasks.map(({ agent }) => agent))].map(call));
  }

  async #step(key: string, step: string, act: (task: RoundTask) => Promise<string | undefined>): Promise<void> {
    const task = this.#tasks.get(key);
    if (task === undefined) throw new SwarmcutError('internal', `no such task in this round: ${key}`);
    const { reporter } = this.#options;
    reporter.begin(key, step);
    try {
      reporter.done(key, step, await act(task));
    } catch (error) {
      reporter.failed(key, step, messageOf(error));
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
