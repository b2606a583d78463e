import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Cluster, ClusterService } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { ASK_MS } from '../session/patience.ts';
import { signRemoval, type Removal } from '../session/removals.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { ClusterSession } from '../session/session.ts';
import { NotReleased, carryOut, takeRewritesBack } from './commit.ts';
import { confirmRunning } from './confirmation.ts';
import { nothingStarts, startingText, type Generations } from './starting.ts';
import { findCut, forgetCut, keepCut, keptText, perhapsText } from './cut-on-disk.ts';
import { outcomeOf } from './lost.ts';
import { giveBack } from './placement-window.ts';
import {
  ReplacementJournal,
  generationNow,
  remedyOf,
  type CommitRecord,
  type ReplacementEntry,
  type ReplacementRecord,
} from './replacement-journal.ts';

/** Released tasks are running within this time, where no health check has to come to a verdict first. Milliseconds. */
const CONFIRM_MS = 10_000;

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
    const left = phase === 'released' ? await rollForward(ctx, session, record, journal) : record;
    // While those that were to be made, and are removed then, are still found by their names.
    const made = await madeBy(session, left);
    if (left.phase === 'replacing') await rollBack(ctx, session, left, agents);
    await untilNothingStarts(ctx, session, left, made, agents);
    await journal.write({ ...left, phase: 'over' });
    // Not aborted after a commit: an old task that could not be told that it has moved must not go on beside its successor.
    const told = await tellAll(ctx, agents, 'end a restore', (agent) =>
      left.commit === undefined
        ? agent.abortRestore({ restoreId: id, reason: 'it is over', servicesAreBack: true }, { deadlineMs: ASK_MS })
        : agent.endRestore({ restoreId: id }, { deadlineMs: ASK_MS }),
    );
    // A node that is down now may come back with what it waited for: until then, or until it is removed from the cluster, it is not over.
    if (told && session.nodes.every(({ state }) => state === 'ready')) await journal.remove();
  }
  await forgetRest(ctx, session, stack);
  return record !== undefined;
}

/** Nothing is committed: the old tasks go on. As in an operation that fails: they first, then the services, then the new containers. */
async function rollBack(
  ctx: CoordinatorContext,
  session: LockedSession,
  record: ReplacementRecord,
  agents: readonly AgentClient[],
): Promise<void> {
  const order = { restoreId: record.id, reason: 'its coordinator is gone' };
  // Before they go on: their agents discard what is not permanent then.
  const gone = await goneOf(session, record);
  if (gone.length > 0)
    await keepIfThere(ctx, session, record, `Swarm has ended old tasks meanwhile: ${gone.join(', ')}`);
  await tellAll(ctx, agents, 'let tasks go on', async (agent) => {
    await agent.resume(order, { deadlineMs: ASK_MS });
    // Between its cut and the hand-over the frozen tasks are the round's; what is permanent of it stays.
    if (record.cut === true) await agent.abort({ snapshotId: record.id, reason: order.reason }, { deadlineMs: ASK_MS });
  });
  await giveBack(session.cluster, record.reserved);
  if (gone.length === 0) await forget(ctx, session, record);
  await remedy(ctx, session, record);
}

async function madeBy(session: LockedSession, { services }: ReplacementRecord): Promise<Generations> {
  const found = await Promise.all(
    services.map(async ({ name, present, generation, next }) => {
      const id = present?.id ?? (await session.cluster.service(name))?.id;
      return id === undefined ? [] : [[id, new Set([generation, next ?? generation])] as const];
    }),
  );
  return new Map(found.flat());
}

/** Agents are told after it that they expect nothing any more. @throws SwarmcutError `failed` while something may start; the next call tries again */
async function untilNothingStarts(
  ctx: CoordinatorContext,
  session: LockedSession,
  record: ReplacementRecord,
  made: Generations,
  agents: readonly AgentClient[],
): Promise<void> {
  const { id, stack, commit } = record;
  const tasks =
    commit === undefined ? [] : await session.cluster.tasks(await servicesOf(session, record), session.nodes, 'all');
  const released = tasks.filter(({ taskId }) => commit?.released.some((member) => member.taskId === taskId));
  const open = await nothingStarts(ctx, session, { id, stack, made, released, agents });
  if (open.length === 0) return;
  // What runs must not depend on it.
  if (commit !== undefined) {
    ctx.emit({ kind: 'warning', message: startingText(id, open) });
    return;
  }
  throw new SwarmcutError('failed', startingText(id, open), {
    where: { stack },
    advice: 'look at `docker service ps --no-trunc SERVICE`, and run the command again',
  });
}

/**
 * It is committed: what was not released yet is.
 * @returns the record as it is then: without its commit, and to be rolled back, if that could not be carried out at all
 * @throws NotReleased when it is not known what has become of a new task: the next try may tell
 */
async function rollForward(
  ctx: CoordinatorContext,
  session: LockedSession,
  record: ReplacementRecord,
  journal: ReplacementJournal,
): Promise<ReplacementRecord> {
  await giveBack(session.cluster, record.reserved);
  const { commit, ...uncommitted } = record;
  if (commit === undefined) {
    await remedy(ctx, session, record);
    return record;
  }
  try {
    await carryOut(commit, {
      ctx,
      restoreId: record.id,
      agent: (node) => session.agents.of(node),
      runs: (containerId) => runsAlready(session, record, containerId),
    });
  } catch (error) {
    if (!(error instanceof NotReleased)) throw error;
    const services = await servicesOf(session, record);
    const [tasks, nodes] = [await session.cluster.tasks(services, session.nodes, 'all'), await session.cluster.nodes()];
    const outcome = outcomeOf(commit, error.members, tasks, nodes);
    if (outcome.kind === 'wait') throw error;
    if (outcome.kind === 'withdraw') {
      // Before it is written down, so that whoever finds the commit does it again.
      await takeRewritesBack(commit, { ctx, restoreId: record.id, agent: (node) => session.agents.of(node) });
      const withdrawn: ReplacementRecord = { ...uncommitted, phase: 'replacing', old: commit.retired };
      await journal.write(withdrawn);
      ctx.emit({
        kind: 'warning',
        message: `${record.id} is withdrawn, no new task has run: ${outcome.why} is lost; the old tasks go on`,
      });
      return withdrawn;
    }
    await keepIfThere(ctx, session, record, `new tasks are lost before they ran: ${outcome.why}`);
    await retireOld(ctx, session, record.id, commit);
    await remedy(ctx, session, record);
    return record;
  }
  const confirmed = await confirmRunning(session, await servicesOf(session, record), commit.released, {
    limitMs: CONFIRM_MS,
    patient: false,
  });
  const open = [...confirmed.late, ...confirmed.ended];
  if (open.length === 0) await forget(ctx, session, record);
  else await keepIfThere(ctx, session, record, `Swarm does not call new tasks running: ${open.join(', ')}`);
  await remedy(ctx, session, record);
  return record;
}

/** Others have gone on from the cut since: no old task may run beside those, not even that of a lost one. Again: no effect. */
async function retireOld(
  ctx: CoordinatorContext,
  session: ClusterSession,
  restoreId: string,
  { retired }: CommitRecord,
): Promise<void> {
  await Promise.all(
    retired.map(async ({ key, node, containerId }) => {
      try {
        await session.agents.of(node).retire({ restoreId, containerId }, { deadlineMs: ASK_MS });
      } catch (error) {
        ctx.log.warn({ key, node, reason: messageOf(error) }, 'an old task could not be told that it has moved');
      }
    }),
  );
}

/** A migration's final cut stays, if it is there, and people are told. For a restore there is the snapshot that was restored. */
async function keepIfThere(
  ctx: CoordinatorContext,
  session: LockedSession,
  record: ReplacementRecord,
  why: string,
): Promise<void> {
  const { id, cut, old } = record;
  const found = cut === true ? await findCut(ctx, session, id, old) : 'absent';
  if (found === 'absent') await forget(ctx, session, record);
  else await keepCut(ctx, session, id);
  const text = { there: `; ${keptText(id)}`, unknown: `; ${perhapsText(id)}`, absent: '' }[found];
  ctx.emit({ kind: 'warning', message: why + text });
}

/** The manager that has made a final cut may be another one, and away: it finds the removal with the agents. */
async function forget(ctx: CoordinatorContext, session: ClusterSession, { id, cut }: ReplacementRecord): Promise<void> {
  if (cut !== true) return;
  let removal: Removal | undefined;
  try {
    removal = signRemoval(ctx.directories.config, id);
  } catch (error) {
    ctx.log.warn({ id, reason: messageOf(error) }, 'cannot sign that the final cut of a migration is removed');
  }
  await forgetCut(ctx, session, id, removal);
}

/** Old tasks that were to go on, and that the cluster has ended or does not know any more. */
async function goneOf(session: ClusterSession, record: ReplacementRecord): Promise<string[]> {
  if (record.old.length === 0) return [];
  const tasks = await session.cluster.tasks(await servicesOf(session, record), session.nodes, 'all');
  return record.old
    .filter(({ containerId }) => tasks.find((task) => task.containerId === containerId)?.wanted !== true)
    .map(({ key, node }) => `${key} on ${node}`);
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
        await leaveTheirs(cluster, record, entry, now);
        continue;
      }
      if (found.kind === 'remove') await cluster.remove(now.id);
      else if (found.kind === 'settle') await cluster.settle(now.id, found.spec);
      else await cluster.putBack(now.id, found.spec, entry.spec, generationNow(entry, now));
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
 * It is theirs, but for our update settings. And a coordinator that only stands still may have been about to replace a service of which it had read
 * the version: with another one, that order comes too late.
 */
async function leaveTheirs(
  cluster: Cluster,
  { phase }: ReplacementRecord,
  entry: ReplacementEntry,
  now: ClusterService,
): Promise<void> {
  if (phase === 'replacing' && entry.present !== undefined)
    await cluster.putBack(now.id, entry.present.spec, entry.spec, generationNow(entry, now));
}

/** Whether the cluster sees the container of a restored task running. */
export async function runsAlready(
  session: ClusterSession,
  record: Pick<ReplacementRecord, 'services'>,
  containerId: string,
): Promise<boolean> {
  const tasks = await session.cluster.tasks(await servicesOf(session, record), session.nodes, 'wanted');
  return tasks.some((task) => task.containerId === containerId && task.state === 'running');
}

async function servicesOf(
  session: ClusterSession,
  record: Pick<ReplacementRecord, 'services'>,
): Promise<ClusterService[]> {
  const found = await Promise.all(
    record.services.map(({ name, present }) => session.cluster.service(present?.id ?? name)),
  );
  return found.filter((service): service is ClusterService => service !== undefined);
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
