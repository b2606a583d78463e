import { isDeepStrictEqual } from 'node:util';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Cluster, ClusterService } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { ASK_MS } from '../session/patience.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { ClusterSession } from '../session/session.ts';
import { carryOut } from './commit.ts';
import { giveBack } from './placement-window.ts';
import { ReplacementJournal, remedyOf, type ReplacementEntry, type ReplacementRecord } from './replacement-journal.ts';

/**
 * Finishes what a coordinator that was killed in the middle of a restore or a migration has left: back to the old tasks before its commit,
 * forward to the new ones after it; and agents forget it. That one may have been on another manager, and may only have been standing still.
 * @returns true if something was changed, so that what was read of the stack before is no longer true
 * @throws SwarmcutError `failed` when it could not be finished; the next call tries again
 */
export async function putServicesBack(
  ctx: CoordinatorContext,
  session: LockedSession,
  stack: string,
): Promise<boolean> {
  const journal = new ReplacementJournal(session.lock);
  const record = journal.read();
  if (record !== undefined) {
    const { id, phase } = record;
    ctx.log.warn({ id, phase }, 'finishing what a coordinator that is gone has left');
    const agents = agentsOf(session);
    if (phase === 'replacing') await rollBack(ctx, session, record, agents);
    if (phase === 'released') await rollForward(ctx, session, record);
    await journal.write({ ...record, phase: 'over' });
    // Not aborted after a commit: an old task that could not be told that it has moved must not go on beside its successor.
    const told = await tellAll(ctx, agents, 'end a restore', (agent) =>
      record.commit === undefined
        ? agent.abortRestore({ restoreId: id, reason: 'it is over', servicesAreBack: true }, { deadlineMs: ASK_MS })
        : agent.endRestore({ restoreId: id }, { deadlineMs: ASK_MS }),
    );
    if (told) await journal.remove();
  }
  await forgetRest(ctx, session, stack);
  return record !== undefined;
}

/** Nothing is committed: the old tasks go on. As in an operation that fails: they first, then the services, then the new containers. */
async function rollBack(
  ctx: CoordinatorContext,
  session: ClusterSession,
  record: ReplacementRecord,
  agents: readonly AgentClient[],
): Promise<void> {
  const order = { restoreId: record.id, reason: 'its coordinator is gone' };
  await tellAll(ctx, agents, 'let tasks go on', (agent) => agent.resume(order, { deadlineMs: ASK_MS }));
  await giveBack(session.cluster, record.reserved);
  await remedy(ctx, session, record);
}

/** It is committed: what was not released yet is. */
async function rollForward(ctx: CoordinatorContext, session: ClusterSession, record: ReplacementRecord): Promise<void> {
  await giveBack(session.cluster, record.reserved);
  if (record.commit !== undefined) {
    await carryOut(record.commit, {
      ctx,
      restoreId: record.id,
      agent: (node) => session.agents.of(node),
      runs: (containerId) => runsAlready(session, record, containerId),
    });
  }
  await remedy(ctx, session, record);
}

async function remedy(ctx: CoordinatorContext, session: ClusterSession, record: ReplacementRecord): Promise<void> {
  const { cluster } = session;
  const failed: string[] = [];
  for (const entry of record.services) {
    try {
      const now = await cluster.service(entry.present?.id ?? entry.name);
      const found = remedyOf(record.phase, entry, now);
      if (now === undefined) continue;
      if (found.kind === 'nothing') {
        await makeStale(cluster, record, entry, now);
        continue;
      }
      if (found.kind === 'remove') await cluster.remove(now.id);
      else if (found.kind === 'settle') await cluster.settle(now.id, found.spec, found.generation);
      else await cluster.putBack(now.id, found.spec);
      ctx.emit({
        kind: 'warning',
        message: `service ${entry.name} ${found.kind === 'remove' ? 'was removed' : 'has its settings back'}: ${record.id} was cut short`,
      });
    } catch (error) {
      failed.push(`${entry.name} (${messageOf(error)})`);
    }
  }
  if (failed.length === 0) return;
  throw new SwarmcutError(
    'failed',
    `services cannot be put back after ${record.id} was cut short: ${failed.join(', ')}`,
    { where: { stack: record.stack }, advice: 'run the command again' },
  );
}

/**
 * A coordinator that only stands still may have been about to replace a service of which it had read the version: with another one, that order
 * comes too late. Nothing else changes in the service.
 */
async function makeStale(
  cluster: Cluster,
  { phase }: ReplacementRecord,
  { present }: ReplacementEntry,
  now: ClusterService,
): Promise<void> {
  if (phase === 'replacing' && present !== undefined && isDeepStrictEqual(now.spec, present.spec))
    await cluster.putBack(now.id, present.spec);
}

/** Whether the cluster sees the container of a restored task running. */
export async function runsAlready(
  session: ClusterSession,
  record: Pick<ReplacementRecord, 'services'>,
  containerId: string,
): Promise<boolean> {
  const found = await Promise.all(
    record.services.map(({ name, present }) => session.cluster.service(present?.id ?? name)),
  );
  const services = found.filter((service): service is ClusterService => service !== undefined);
  const tasks = await session.cluster.tasks(services, session.nodes, 'wanted');
  return tasks.some((task) => task.containerId === containerId && task.state === 'running');
}

/**
 * Agents that could not be told at the end of an operation still expect its containers. No operation of the stack is under way, so that what
 * they wait for never comes: they forget it.
 */
async function forgetRest(ctx: CoordinatorContext, session: ClusterSession, stack: string): Promise<void> {
  await tellAll(ctx, agentsOf(session), 'look for restores that are over', async (agent) => {
    const { restores } = await agent.listRestores({}, { deadlineMs: ASK_MS });
    for (const { restoreId, stack: owner } of restores) {
      if (owner !== stack) continue;
      ctx.log.warn({ node: agent.node, restoreId }, 'a restore that is over is forgotten');
      await agent.abortRestore({ restoreId, reason: 'it is over', servicesAreBack: true }, { deadlineMs: ASK_MS });
    }
  });
}

function agentsOf(session: ClusterSession): AgentClient[] {
  return session.nodes.filter(({ state }) => state === 'ready').map(({ hostname }) => session.agents.of(hostname));
}

/** One that does not answer is told by the next command. @returns whether all were told */
async function tellAll(
  ctx: CoordinatorContext,
  agents: readonly AgentClient[],
  what: string,
  tell: (agent: AgentClient) => Promise<unknown>,
): Promise<boolean> {
  const results = await Promise.all(
    agents.map((agent) =>
      tell(agent).then(
        () => true,
        (error: unknown) => {
          ctx.log.warn({ node: agent.node, reason: messageOf(error) }, `cannot ${what}`);
          return false;
        },
      ),
    ),
  );
  return results.every(Boolean);
}
