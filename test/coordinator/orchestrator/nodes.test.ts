import { expect, test } from 'vitest';
import type { Engine } from '../../../coordinator/orchestrator/swarm/engine.ts';
import { Swarm } from '../../../coordinator/orchestrator/swarm/swarm.ts';

test('nodes come in the order of their names, whatever ids Swarm has given them', async () => {
  const raw = (hostname: string): object => ({
    ...{ ID: `id-${hostname}`, Description: { Hostname: hostname }, Spec: {} },
    Status: { State: 'ready', Addr: '10.0.0.1' },
  });
  const engine = { nodes: () => Promise.resolve(['n3', 'n1', 'n2'].map(raw)) } as unknown as Engine;
  const nodes = await new Swarm({ socketPath: '/nowhere', agentPort: 0 }, engine).nodes();
  expect(nodes.map(({ hostname }) => hostname)).toEqual(['n1', 'n2', 'n3']);
});
