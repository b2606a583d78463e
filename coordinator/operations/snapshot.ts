import { algorithms } from '../../src/algorithms/index.ts';
import type { Algorithm } from '../../src/algorithms/index.ts';
import type { StackSettings } from '../../src/config/labels.ts';
import type { Manifest } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { refuseUndeclared, stackSettings } from './session/settings.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { SnapshotOptions } from './session/reports.ts';
import { putServicesBack } from './transaction/recovery.ts';
import { existingStack, openClusterSession, type ClusterSession } from './session/session.ts';
import type { Stack } from '../orchestrator/index.ts';
import { acquireStackLock } from '../../src/storage/locks.ts';
import { nextEpoch } from './rounds/epochs.ts';
import { AgentExecutor } from './rounds/agent-executor.ts';
import { endingTasksAreGone } from './rounds/ending-tasks.ts';
import { buildManifest } from './rounds/manifest.ts';
import { roundTasks } from './rounds/participants.ts';
import { reconcile } from './rounds/reconcile.ts';
import { runRound } from './rounds/round-driver.ts';
import { cutOf, assertConsistentCut, refuseExternal } from './rounds/cut-check.ts';

/** Beyond the freeze itself, a round may take this much longer until everybody has saved. */
const ROUND_MARGIN_MS = 30_000;

/** Takes a snapshot of a running stack. When it has returned, the manifest is on disk. */
export async function takeSnapshot(
  ctx: CoordinatorContext,
  stackName: string,
  options: SnapshotOptions,
): Promise<Manifest> {
  using session = await openClusterSession(ctx);
  const stack = await existingStack(session, stackName);
  const settings = stackSettings(stack, options);
  const algorithm = algorithms[settings.algorithm];
  if (algorithm === undefined) throw new SwarmcutError('internal', `no algorithm ${settings.algorithm}`);
  if (algorithm.interceptor === 'proxy') refuseUndeclared(stack, algorithm.name);
  const id = newId(Date.now(), Math.random());
  const lock = await acquireStackLock(ctx.directories.run, stackName, { command: 'snapshot', id });
  try {
    return await snapshotLocked(ctx, session, stack, id, settings, algorithm);
  } finally {
    await lock.release();
  }
}

async function snapshotLocked(
  ctx: CoordinatorContext,
  session: ClusterSession,
  before: Stack,
  id: string,
  settings: StackSettings,
  algorithm: Algorithm,
): Promise<Manifest> {
  const changed = await putServicesBack(ctx, session, before.name);
  const stack = changed ? await existingStack(session, before.name) : before;
  const tasks = roundTasks(stack, session.agents);
  await reconcile(ctx, stack.name, session.nodes, session.agents, session.catalogue);
  if (algorithm.interceptor === 'proxy') await endingTasksAreGone(ctx, session, stack);
  const agents = [...new Set(tasks.map(({ agent }) => agent))];
  const [infos, resources] = await Promise.all([
    Promise.all(agents.map((agent) => agent.info({}, { signal: ctx.signal }))),
    session.cluster.resourcesOf(stack),
  ]);
  const epoch = await nextEpoch(ctx.directories.state, stack.name);
  const startedAtMs = Date.now();
  const processes = tasks.map(({ key }) => key);
  const round = algorithm.round({
    processes,
    epoch,
    deadlineMs: settings.freezeTimeoutMs + ROUND_MARGIN_MS,
    keepFrozen: false,
  });
  let manifest: Manifest | undefined;
  const executor = new AgentExecutor({
    snapshotId: id,
    stack: stack.name,
    algorithm: algorithm.name,
    epoch,
    freezeTimeoutMs: settings.freezeTimeoutMs,
    tasks,
    emit: ctx.emit,
    ending: {
      kind: 'commit',
      commit: async (checkpoints) => {
        const built = buildManifest({
          id,
          stack,
          algorithm: algorithm.name,
          epoch,
          startedAtMs,
          external: settings.external,
          tasks,
          checkpoints,
          infos,
          resources,
        });
        // A snapshot that breaks the cut condition must never be called complete.
        assertConsistentCut(built.stack, cutOf(built));
        if (settings.external === 'refuse') refuseExternal(built);
        await session.catalogue.write(built);
        manifest = built;
      },
    },
  });
  ctx.log.info({ id, stack: stack.name, algorithm: algorithm.name, epoch, tasks: processes }, 'snapshot begins');
  await runRound(round, executor, ctx.signal);
  if (manifest === undefined) throw new SwarmcutError('internal', 'the round ended without a manifest');
  ctx.log.info({ id, wallMs: manifest.wallMs }, 'snapshot is complete');
  return manifest;
}
