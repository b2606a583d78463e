import { describe, expect, test } from 'vitest';
import { LostTasks } from '../../../../coordinator/operations/relocation/arrivals/lost-tasks.ts';
import type { ClusterService, ClusterTask } from '../../../../coordinator/orchestrator/index.ts';

const ONCE = { id: 's', name: 'bank_a', neverRestarted: true } as ClusterService;
const KEY = 'bank_a.1';

function task(more: Partial<ClusterTask> = {}): ClusterTask {
  const plain = {
    service: 'bank_a',
    serviceId: 's',
    slot: '1',
    taskId: 't1',
    node: 'n1',
    state: 'preparing',
    generation: 4,
  };
  return { ...plain, error: '', wanted: true, ...more } as ClusterTask;
}

/** What these looks come to. */
function after(
  looks: readonly (readonly ClusterTask[])[],
  service = ONCE,
  missing = [KEY],
  generationAt: (look: number) => number = () => 4,
): string {
  const lost = new LostTasks();
  try {
    for (const [index, all] of looks.entries())
      lost.look(missing, all, [service], new Map([['s', generationAt(index)]]));
    return 'waits';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a new task that Swarm has ended before its container came', () => {
  const ended = task({ wanted: false, state: 'shutdown', error: 'node is drained' });

  test('is waited for no longer when Swarm makes no other', () => {
    expect(after([[task()], [ended], [ended]])).toBe(
      'Swarm has ended the new task of bank_a.1 on n1 before it was restored (node is drained), and makes no other: the restart condition of bank_a is none',
    );
  });

  test('also when Swarm has forgotten it', () => {
    expect(after([[task()], [], []])).toMatch('has ended the new task of bank_a.1 on n1 before it was restored, and');
  });

  test('is waited for while the look may be older than a change of the service', () => {
    expect(after([[task()], [ended]])).toBe('waits');
    expect(after([[task()], [ended], [task({ taskId: 't2' })], [ended, task({ taskId: 't2' })]])).toBe('waits');
  });

  test('is waited for when Swarm makes another one sooner or later', () => {
    expect(after([[task()], [ended], [ended], [ended]], { ...ONCE, neverRestarted: false })).toBe('waits');
  });

  test('is not waited for by its name when the service has been changed: others are on their way', () => {
    const looks = [[task()], [ended], [ended], [ended]];
    expect(after(looks, ONCE, [KEY], (look) => (look < 2 ? 4 : 5))).toBe('waits');
  });

  test('one that has not been made yet, or has arrived, is not lost', () => {
    expect(after([[], [], []])).toBe('waits');
    expect(after([[task({ generation: 3, wanted: false })], [], []])).toBe('waits');
    expect(after([[task()], [ended], [ended]], ONCE, [])).toBe('waits');
  });
});

describe('a new task that runs although its container has not come', () => {
  const started = task({ state: 'running' });

  test('has started empty, and is not waited for', () => {
    const always = { ...ONCE, neverRestarted: false };
    expect(after([[task()], [started], [started]], always)).toBe(
      'the new task of bank_a.1 runs on n1 without having been restored',
    );
  });

  test('unless the agent’s word was only a little later than Swarm’s, or it is an old one', () => {
    expect(after([[task()], [started]])).toBe('waits');
    expect(after([[started], [started]], ONCE, [])).toBe('waits');
    const old = task({ state: 'running', generation: 3 });
    expect(after([[old], [old], [old]])).toBe('waits');
  });
});
