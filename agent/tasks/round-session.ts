import { join } from 'node:path';
import { algorithms, type Algorithm } from '../../src/algorithms/index.ts';
import type { TaskCheckpoint } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { taskKey, type Alias, type TaskRef } from '../../src/model/task.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { chooseStage, estimateBytes } from '../checkpoints/stage.ts';
import type { Ledger } from '../checkpoints/store/index.ts';
import { watchedPaths } from '../linux/inotify.ts';
import type { NodeInfo } from '../node-info.ts';
import { findObstacles, lossNotes, refuseObstacles } from '../obstacles/look.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import type { NetworkMemory } from '../network/network-memory.ts';
import { ProxiedTaskInterceptor } from '../network/proxied-task.ts';
import { keptLogsFolder } from '../runtime/criu/kept-logs.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import type { ContainerFacts, Containers } from '../runtime/docker/containers.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import type { TaskSidecar } from '../sidecars/task-sidecar.ts';
import type { Surroundings } from '../surroundings/record.ts';
import { surroundingsOf } from '../surroundings/save.ts';
import { ContainerTask } from './container-task.ts';
import type { HeldTask } from './held-task.ts';
import type { HeldTasks } from './held-tasks.ts';
import { round as roundHolder, type Keeper } from './holder.ts';
import { ParticipantRunner, type TaskRunner } from './participant-runner.ts';
import { sidecarFor } from './sidecar-check.ts';
import { SidecarRunner } from './sidecar-runner.ts';

/** Without a word from the coordinator for this long beyond the freeze, the coming colour is let in again. Milliseconds. */
const COLOUR_MARGIN_MS = 120_000;

export interface PrepareOptions {
  readonly snapshotId: string;
  readonly stack: string;
  readonly algorithm: string;
  readonly epoch: number;
  readonly task: TaskRef;
  /** CIDR of the overlay networks between the tasks of the round. */
  readonly subnets: readonly string[];
  /** Addresses in there of tasks of other stacks. */
  readonly foreign?: readonly string[];
  /** Longest time frozen. */
  readonly deadlineMs: number;
  /** The task stays frozen when the round is over, for a relocation to take over. */
  readonly keepFrozen: boolean;
  readonly aliases: readonly Alias[];
  /** The dump must not touch a disk before it is encrypted. */
  readonly stageInMemory: boolean;
}

/** One task in one round. */
export interface RoundSession {
  readonly snapshotId: string;
  readonly ref: TaskRef;
  readonly held: HeldTask;
  readonly task: ContainerTask;
  readonly runner: TaskRunner;
  readonly aliases: readonly Alias[];
  readonly stageDir: string;
  collected: Promise<TaskCheckpoint> | undefined;
}

export interface RoundSessionOptions {
  readonly directories: Directories;
  readonly containers: Containers;
  readonly held: HeldTasks;
  readonly ledger: Ledger;
  readonly memory: NetworkMemory;
  readonly sidecars: Pick<Sidecars, 'of'>;
  readonly nodeInfo: Pick<NodeInfo, 'dumpsOtherUsers'>;
  readonly log: Logger;
}

/**
 * Takes a task for a round, attaches the interceptor, and gets everything ready that need not be done while frozen.
 * @param keeper of the task
 * @throws SwarmcutError `precondition`, `conflict` when somebody else has the task, `interrupted` when the round was given up meanwhile;
 *   nothing is left in the task
 */
export async function openRoundSession(
  round: PrepareOptions,
  options: RoundSessionOptions,
  keeper: Keeper,
): Promise<RoundSession> {
  const { snapshotId, stack, task: ref } = round;
  const { containers, directories, ledger, held: owner } = options;
  const sidecar = await sidecarFor(algorithmOf(round), stack, ref, options.sidecars.of(ref.containerId));
  const facts = await containers.facts(ref.containerId);
  // Better told now than by CRIU, when every task of the stack stands still.
  const obstacles = await findObstacles(facts, () => options.nodeInfo.dumpsOtherUsers());
  refuseObstacles(obstacles);
  const estimatedBytes = await estimateBytes(facts);
  const stage = await chooseStage(directories, estimatedBytes, ref, round.stageInMemory);
  // Not a folder in one of the round's, of which nobody would be the last.
  const stageDir = join(stage.dir, `${snapshotId}.${taskKey(ref)}`);
  await ledger.begin(snapshotId, stack);
  const Interceptor = sidecar === undefined ? KernelInterceptor : ProxiedTaskInterceptor;
  const interceptor = new Interceptor({ netns: facts.networkNamespace });
  const runcRoot = await findRuncRoot(ref.containerId);
  const surroundings = await surroundingsOf(facts, join(runcRoot, ref.containerId, 'state.json'));
  const runc = new Runc({
    root: runcRoot,
    keptLogs: keptLogsFolder(directories.state),
  });
  // From here on there is something in the task that another agent must know of if this one dies.
  const opened = { containerId: facts.id, pid: facts.pid, interceptor, runc, health: facts.health, stageDir };
  const held = await owner.take(roundHolder(snapshotId), opened, keeper);
  try {
    const notes = lossNotes(obstacles);
    const task = await preparedTask(round, { held, facts, runc, stageDir, estimatedBytes, surroundings, notes });
    return {
      snapshotId,
      ref,
      held,
      task,
      runner: await runnerFor(round, sidecar, task, options.log),
      aliases: await options.memory.aliasesOf(ref.containerId, round.aliases),
      stageDir,
      collected: undefined,
    };
  } catch (error) {
    // No session, so nobody would come back to it.
    await owner.abandon(held);
    throw error;
  }
}

async function preparedTask(
  { subnets, foreign = [], epoch, deadlineMs, keepFrozen }: PrepareOptions,
  parts: {
    readonly held: HeldTask;
    readonly facts: ContainerFacts;
    readonly runc: Runc;
    readonly stageDir: string;
    readonly estimatedBytes: number;
    readonly surroundings: Surroundings;
    readonly notes: readonly string[];
  },
): Promise<ContainerTask> {
  await parts.held.interceptor.prepare({ subnets, foreign, epoch, colourTimeoutMs: deadlineMs + COLOUR_MARGIN_MS });
  const inotifyPaths = (await watchedPaths(parts.facts.pid)).paths;
  return new ContainerTask({ ...parts, deadlineMs, inotifyPaths, hashEarly: keepFrozen });
}

async function runnerFor(
  round: PrepareOptions,
  sidecar: TaskSidecar | undefined,
  task: ContainerTask,
  log: Logger,
): Promise<TaskRunner> {
  const { snapshotId, task: ref, epoch, deadlineMs, keepFrozen } = round;
  const warn = (message: string, details: object): void =>
    log.error({ ...details, snapshotId, task: taskKey(ref) }, message);
  if (sidecar !== undefined) return SidecarRunner.prepare({ sidecar, task, epoch, deadlineMs, keepFrozen, log: warn });
  const options = { process: taskKey(ref), epoch: epoch - 1, deadlineMs, keepFrozen };
  return new ParticipantRunner(algorithmOf(round).participant(options), task, warn);
}

/** @throws SwarmcutError `precondition` for one that this agent does not have */
function algorithmOf({ algorithm: name }: PrepareOptions): Algorithm {
  const algorithm = algorithms[name];
  if (algorithm !== undefined) return algorithm;
  throw new SwarmcutError('precondition', `this agent does not know algorithm ${name}`, {
    advice: 'coordinator and agents must be of the same version',
  });
}
