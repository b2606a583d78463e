import { expect, test, vi } from 'vitest';
import type { CoordinatorContext, OperationEvent } from '../../../coordinator/operations/index.ts';
import { Arrivals } from '../../../coordinator/operations/relocation/arrivals.ts';
import type { ClusterSession } from '../../../coordinator/operations/session/session.ts';
import type { ClusterService, ClusterTask } from '../../../coordinator/orchestrator/index.ts';
import type { RestoreEvent__Output } from '../../../src/rpc/generated/swarmcut/RestoreEvent.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';

const REF = { service: 'bank_a', slot: '1', taskId: 't1', containerId: 'c1' };

function restoreEvent(phase: RestoreEvent__Output['phase'], more: Partial<RestoreEvent__Output> = {}) {
  return { phase, task: REF, detail: '', bytesDone: 0, bytesTotal: 0, ...more };
}

/** An agent whose restore goes like this, as far as it is let. */
function agentTelling(...turns: RestoreEvent__Output[][]): { agent: AgentClient; next: () => void } {
  const waiting: (() => void)[] = [];
  const next = (): void => waiting.shift()?.();
  async function* watchRestore(): AsyncGenerator<RestoreEvent__Output> {
    for (const events of turns) {
      await new Promise<void>((resolve) => waiting.push(resolve));
      yield* events;
    }
  }
  return { agent: { node: 'n2', watchRestore, pass: vi.fn() } as unknown as AgentClient, next };
}

test('what agents say of a fetch is told on, by task, once its container is known', async () => {
  const events: OperationEvent[] = [];
  const ctx = {
    log: { debug: vi.fn() },
    signal: new AbortController().signal,
    emit: (event: OperationEvent) => void events.push(event),
  } as unknown as CoordinatorContext;
  const task = { service: 'bank_a', serviceId: 's', slot: '1', taskId: 't1', generation: 4 } as ClusterTask;
  const session = { nodes: [], cluster: { tasks: () => Promise.resolve([task]) } } as unknown as ClusterSession;
  const { agent, next } = agentTelling(
    [restoreEvent('FETCHING', { bytesDone: 1, bytesTotal: 10 }), restoreEvent('ARRIVED')],
    [restoreEvent('FETCHING', { bytesDone: 5, bytesTotal: 10 })],
  );
  const arrivals = new Arrivals(ctx, session, 'r1');
  arrivals.follow([agent]);
  next();
  await arrivals.waitFor(['bank_a.1'], [{ id: 's' } as ClusterService], new Map([['s', 4]]), 10_000);
  next();
  await vi.waitFor(() => expect(events).toHaveLength(3));
  arrivals.stop();
  expect(events).toEqual([
    { kind: 'step-begun', task: 'bank_a.1', step: 'wait for Swarm' },
    { kind: 'step-done', task: 'bank_a.1', step: 'wait for Swarm', detail: 'n2' },
    { kind: 'fetch-progress', task: 'bank_a.1', node: 'n2', bytesDone: 5, bytesTotal: 10 },
  ]);
});
