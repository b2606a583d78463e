import { expect, test } from 'vitest';
import type { ClusterNode } from '../../../coordinator/orchestrator/index.ts';
import type { Engine } from '../../../coordinator/orchestrator/swarm/engine.ts';
import { Swarm } from '../../../coordinator/orchestrator/swarm/swarm.ts';

const raw = (ID: string, ForceUpdate: number, more: object = {}): object => ({
  ...{ ID, ServiceID: 's', NodeID: 'id-n1', Slot: 1, CreatedAt: '', DesiredState: 'shutdown' },
  ...{ Spec: { ForceUpdate }, Status: { State: 'preparing' }, ...more },
});

/** @param generation of the service; undefined: it is gone */
async function starting(tasks: readonly object[], generation?: number) {
  const template = { TaskTemplate: { ForceUpdate: generation } };
  const service = { ID: 's', Version: { Index: 1 }, Spec: { Name: 'bank_a', Mode: {}, ...template } };
  const engine = {
    tasks: () => Promise.resolve(tasks),
    services: () => Promise.resolve(generation === undefined ? [] : [service]),
  } as unknown as Engine;
  const swarm = new Swarm({ socketPath: '/nowhere', agentPort: 0 }, engine);
  const nodes = [{ id: 'id-n1', hostname: 'n1' }] as ClusterNode[];
  const found = await swarm.startingTasks('bank', new Map([['s', new Set([4, 5])]]), nodes);
  return found.map(({ taskId, wanted, current }) =>
    [taskId, wanted && 'wanted', current && 'current'].filter(Boolean).join(' '),
  );
}

test('tasks of given generations that have not started yet, also of a service that is gone', async () => {
  const tasks = [
    raw('old', 3),
    raw('preparing', 4),
    raw('wanted', 5, { DesiredState: 'running' }),
    raw('no node', 4, { NodeID: undefined }),
    raw('runs', 4, { Status: { State: 'running' } }),
    raw('ended', 4, { Status: { State: 'failed' } }),
    raw('other service', 4, { ServiceID: 'x' }),
  ];
  expect(await starting(tasks, 3)).toEqual(['preparing', 'wanted wanted']);
  expect(await starting(tasks)).toEqual(['preparing', 'wanted wanted']);
  expect(await starting(tasks, 5)).toEqual(['preparing', 'wanted wanted current']);
});
