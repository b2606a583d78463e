import { messageOf } from '../../../src/model/errors.ts';
import { poll } from '../../../src/platform/deadlines.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { StartingTask } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { ASK_MS } from '../session/patience.ts';
import type { ClusterSession } from '../session/session.ts';

const LOOK_MS = 50;

/**
 * Within this time the cluster ends tasks that are not to start, and its nodes know of it: what is not wanted then, and not there, does not start any more.
 * Milliseconds.
 */
const CONFIRM_MS = 30_000;

/** What a restore or migration has had made: by id of the service, the generations of its new tasks. */
export type Generations = ReadonlyMap<string, ReadonlySet<number>>;

export interface StartingQuestion {
  /** Of the restore or migration. */
  readonly id: string;
  readonly stack: string;
  readonly made: Generations;
  /** Tasks that were released: what else is made for their slots is not to start. None if it was undone. */
  readonly released: readonly { readonly taskId: string; readonly serviceId: string; readonly slot: string }[];
  /** Those that expect its containers. */
  readonly agents: readonly Pick<AgentClient, 'node' | 'listRestores'>[];
}

/**
 * Waits until none of the tasks that were made for a replacement, and are not to start, can start any more: all of them, if it was undone and the
 * services are back; those that the cluster has made beside released ones, or has given up, if it was committed. The cluster has ended such a task then,
 * or its container waits for an agent, which fails it. Agents still expect containers: one that is made when they do so no longer would start empty,
 * beside the task that runs with the state.
 * @returns tasks that the cluster still wants when time is up
 */
export async function nothingStarts(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Pick<ClusterSession, 'cluster' | 'nodes'>,
  question: StartingQuestion,
  limitMs = CONFIRM_MS,
): Promise<readonly StartingTask[]> {
  const { stack, made, released } = question;
  const taken = ({ serviceId, slot }: StartingTask): boolean =>
    released.some((task) => task.serviceId === serviceId && task.slot === slot);
  // An ordinary one, as after scaling up, starts as what it is.
  const ordinary = (task: StartingTask): boolean => task.wanted && task.current && !taken(task);
  let open: readonly StartingTask[] = [];
  const look = async (): Promise<true | undefined> => {
    const tasks = await session.cluster.startingTasks(stack, made, session.nodes);
    const unwelcome = tasks.filter((task) => !ordinary(task) && released.every(({ taskId }) => taskId !== task.taskId));
    // Asked after the cluster: what has come meanwhile is no harm, what has gone meanwhile is seen the next time.
    const held = unwelcome.length === 0 ? [] : await heldBack(ctx, question);
    open = unwelcome.filter(({ taskId, wanted, node }) => {
      const at = held.find((one) => one.node === node);
      // For one that is wanted, and fails, another one is made. Nobody can tell an agent that is away that it is over: it goes on expecting them.
      return wanted || (at !== undefined && !at.waiting.includes(taskId));
    });
    return open.length === 0 ? true : undefined;
  };
  await poll(look, { timeoutMs: limitMs, intervalMs: LOOK_MS });
  return open.filter(({ wanted }) => wanted);
}

/** What waits, of agents that answer. */
async function heldBack(
  ctx: Pick<CoordinatorContext, 'log'>,
  { id, agents }: StartingQuestion,
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
export function startingText(id: string, open: readonly StartingTask[]): string {
  return `Swarm has not ended tasks that were made for ${id} and are not to start: ${open.map(({ text }) => text).join(', ')}`;
}
