import { describe, expect, test } from 'vitest';
import { roundTasks } from '../../../coordinator/operations/rounds/participants.ts';
import type { Agents } from '../../../coordinator/operations/session/agents.ts';
import type { ClusterService, ClusterTask, Stack } from '../../../coordinator/orchestrator/index.ts';

const agents = { of: (node: string) => ({ node }) } as unknown as Agents;

function service(name: string, changes: Partial<ClusterService> = {}): ClusterService {
  return {
    id: name,
    name,
    mode: 'replicated',
    replicas: 1,
    spec: {},
    image: '',
    generation: 0,
    labels: {},
    containerLabels: {},
    publishesHostPorts: false,
    verdictMs: 0,
    ...changes,
  };
}

function task(owner: string, changes: Partial<ClusterTask> = {}): ClusterTask {
  return {
    service: owner,
    serviceId: owner,
    slot: '1',
    taskId: `t-${owner}`,
    containerId: `c-${owner}`,
    node: 'n1',
    state: 'running',
    error: '',
    wanted: true,
    createdAt: '',
    generation: 0,
    addresses: [],
    networks: [],
    ...changes,
  };
}

/** A stack with a server that runs, and something besides. */
function stack(besides: ClusterService, tasks: readonly ClusterTask[] = [], ended = 0): Stack {
  return {
    name: 's',
    services: [service('server'), besides],
    tasks: [task('server'), ...tasks],
    ended: new Map([[besides.id, ended]]),
  };
}

describe('a stack is settled with', () => {
  test.each([
    ['a one-shot service that has done its work', stack(service('migration'), [], 1), ['server.1']],
    [
      'one of which a task runs and another has ended',
      stack(service('init', { replicas: 2 }), [task('init')], 1),
      ['server.1', 'init.1'],
    ],
    ['a service scaled to 0', stack(service('idle', { replicas: 0 })), ['server.1']],
    ['a job that has ended', stack(service('job', { mode: 'job' }), [], 3), ['server.1']],
    [
      'an update whose tasks are all new',
      stack(service('web', { updating: true }), [task('web')]),
      ['server.1', 'web.1'],
    ],
  ])('%s', (_what, settled, keys) => {
    expect(roundTasks(settled, agents).map(({ key }) => key)).toEqual(keys);
  });
});

describe('a stack is not settled with', () => {
  test.each([
    ['a task that is missing', stack(service('web')), 'service web has 0 of 1 tasks running'],
    [
      'a job that is at work',
      stack(service('job', { mode: 'job' }), [task('job')]),
      'job job has 1 tasks that have not ended',
    ],
    [
      'a rolling update under way',
      stack(service('web', { updating: true }), [task('web', { outdated: true })]),
      'service web is being updated',
    ],
  ])('%s', (_what, unsettled, message) => {
    expect(() => roundTasks(unsettled, agents)).toThrow(message);
  });
});
