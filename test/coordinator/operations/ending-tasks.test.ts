import { expect, test, vi } from 'vitest';
import { endingTasksAreGone } from '../../../coordinator/operations/rounds/ending-tasks.ts';
import type { ClusterTask } from '../../../coordinator/orchestrator/index.ts';
import type { ClusterSession } from '../../../coordinator/operations/session/session.ts';

const ending = { service: 'bank_a', slot: '1', node: 'n1', wanted: false, state: 'running' } as ClusterTask;

function session(...looks: Partial<ClusterTask>[][]): ClusterSession {
  const tasks = vi.fn(() => Promise.resolve((looks.length > 1 ? looks.shift() : looks[0]) as ClusterTask[]));
  return { cluster: { tasks }, nodes: [{ hostname: 'n1', state: 'ready' }] } as unknown as ClusterSession;
}

const told: string[] = [];
const ctx = (signal = new AbortController().signal) => ({
  signal,
  emit: (event: object) => void told.push((event as { message: string }).message),
});

test('a round waits for a task that is about to end, and says so once', async () => {
  await endingTasksAreGone(ctx(), session([ending], [ending], [{ ...ending, state: 'shutdown' }]), { services: [] });
  expect(told.splice(0)).toEqual(['waiting for tasks that are about to end: bank_a.1 on n1']);
});

test.each([
  ['are to go on', { ...ending, wanted: true }],
  ['have ended', { ...ending, state: 'failed' }],
  ['are on a node that is away', { ...ending, node: 'n2' }],
])('not for tasks that %s', async (_, task) => {
  await endingTasksAreGone(ctx(), session([task]), { services: [] });
  expect(told).toEqual([]);
});

test('whoever waits may be interrupted', async () => {
  const stop = new AbortController();
  stop.abort();
  const waiting = endingTasksAreGone(ctx(stop.signal), session([ending]), { services: [] });
  await expect(waiting).rejects.toMatchObject({ code: 'interrupted' });
});
