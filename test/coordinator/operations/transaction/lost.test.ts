import { describe, expect, test } from 'vitest';
import { confirmation } from '../../../../coordinator/operations/transaction/confirmation.ts';
import { outcomeOf } from '../../../../coordinator/operations/transaction/lost.ts';
import type { ClusterNode, ClusterTask } from '../../../../coordinator/orchestrator/index.ts';

const member = (name: string) => ({
  key: `bank_${name}.1`,
  node: `n-${name}`,
  containerId: `c-${name}`,
  taskId: `t-${name}`,
});
const [a, b] = [member('a'), member('b')];

function node(name: string, state = 'ready'): ClusterNode {
  return { hostname: `n-${name}`, state } as ClusterNode;
}

function task(name: string, more: Partial<ClusterTask> = {}): ClusterTask {
  const rest = { containerId: '', state: 'starting', error: '', wanted: true };
  return { taskId: `t-${name}`, ...rest, ...more } as ClusterTask;
}

describe('a commit that cannot be carried out', () => {
  const given = task('a', { wanted: false, state: 'shutdown' });
  test.each([
    ['waits while its new task may still come', [a], [a], [task('a')], [node('a')], 'wait'],
    ['waits while one of two may', [a, b], [a, b], [given, task('b')], [node('a'), node('b')], 'wait'],
    ['is withdrawn when its node is down', [a], [a], [task('a')], [node('a', 'down')], 'withdraw'],
    ['is withdrawn when its node is gone', [a], [a], [task('a')], [], 'withdraw'],
    ['is withdrawn when Swarm has given it up', [a], [a], [given], [node('a')], 'withdraw'],
    ['is not when another new task runs', [a, b], [a], [given, task('b')], [node('a'), node('b')], 'forward'],
  ])('%s', (_, released, failed, tasks, nodes, kind) => {
    expect(outcomeOf({ released }, failed, tasks, nodes)).toMatchObject({ kind });
  });

  test('says of each lost one what has become of it', () => {
    const outcome = outcomeOf(
      { released: [a] },
      [a],
      [task('a', { wanted: false, state: 'rejected', error: 'no such image' })],
      [node('a')],
    );
    expect(outcome).toMatchObject({ why: 'bank_a.1 on n-a (Swarm has given it up: rejected, no such image)' });
  });
});

describe('restored tasks', () => {
  test.each([
    ['run', task('a', { state: 'running' }), [], []],
    ['are late while a health check has not come to a verdict', task('a'), ['bank_a.1 on n-a (starting)'], []],
    [
      'have ended',
      task('a', { state: 'failed', error: 'exit 1', wanted: false }),
      [],
      ['bank_a.1 on n-a (failed: exit 1)'],
    ],
    ['are to end', task('a', { state: 'running', wanted: false }), [], ['bank_a.1 on n-a (running)']],
  ])('%s', (_, seen, late, ended) => {
    expect(confirmation([a], [seen])).toEqual({ late, ended });
  });
});
