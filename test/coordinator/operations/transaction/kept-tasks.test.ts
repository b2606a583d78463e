import { expect, test } from 'vitest';
import { keptTasks, servicesWithSpares } from '../../../../coordinator/operations/transaction/kept-tasks.ts';
import type { ClusterTask } from '../../../../coordinator/orchestrator/index.ts';

const task = (taskId: string, more: Partial<ClusterTask> = {}): ClusterTask =>
  ({
    ...{ service: 'bank_a', serviceId: 's', slot: '1', taskId, generation: 4, wanted: true },
    ...more,
  }) as ClusterTask;

test.each([
  ['one for each slot', [task('b'), task('a', { slot: '2' })], ['b', 'a'], false],
  ['that of the lowest id', [task('b'), task('a')], ['a'], true],
  ['one that need not wait', [task('b'), task('a', { waits: true })], ['b'], true],
  ['none that is given up', [task('b'), task('a', { wanted: false })], ['b'], false],
  ['none of another generation', [task('b'), task('a', { generation: 3 })], ['b'], false],
])('of new tasks Swarm keeps %s', (_what, tasks, kept, spare) => {
  const generations = new Map([['s', 4]]);
  expect([...keptTasks(tasks, generations)].sort()).toEqual([...kept].sort());
  expect([...servicesWithSpares(tasks, generations)]).toEqual(spare ? ['s'] : []);
});
