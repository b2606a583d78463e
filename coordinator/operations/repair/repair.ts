import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { withStackLock } from '../lock/stack-lock.ts';
import { reconcile } from '../rounds/reconcile.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LeftoverItem, RepairReport } from '../session/reports.ts';
import { openClusterSession, type ClusterSession } from '../session/session.ts';
import { putServicesBack } from '../transaction/recovery.ts';
import { UNFINISHED, survey } from './survey.ts';

/** Longest time that an agent may take to clear what was found on its node. Milliseconds. */
const CLEAR_MS = 120_000;

/** What operations have left behind, here and on the nodes, and what is in use. Changes nothing. */
export async function findLeftovers(ctx: CoordinatorContext): Promise<RepairReport> {
  using session = await openClusterSession(ctx);
  return await survey(ctx, session);
}

/**
 * Clears what was shown, and nothing else. With the lock of each stack held, so that no operation begins meanwhile, what was cut short is finished first,
 * as the next command on the stack would: only then it is known what of it is left over. Stacks that somebody is at work on are not touched.
 * @param shown by {@link findLeftovers}
 */
export async function clearLeftovers(ctx: CoordinatorContext, shown: RepairReport): Promise<RepairReport> {
  using session = await openClusterSession(ctx);
  return await clearIn(ctx, session, shown);
}

/** {@link clearLeftovers}, in a session that is there. */
export async function clearIn(
  ctx: CoordinatorContext,
  session: ClusterSession,
  shown: RepairReport,
): Promise<RepairReport> {
  const left = shown.items.filter(({ state }) => state === 'left');
  const stacks = new Set(left.map(({ stack }) => stack).filter((stack) => stack !== ''));
  /** Why something was not cleared: by the key of the item, or by stack. */
  const refused = new Map<string, Refusal>();
  const clearable = left.filter(({ kind }) => !UNFINISHED.has(kind));
  for (const stack of [...stacks].sort()) {
    const own = (item: LeftoverItem): boolean => item.stack === stack;
    try {
      const work = { command: 'repair', id: String(process.pid) };
      await withStackLock(ctx, session, stack, work, async (lockedCtx, locked) => {
        if (left.some((item) => own(item) && UNFINISHED.has(item.kind))) {
          // As the next command on the stack.
          await putServicesBack(lockedCtx, locked, stack);
          await reconcile(lockedCtx, locked, stack);
        }
        await clearOnNodes(lockedCtx, locked, clearable.filter(own), refused);
      });
    } catch (error) {
      ctx.signal.throwIfAborted();
      const busy = error instanceof SwarmcutError && error.code === 'conflict';
      refused.set(stack, { state: busy ? 'in use' : 'failed', why: messageOf(error) });
    }
  }
  const nobodys = clearable.filter(({ stack }) => stack === '');
  if (nobodys.length > 0) await clearOnNodes(ctx, session, nobodys, refused);
  const now = await survey(ctx, session);
  return { unreached: now.unreached, items: shown.items.map((item) => verdict(item, now, refused)) };
}

interface Refusal {
  readonly state: 'in use' | 'failed';
  readonly why: string;
}

/** @param failed gets why a node could not be told, by the key of the item */
async function clearOnNodes(
  ctx: CoordinatorContext,
  session: ClusterSession,
  items: readonly LeftoverItem[],
  failed: Map<string, Refusal>,
): Promise<void> {
  await Promise.all(
    [...new Set(items.map(({ node }) => node))].map(async (node) => {
      const here = items.filter((item) => item.node === node);
      try {
        const clear = here.map(({ kind, subject }) => `${kind} ${subject}`);
        const { leftovers } = await session.agents
          .of(node)
          .leftovers({ clear }, { signal: ctx.signal, deadlineMs: CLEAR_MS });
        for (const { kind, subject, problem } of leftovers)
          if (problem !== '') failed.set(keyOf({ node, kind, subject }), { state: 'failed', why: problem });
      } catch (error) {
        ctx.signal.throwIfAborted();
        for (const item of here) failed.set(keyOf(item), { state: 'failed', why: messageOf(error) });
      }
    }),
  );
}

/** What has become of something that was shown. */
function verdict(item: LeftoverItem, now: RepairReport, refused: ReadonlyMap<string, Refusal>): LeftoverItem {
  if (item.state !== 'left') return item;
  const why = refused.get(keyOf(item)) ?? (item.stack === '' ? undefined : refused.get(item.stack));
  if (why !== undefined) return { ...item, ...why };
  // We have had the lock ourselves.
  if (item.kind === 'lock') return { ...item, state: 'cleared' };
  const still = now.items.find((one) => keyOf(one) === keyOf(item));
  if (now.unreached.some(({ node }) => node === item.node))
    return { ...item, state: 'failed', why: 'the node does not answer any more' };
  if (still === undefined) return { ...item, state: 'cleared' };
  return still.state === 'in use'
    ? { ...item, state: 'in use', why: still.why ?? '' }
    : { ...item, state: 'failed', why: 'it is still there' };
}

function keyOf({ node, kind, subject }: Pick<LeftoverItem, 'node' | 'kind' | 'subject'>): string {
  return `${node} ${kind} ${subject}`;
}
