import { describe, expect, test, vi } from 'vitest';
import type { CoordinatorContext, OperationEvent } from '../../../../coordinator/operations/index.ts';
import { Arrivals } from '../../../../coordinator/operations/relocation/arrivals/arrivals.ts';
import type { ClusterSession } from '../../../../coordinator/operations/session/session.ts';
import type { ClusterService, ClusterTask } from '../../../../coordinator/orchestrator/index.ts';
import type { RestoreEvent__Output } from '../../../../src/rpc/generated/swarmcut/RestoreEvent.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';

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
  const task = {
    service: 'bank_a',
    serviceId: 's',
    slot: '1',
    taskId: 't1',
    generation: 4,
    wanted: true,
  } as ClusterTask;
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

/** Waits for saved slots while these come; what becomes of each, by saved task. */
async function assigned(saved: readonly string[], coming: readonly string[]): Promise<Record<string, string>> {
  const ctx = {
    log: { debug: vi.fn() },
    signal: new AbortController().signal,
    emit: vi.fn(),
  } as unknown as CoordinatorContext;
  const tasks = coming.map((slot) => ({
    service: 'db',
    serviceId: 's',
    slot,
    taskId: `t${slot}`,
    generation: 4,
    wanted: true,
  }));
  const session = { nodes: [], cluster: { tasks: () => Promise.resolve(tasks) } } as unknown as ClusterSession;
  const refs = coming.map((slot) => ({ service: 'db', slot, taskId: `t${slot}`, containerId: `c${slot}` }));
  const { agent, next } = agentTelling(refs.map((task) => restoreEvent('ARRIVED', { task })));
  const arrivals = new Arrivals(ctx, session, 'r1');
  arrivals.follow([agent]);
  next();
  const keys = saved.map((slot) => `db.${slot}`);
  const service = { id: 's', name: 'db', mode: 'replicated' } as ClusterService;
  const found = await arrivals.waitFor(keys, [service], new Map([['s', 4]]), 10_000);
  arrivals.stop();
  return Object.fromEntries([...found].map(([key, { containerId }]) => [key, containerId]));
}

test.each([
  ['a task that was the second', ['2'], ['1'], { 'db.2': 'c1' }],
  ['two of which one keeps its slot', ['2', '10'], ['1', '2'], { 'db.2': 'c2', 'db.10': 'c1' }],
  ['tasks in the order of their slots', ['3', '10'], ['2', '1'], { 'db.3': 'c1', 'db.10': 'c2' }],
])('slots that do not come are taken by others: %s', async (_what, saved, coming, expected) => {
  expect(await assigned(saved, coming)).toEqual(expected);
});

describe('new tasks that Swarm gives up before all have come', () => {
  /** Containers c1, c2 … wait on n2, for the tasks t1, t2 … of one slot, which the cluster sees as it is said. */
  async function sought(
    seen: () => Partial<ClusterTask>[],
    generations = new Map([['s', 4]]),
    adapt?: () => Promise<void>,
    complete = (): void => undefined,
  ) {
    const passed: string[] = [];
    const tasks = (): ClusterTask[] =>
      seen().map(
        (task) => ({ service: 'bank_a', serviceId: 's', slot: '1', error: '', wanted: true, ...task }) as ClusterTask,
      );
    const ctx = {
      log: { debug: vi.fn(), warn: vi.fn() },
      signal: new AbortController().signal,
      emit: vi.fn(),
    } as unknown as CoordinatorContext;
    const session = { nodes: [], cluster: { tasks: () => Promise.resolve(tasks()) } } as unknown as ClusterSession;
    const events = seen().map(({ taskId }) =>
      restoreEvent('ARRIVED', { task: { ...REF, taskId: taskId ?? '', containerId: `c${taskId?.slice(1) ?? ''}` } }),
    );
    async function* watchRestore(
      _: unknown,
      { signal }: { signal: AbortSignal },
    ): AsyncGenerator<RestoreEvent__Output> {
      yield* events;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    }
    const pass = ({ containerId }: { containerId: string }): Promise<void> =>
      Promise.resolve(void passed.push(containerId));
    const arrivals = new Arrivals(ctx, session, 'r1');
    arrivals.follow([{ node: 'n2', watchRestore, pass } as unknown as AgentClient]);
    try {
      const found = await arrivals.waitFor(
        ['bank_a.1'],
        [{ id: 's', name: 'bank_a', mode: 'replicated' } as ClusterService],
        generations,
        10_000,
        adapt,
      );
      complete();
      await arrivals.stillWanted();
      return { containerId: found.get('bank_a.1')?.containerId, passed };
    } finally {
      arrivals.stop();
    }
  }

  test('the one that it wants counts', async () => {
    const seen = [
      { taskId: 't1', generation: 4, wanted: false },
      { taskId: 't2', generation: 4 },
    ];
    expect(await sought(() => seen)).toEqual({ containerId: 'c2', passed: [] });
  });

  test('a spare one of the same slot is no error, and is not started: Swarm keeps that of the lowest id, whichever comes first', async () => {
    const seen = [
      { taskId: 't1', generation: 4 },
      { taskId: 't2', generation: 4 },
    ];
    expect(await sought(() => seen)).toEqual({ containerId: 'c1', passed: [] });
    expect(await sought(() => seen.toReversed())).toEqual({ containerId: 'c1', passed: [] });
  });

  test('a spare one takes the place of the one that Swarm would keep, and has given up', async () => {
    let looks = 0;
    const adapt = (): Promise<void> => {
      looks++;
      return Promise.resolve();
    };
    const seen = () => [
      { taskId: 't1', generation: 4, wanted: looks < 1 },
      { taskId: 't2', generation: 4 },
    ];
    expect(await sought(seen, undefined, adapt)).toEqual({ containerId: 'c2', passed: [] });
  });

  test('one of a later generation counts when that has become the service’s', async () => {
    const seen = [
      { taskId: 't1', generation: 4, wanted: false },
      { taskId: 't2', generation: 5 },
    ];
    const generations = new Map([['s', 4]]);
    let looks = 0;
    const adapt = (): Promise<void> => {
      if (++looks === 2) generations.set('s', 5);
      return Promise.resolve();
    };
    expect(await sought(() => seen, generations, adapt)).toEqual({ containerId: 'c2', passed: [] });
  });

  test('one of a generation that was superseded before it came is not started', async () => {
    const seen = [
      { taskId: 't1', generation: 4 },
      { taskId: 't2', generation: 5 },
    ];
    const generations = new Map([['s', 4]]);
    const adapt = (): Promise<void> => {
      generations.set('s', 5);
      return Promise.resolve();
    };
    expect(await sought(() => seen, generations, adapt)).toEqual({ containerId: 'c2', passed: [] });
  });

  test('one that comes while the cluster is asked is not judged by the answer: that may be older than its task', async () => {
    const t1 = { service: 'bank_a', serviceId: 's', slot: '1', taskId: 't1', generation: 4, wanted: true };
    const { agent, next } = agentTelling(
      [restoreEvent('ARRIVED', { task: { ...REF, taskId: 't0', containerId: 'c0' } })],
      [restoreEvent('ARRIVED')],
    );
    const answers: ((tasks: object[]) => void)[] = [];
    const tasks = () => new Promise<object[]>((resolve) => answers.push(resolve));
    const ctx = {
      log: { debug: vi.fn() },
      signal: new AbortController().signal,
      emit: vi.fn(),
    } as unknown as CoordinatorContext;
    const arrivals = new Arrivals(ctx, { nodes: [], cluster: { tasks } } as unknown as ClusterSession, 'r1');
    arrivals.follow([agent]);
    next();
    await new Promise(setImmediate);
    const service = { id: 's', name: 'bank_a', mode: 'replicated' } as ClusterService;
    const found = arrivals.waitFor(['bank_a.1'], [service], new Map([['s', 4]]), 10_000);
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    next();
    await new Promise(setImmediate);
    // As it was before the task was made.
    answers.shift()?.([{ ...t1, taskId: 't0', generation: 3 }]);
    const rest = setInterval(() => answers.shift()?.([t1]), 5);
    try {
      expect((await found).get('bank_a.1')?.containerId).toBe('c1');

      expect(vi.mocked(agent.pass).mock.calls.map(([{ containerId }]) => containerId)).toEqual(['c0']);
    } finally {
      clearInterval(rest);
      arrivals.stop();
    }
  });

  test('tasks of other slots and of earlier generations start as what they are', async () => {
    const seen = [
      { taskId: 't1', generation: 4, slot: '2' },
      { taskId: 't2', generation: 3 },
      { taskId: 't3', generation: 4 },
    ];
    expect(await sought(() => seen)).toEqual({ containerId: 'c3', passed: ['c2', 'c1'] });
  });

  test('one that is given up later is told before anything is committed', async () => {
    const task = { taskId: 't1', generation: 4, wanted: true, error: 'drained' };
    await expect(
      sought(
        () => [task],
        undefined,
        undefined,
        () => void (task.wanted = false),
      ),
    ).rejects.toThrow('Swarm has given up the new task of bank_a.1 on n2 meanwhile (drained)');
  });
});
