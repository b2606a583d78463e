import { messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { UndoneTask } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { ASK_MS } from '../session/patience.ts';
import type { ClusterSession } from '../session/session.ts';

const LOOK_MS = 50;

/** The cluster ends tasks that it wants no longer, and whose containers were not made yet, within this time. Milliseconds. */
const CONFIRM_MS = 60_000;

/** New tasks of a restore or migration that was undone, by id of their service: the generations that they have. */
export type Undone = ReadonlyMap<string, ReadonlySet<number>>;

export interface UndoneQuestion {
  /** Of the restore or migration. */
  readonly id: string;
  readonly stack: string;
  readonly undone: Undone;
  /** Those that expect its containers. */
  readonly agents: readonly Pick<AgentClient, 'node' | 'listRestores'>[];
}

/**
 * Waits until no new task of an undone replacement can start any more: the cluster has ended it, or its container waits for an agent, which fails it
 * then. Services have been put back before, and agents still expect containers: one that is made when they do so no longer would start empty, beside the
 * task that it was to replace.
 * @returns tasks of which that is not so when time is up
 */
export async function confirmUndone(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Pick<ClusterSession, 'cluster' | 'nodes'>,
  question: UndoneQuestion,
  limitMs = CONFIRM_MS,
): Promise<readonly UndoneTask[]> {
  const { stack, undone } = question;
  const until = performance.now() + limitMs;
  for (;;) {
    const tasks = await session.cluster.undoneTasks(stack, undone, session.nodes);
    // Asked after the cluster: what has come meanwhile is no harm, what has gone meanwhile is seen the next time.
    const held = tasks.length === 0 ? [] : await heldBack(ctx, question);
    const open = tasks.filter(({ taskId, wanted, node }) => {
      const at = held.find((one) => one.node === node);
      // Nobody can tell an agent that is away that it is over: it goes on expecting them.
      return wanted || (at !== undefined && !at.waiting.includes(taskId));
    });
    if (open.length === 0 || performance.now() >= until) return open;
    await pause(LOOK_MS);
  }
}

/** What waits, of agents that answer. */
async function heldBack(
  ctx: Pick<CoordinatorContext, 'log'>,
  { id, agents }: UndoneQuestion,
): Promise<readonly { readonly node: string; readonly waiting: readonly string[] }[]> {
  const answers = await Promise.all(
    agents.map(async (agent) => {
      const { node } = agent;
      try {
        const { restores } = await agent.listRestores({}, { deadlineMs: ASK_MS });
        return [{ node, waiting: restores.find(({ restoreId }) => restoreId === id)?.waiting ?? [] }];
      } catch (error) {
        ctx.log.warn({ node, reason: messageOf(error) }, 'cannot ask what waits');
        return [];
      }
    }),
  );
  return answers.flat();
}

/** For people. */
export function unconfirmedText(open: readonly UndoneTask[]): string {
  return `Swarm has not ended new tasks of an operation that was undone: ${open.map(({ text }) => text).join(', ')}`;
}
