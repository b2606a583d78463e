import { describe, expect, it } from 'vitest';
import type { ClusterService, ClusterTask } from '../../../coordinator/orchestrator/index.ts';
import { endedTasks } from '../../../coordinator/orchestrator/swarm/convert.ts';

function service(condition: string, attempts = 0): ClusterService {
  return {
    spec: { TaskTemplate: { RestartPolicy: { Condition: condition, MaxAttempts: attempts } } },
  } as unknown as ClusterService;
}

function task(slot: string, state: string, wanted = false): ClusterTask {
  return { slot, state, wanted } as ClusterTask;
}

describe('tasks that have ended for good', () => {
  it.each([
    ['none', 0, 'failed', 1],
    ['none', 0, 'complete', 1],
    ['on-failure', 0, 'failed', 0],
    ['on-failure', 3, 'failed', 1],
    ['on-failure', 0, 'complete', 1],
  ])('with condition %s (%i attempts), after one that is %s: %i', (condition, attempts, state, count) => {
    expect(endedTasks(service(condition, attempts), [task('1', state)])).toBe(count);
  });

  it('are those of slots, and the last of a slot tells', () => {
    const tasks = [task('1', 'failed'), task('2', 'shutdown'), task('2', 'running', true)];
    expect(endedTasks(service('none'), tasks)).toBe(1);
  });

  it('are none where an older one runs: the last was made for an operation that was undone', () => {
    expect(endedTasks(service('none'), [task('1', 'running', true), task('1', 'failed')])).toBe(0);
  });
});
