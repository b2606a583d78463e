import { expect, it } from 'vitest';
import { Furthest } from '../../../../coordinator/operations/transaction/furthest.ts';
import type { ClusterTask } from '../../../../coordinator/orchestrator/index.ts';

function task(state: string, node = 'n1', slot = '1'): ClusterTask {
  return { service: 'bank_a', slot, node, state } as ClusterTask;
}

it('tells getting further from going round: a task that fails and is made again has made no progress', () => {
  const furthest = new Furthest();
  const marks = ['pending', 'assigned', 'preparing', 'starting'].map((state, index) =>
    furthest.note([task(state, index === 0 ? '' : 'n1')]),
  );
  expect(new Set(marks).size).toBe(4);
  const last = marks.at(-1);
  for (const state of ['failed', 'new', 'pending', 'preparing', 'starting', 'rejected'])
    expect(furthest.note([task(state)])).toBe(last);
  expect(furthest.note([task('starting'), task('new', '', '2')])).not.toBe(last);
  expect(furthest.note([task('running')])).not.toBe(last);
});
