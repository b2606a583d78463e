import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { kindOf, OBSTACLES, obstacleText, type ObstacleName } from '../../src/model/obstacles.ts';
import { taskKey } from '../../src/model/task.ts';
import type { Obstacle__Output } from '../../src/rpc/generated/swarmcut/Obstacle.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { NodeInfo, ObstacleReport, TaskCheck } from './session/reports.ts';
import { existingStack, openClusterSession } from './session/session.ts';

/** Asks every node of the Swarm; unreachable ones are entries with an error. */
export async function checkNodes(ctx: CoordinatorContext): Promise<NodeInfo[]> {
  using session = await openClusterSession(ctx);
  return await Promise.all(
    session.nodes
      .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
      .map(async ({ hostname }): Promise<NodeInfo> => {
        try {
          const peers = session.nodes
            .filter((other) => other.hostname !== hostname)
            .map((other) => ({ node: other.hostname, address: other.agentAddress }));
          return await session.agents
            .of(hostname)
            .info({ preflight: true, peers }, { deadlineMs: 60_000, signal: ctx.signal });
        } catch (error) {
          if (isOurs(error)) throw error;
          return { node: hostname, error: textOf(error) };
        }
      }),
  );
}

/**
 * Asks the agents of a running stack what of each task CRIU does not carry: before anything is frozen.
 * @throws SwarmcutError `not-found` for a stack that does not exist
 */
export async function checkStack(ctx: CoordinatorContext, name: string): Promise<TaskCheck[]> {
  using session = await openClusterSession(ctx);
  const stack = await existingStack(session, name);
  const running = stack.tasks.filter(({ state }) => state === 'running');
  return await Promise.all(
    running
      .toSorted((a, b) => taskKey(a).localeCompare(taskKey(b), 'en', { numeric: true }))
      .map(async ({ service, slot, node, containerId }): Promise<TaskCheck> => {
        try {
          const { obstacles } = await session.agents.of(node).look({ containerId }, { signal: ctx.signal });
          return { service, slot, node, obstacles: obstacles.flatMap(toReport) };
        } catch (error) {
          if (isOurs(error)) throw error;
          return { service, slot, node, obstacles: [], error: textOf(error) };
        }
      }),
  );
}

/** An agent of another version may know kinds that we do not. */
function toReport({ kind, pid, command, object }: Obstacle__Output): ObstacleReport[] {
  if (!Object.hasOwn(OBSTACLES, kind)) return [];
  const obstacle = { kind: kind as ObstacleName, pid, command, object };
  const { effect, advice, passes } = kindOf(obstacle);
  return [{ ...obstacle, effect, passes: passes === true, message: obstacleText(obstacle), advice }];
}

/** It is the same for every node. */
function isOurs(error: unknown): boolean {
  if (!(error instanceof SwarmcutError)) return false;
  const { node, file } = error.where;
  return error.code === 'precondition' && file !== undefined && node === undefined;
}

/** What is wrong, and in a second line what to do, where that is known. */
function textOf(error: unknown): string {
  const advice = error instanceof SwarmcutError ? error.advice : undefined;
  return advice === undefined ? messageOf(error) : `${messageOf(error)}\n${advice}`;
}
