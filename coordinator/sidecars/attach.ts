import { algorithms } from '../../src/algorithms/index.ts';
import { LABELS } from '../../src/config/labels.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { taskKey } from '../../src/model/task.ts';
import { acquireStackLock } from '../../src/store/locks.ts';
import type { CoordinatorContext, SidecarsReport } from '../api.ts';
import { putServicesBack } from '../restore/replacement-journal.ts';
import { existingStack, openSession } from '../swarm/session.ts';
import { proxiedServices, stackSettings } from '../swarm/settings.ts';
import type { Stack, SwarmService } from '../swarm/types.ts';
import { everyAgent, sidecarsReport } from './sidecars.ts';

/**
 * Gives every task of the services that declare an algorithm of the proxy a sidecar: those that run, for connections made from now on,
 * and those that will be started, on whatever node.
 */
export async function attachSidecars(ctx: CoordinatorContext, stackName: string): Promise<SidecarsReport> {
  using session = await openSession(ctx);
  const services = declaringServices(await existingStack(session, stackName));
  const id = newId(Date.now(), Math.random());
  const lock = await acquireStackLock(ctx.directories.run, stackName, { command: 'attachment', id });
  try {
    await putServicesBack(ctx, session, stackName);
    const stack = await existingStack(session, stackName);
    const names = services.map(({ name }) => name);
    const tasks = stack.tasks.filter(({ state, service }) => state === 'running' && names.includes(service));
    const answers = await everyAgent(ctx, session, async (agent) => {
      const own = tasks.filter(({ node }) => node === agent.node);
      for (const task of own) ctx.reporter.begin(taskKey(task), 'attach');
      const { sidecars } = await agent.attach(
        {
          stack: stackName,
          services: names,
          tasks: own.map(({ service, slot, taskId, containerId }) => ({ service, slot, taskId, containerId })),
        },
        { signal: ctx.signal },
      );
      for (const task of own) ctx.reporter.done(taskKey(task), 'attach', agent.node);
      return sidecars;
    });
    ctx.log.info({ stack: stackName, services: names, unreached: answers.unreached }, 'sidecars are attached');
    return sidecarsReport(stack, answers);
  } finally {
    await lock.release();
  }
}

/** @throws SwarmcutError `precondition` when the stack does not ask for sidecars */
function declaringServices(stack: Stack): readonly SwarmService[] {
  const { algorithm } = stackSettings(stack);
  if (algorithms[algorithm]?.interceptor === 'proxy') return proxiedServices(stack);
  const proxied = Object.values(algorithms)
    .filter(({ interceptor }) => interceptor === 'proxy')
    .map(({ name }) => name);
  throw new SwarmcutError(
    'precondition',
    `the algorithm of stack ${stack.name} is ${algorithm}, which needs no sidecars`,
    {
      where: { stack: stack.name },
      advice: `declare one that does in the compose file (${LABELS.algorithm}: ${proxied.join(', ')}) and deploy it, then attach`,
    },
  );
}
