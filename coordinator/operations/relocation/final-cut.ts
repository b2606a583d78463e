import { algorithms, type Algorithm } from '../../../src/algorithms/index.ts';
import { sync } from '../../../src/algorithms/coordinated/sync.ts';
import type { TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { SnapshotSealing } from '../session/encryption.ts';
import { refuseUndeclared, stackSettings } from '../session/settings.ts';
import type { Stack } from '../../orchestrator/index.ts';
import { AgentExecutor } from '../rounds/agent-executor.ts';
import { nextEpoch } from '../rounds/epochs.ts';
import type { RoundTask } from '../rounds/participants.ts';
import { runRound } from '../rounds/round-driver.ts';

/** The agents' own deadlines, which say what was under way, speak first. Milliseconds. */
const ROUND_MARGIN_MS = 5_000;

export interface FinalCut {
  readonly epoch: number;
  /** By task key. Their parts are in the memory of the tasks' nodes. */
  readonly checkpoints: ReadonlyMap<string, TaskCheckpoint>;
}

/**
 * A stack with sidecars moves by its own algorithm: only its streams can be parked with those that stay. Any other stops all moving tasks
 * together.
 * @throws SwarmcutError `precondition` when some service of a stack with sidecars has none
 */
export function movingAlgorithm(stack: Stack): Algorithm {
  const own = algorithms[stackSettings(stack).algorithm];
  if (own?.interceptor !== 'proxy') return sync;
  refuseUndeclared(stack, own.name);
  return own;
}

/**
 * The round that ends the old tasks' part of a migration: they stop together and stay frozen.
 * @param sealing encrypts what is saved, if there is a key
 * @param takeOver whoever answers for the frozen tasks when the round is over
 */
export async function finalCut(
  ctx: CoordinatorContext,
  session: LockedSession,
  stack: Stack,
  snapshotId: string,
  moving: readonly RoundTask[],
  sealing: SnapshotSealing | undefined,
  takeOver: (freezeTimeoutMs: number) => Promise<void>,
): Promise<FinalCut> {
  const algorithm = movingAlgorithm(stack);
  const { freezeTimeoutMs } = stackSettings(stack);
  const epoch = await nextEpoch(ctx, session, stack.name);
  const round = algorithm.round({
    processes: moving.map(({ key }) => key),
    epoch,
    deadlineMs: freezeTimeoutMs + ROUND_MARGIN_MS,
    keepFrozen: true,
  });
  const executor = new AgentExecutor({
    snapshotId,
    stack: stack.name,
    algorithm: algorithm.name,
    epoch,
    freezeTimeoutMs,
    tasks: moving,
    emit: ctx.emit,
    encryption: sealing?.keys,
    ending: { kind: 'hand-over', handOver: () => takeOver(freezeTimeoutMs) },
  });
  await runRound(round, executor, ctx.signal);
  return { epoch, checkpoints: executor.checkpoints };
}
