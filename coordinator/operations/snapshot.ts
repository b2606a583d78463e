import type { WrappedKey } from '../../src/storage/encryption/wrapped-key.ts';
import { algorithms } from '../../src/algorithms/index.ts';
import type { Algorithm } from '../../src/algorithms/index.ts';
import type { StackSettings } from '../../src/config/labels.ts';
import type { Manifest } from '../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { refuseUndeclared, stackSettings } from './session/settings.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { SnapshotOptions } from './session/reports.ts';
import { putServicesBack } from './transaction/recovery.ts';
import type { AgentClient } from '../../src/rpc/index.ts';
import type { CommittedSnapshot } from './lock/state.ts';
import { withStackLock, type LockedSession } from './lock/stack-lock.ts';
import { existingStack, openClusterSession } from './session/session.ts';
import { nextEpoch } from './rounds/epochs.ts';
import { AgentExecutor } from './rounds/agent-executor.ts';
import { endingTasksAreGone } from './rounds/ending-tasks.ts';
import { buildManifest } from './rounds/manifest.ts';
import { foreignAddresses, roundTasks } from './rounds/participants.ts';
import { untilItPasses } from './rounds/again.ts';
import { reconcile } from './rounds/reconcile.ts';
import { runRound } from './rounds/round-driver.ts';
import { cutOf, assertConsistentCut, refuseExternal } from './rounds/cut-check.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

/** A round may be without any progress for this much longer than a task may stand still: agents' own deadlines speak first. Milliseconds. */
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
  return await withStackLock(ctx, session, stackName, { command: 'snapshot', id }, async (locked, own) => {
    await failPoint('coordinator.locked');
    return await untilItPasses(locked, id, (round) =>
      snapshotLocked(locked, own, stackName, round, settings, algorithm),
    );
  });
}

async function snapshotLocked(
  ctx: CoordinatorContext,
  session: LockedSession,
  name: string,
  id: string,
  settings: StackSettings,
  algorithm: Algorithm,
): Promise<Manifest> {
  await putServicesBack(ctx, session, name);
  // Read again: it may have been waited for the lock.
  const stack = await existingStack(session, name);
  const tasks = roundTasks(stack, session.agents);
  await reconcile(ctx, session, stack.name);
  if (algorithm.interceptor === 'proxy') await endingTasksAreGone(ctx, session, stack);
  const agents = [...new Set(tasks.map(({ agent }) => agent))];
  const [infos, resources, foreign] = await Promise.all([
    Promise.all(agents.map((agent) => agent.info({}, { signal: ctx.signal }))),
    session.cluster.resourcesOf(stack),
    foreignAddresses(session.cluster, session.nodes, stack),
  ]);
  // Before anything is frozen: a key that cannot be read is no reason for a stack to stand still.
  const sealing = await session.encryption.begin(id, stack.name, settings.encrypt);
  const epoch = await nextEpoch(ctx, session, stack.name);
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
    foreign,
    emit: ctx.emit,
    encryption: sealing?.keys,
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
          snapshotKey: sealing?.snapshotKeyId,
        });
        // A snapshot that breaks the cut condition must never be called complete.
        assertConsistentCut(built.stack, cutOf(built));
        if (settings.external === 'refuse') refuseExternal(built);
        await commitSnapshot(ctx, session, built, agents, sealing?.wrapped);
        manifest = built;
      },
    },
  });
  ctx.log.info({ id, stack: stack.name, algorithm: algorithm.name, epoch, tasks: processes }, 'snapshot begins');
  await runRound(round, executor, ctx.signal);
  await session.lock
    .setCommits(session.lock.commits.flatMap((one) => settled(one, id, executor.untold)))
    .catch(() => undefined);
  if (manifest === undefined) throw new SwarmcutError('internal', 'the round ended without a manifest');
  ctx.log.info({ id, wallMs: manifest.wallMs }, 'snapshot is complete');
  return manifest;
}

/**
 * The commit of a snapshot: one change of the cluster's own state, made by whoever has the stack's lock or not at all. Before it, everybody who has
 * a part of the snapshot has its manifest, so that whatever dies afterwards, any manager finds it.
 */
async function commitSnapshot(
  ctx: CoordinatorContext,
  { catalogue, lock }: LockedSession,
  manifest: Manifest,
  agents: readonly AgentClient[],
  key: WrappedKey | undefined,
): Promise<void> {
  const sealed = catalogue.seal(manifest, key);
  const { id } = sealed;
  const message = {
    snapshotId: id,
    manifest: Buffer.from(sealed.manifest),
    signature: Buffer.from(sealed.signature),
    key: Buffer.from(sealed.key ?? []),
  };
  await Promise.all(agents.map((agent) => agent.keepManifest(message)));
  await lock.commit({ id, nodes: agents.map(({ node }) => node) });
  // It exists. That this manager, too, has its manifest is convenient and no more.
  await catalogue.keep(sealed).catch((error: unknown) => {
    ctx.emit({ kind: 'warning', message: `the manifest lies with the agents, but not here: ${messageOf(error)}` });
  });
}

/** A commit after its agents were told. @param untold those that could not be */
function settled(commit: CommittedSnapshot, id: string, untold: readonly string[]): CommittedSnapshot[] {
  if (commit.id !== id) return [commit];
  return untold.length === 0 ? [] : [{ id, nodes: [...untold] }];
}
