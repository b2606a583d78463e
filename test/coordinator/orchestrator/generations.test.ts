import { expect, test } from 'vitest';
import type { ClusterService, ServiceSpec } from '../../../coordinator/orchestrator/index.ts';
import type { Engine } from '../../../coordinator/orchestrator/swarm/engine.ts';
import { Swarm } from '../../../coordinator/orchestrator/swarm/swarm.ts';

/** Of a service whose tasks Swarm remembers with these. */
async function next(had: readonly number[], present: number, wanted: number): Promise<number> {
  const task = (generation: number): object => ({
    ...{ ID: `t${generation}`, ServiceID: 's', Slot: 1, CreatedAt: '', DesiredState: 'shutdown' },
    ...{ Status: { State: 'failed' }, Spec: { ForceUpdate: generation } },
  });
  const engine = { tasks: () => Promise.resolve(had.map(task)) } as unknown as Engine;
  const swarm = new Swarm({ socketPath: '/nowhere', agentPort: 0 }, engine);
  const spec = { TaskTemplate: { ForceUpdate: wanted } } as ServiceSpec;
  const service = { id: 's', name: 'bank_a', generation: present, spec } as ClusterService;
  return swarm.nextGeneration(service, spec);
}

test('a replacement has a generation that no task has had, also not one of a replacement that was undone', async () => {
  expect(await next([3, 4, 5], 3, 3)).toBe(6);
  expect(await next([3], 3, 7)).toBe(8);
  expect(await next([], 3, 3)).toBe(4);
});
