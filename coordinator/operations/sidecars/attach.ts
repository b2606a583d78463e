import { PROXY_ALGORITHMS, algorithms } from '../../../src/algorithms/index.ts';
import { LABELS } from '../../../src/config/labels.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { newId } from '../../../src/model/ids.ts';
import { taskKey } from '../../../src/model/task.ts';
import { ProgressDeadline, pause } from '../../../src/platform/deadlines.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { SidecarsReport } from '../session/reports.ts';
import { withStackLock } from '../lock/stack-lock.ts';
import { putServicesBack } from '../transaction/recovery.ts';
import { existingStack, openClusterSession } from '../session/session.ts';
import { proxiedServices, stackSettings } from '../session/settings.ts';
import type { Stack, ClusterService } from '../../orchestrator/index.ts';
import { everyAgent, listSidecars, sidecarsReport } from './sidecars.ts';

/** Sidecars find each other within about a second of the engine's news; not longer than this after the last one has found another. Milliseconds. */
const ACQUAINTANCE_MS = 10_000;
const POLL_MS = 500;

/**
 * Gives every task of the services that declare an algorithm of the proxy a sidecar: those that run, for connections made from now on,
 * and those that will be started, on whatever node.
 */
export async function attachSidecars(ctx: CoordinatorContext, stackName: string): Promise<SidecarsReport> {
  using opened = await openClusterSession(ctx);
  const services = declaringServices(await existingStack(opened, stackName));
  const id = newId(Date.now(), Math.random());
  const work = { command: 'attachment', id };
  return await withStackLock(ctx, opened, stackName, work, async (ctx, session) => {
    await putServicesBack(ctx, session, stackName);
    const stack = await existingStack(session, stackName);
    const names = services.map(({ name }) => name);
    const tasks = stack.tasks.filter(({ state, service }) => state === 'running' && names.includes(service));
    const answers = await everyAgent(ctx, session, async (agent) => {
      const own = tasks.filter(({ node }) => node === agent.node);
      for (const task of own) ctx.emit({ kind: 'step-begun', task: taskKey(task), step: 'attach' });
      const { sidecars } = await agent.attach(
        {
          stack: stackName,
          services: names,
          tasks: own.map(({ service, slot, taskId, containerId }) => ({ service, slot, taskId, containerId })),
        },
        { signal: ctx.signal },
      );
      for (const task of own) ctx.emit({ kind: 'step-done', task: taskKey(task), step: 'attach', detail: agent.node });
      return sidecars;
    });
    ctx.log.info({ stack: stackName, services: names, unreached: answers.unreached }, 'sidecars are attached');
    return await acquainted(ctx, stack, sidecarsReport(stack, answers), async () =>
      sidecarsReport(stack, await listSidecars(ctx, session, stackName)),
    );
  });
}

/**
 * Waits until the sidecars have found each other: which old connections lead to peers is known only then.
 * @param look what the agents say now
 */
async function acquainted(
  ctx: CoordinatorContext,
  stack: Stack,
  first: SidecarsReport,
  look: () => Promise<SidecarsReport>,
): Promise<SidecarsReport> {
  using deadline = new ProgressDeadline({ limitMs: ACQUAINTANCE_MS, late: () => new Error('they do not meet') });
  ctx.emit({ kind: 'step-begun', step: 'wait until the sidecars know each other' });
  let report = first;
  for (let before = ''; ;) {
    const known = JSON.stringify(report.sidecars.map(({ peers, direct }) => [peers.length, direct]));
    const lonely =
      report.sidecars.length > 1 && report.sidecars.some(({ alive, peers }) => alive && peers.length === 0);
    if (!lonely && known === before) {
      ctx.emit({ kind: 'step-done', step: 'wait until the sidecars know each other' });
      return report;
    }
    deadline.note({ doing: '', mark: known });
    if (deadline.signal.aborted || ctx.signal.aborted) {
      // Services on networks of their own never meet.
      ctx.log.warn({ stack: stack.name, report }, 'not every sidecar knows another one');
      return report;
    }
    before = known;
    await pause(POLL_MS);
    report = await look();
  }
}

/** @throws SwarmcutError `precondition` when the stack does not ask for sidecars */
function declaringServices(stack: Stack): readonly ClusterService[] {
  const { algorithm } = stackSettings(stack);
  if (algorithms[algorithm]?.interceptor === 'proxy') return proxiedServices(stack);
  throw new SwarmcutError(
    'precondition',
    `the algorithm of stack ${stack.name} is ${algorithm}, which needs no sidecars`,
    {
      where: { stack: stack.name },
      advice: `declare one that does in the compose file (${LABELS.algorithm}: ${PROXY_ALGORITHMS.join(', ')}) and deploy it, then attach`,
    },
  );
}
