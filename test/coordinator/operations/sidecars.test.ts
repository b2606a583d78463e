import { describe, expect, test } from 'vitest';
import { attachText, statusText } from '../../../coordinator/cli/verbs/attach.ts';
import { verifyText } from '../../../coordinator/cli/verbs/verify.ts';
import { cutOf, assertConsistentCut, verifiedChannel } from '../../../coordinator/operations/rounds/cut-check.ts';
import { carriedConnections } from '../../../coordinator/operations/sidecars/detach.ts';
import { sidecarsReport } from '../../../coordinator/operations/sidecars/sidecars.ts';
import { proxiedServices, refuseUndeclared } from '../../../coordinator/operations/session/settings.ts';
import type { ClusterService, ClusterTask, Stack } from '../../../coordinator/orchestrator/index.ts';
import type { SidecarReport } from '../../../coordinator/operations/index.ts';
import { streamEnd } from '../../model/streams.ts';
import { manifestOf, taskOf } from '../../storage/manifest.ts';

function service(name: string, changes: Partial<ClusterService> = {}): ClusterService {
  return {
    id: `id-${name}`,
    name,
    mode: 'replicated',
    replicas: 1,
    spec: {},
    image: 'x',
    generation: 0,
    labels: {},
    containerLabels: {},
    verdictMs: 0,
    publishesHostPorts: false,
    ...changes,
  };
}

function clusterTask(owner: ClusterService, slot: string, node: string): ClusterTask {
  return {
    service: owner.name,
    serviceId: owner.id,
    slot,
    taskId: `t-${owner.name}-${slot}`,
    containerId: `c-${owner.name}-${slot}`,
    node,
    state: 'running',
    error: '',
    wanted: true,
    createdAt: '',
    generation: 0,
    addresses: [],
    networks: [],
  };
}

const LABEL = { 'swarmcut.algorithm': 'chandy-lamport' };

describe('who gets a sidecar', () => {
  test('services that declare it, on themselves or on their containers; jobs never', () => {
    const stack: Stack = {
      name: 'bank',
      tasks: [],
      services: [
        service('bank_a', { labels: LABEL }),
        service('bank_b', { containerLabels: LABEL }),
        service('bank_c'),
        service('bank_d', { labels: { 'swarmcut.algorithm': 'sync' } }),
        service('bank_job', { labels: LABEL, mode: 'job' }),
      ],
    };
    expect(proxiedServices(stack).map(({ name }) => name)).toEqual(['bank_a', 'bank_b']);
    expect(() => refuseUndeclared(stack, 'chandy-lamport')).toThrow(
      expect.objectContaining({
        code: 'precondition',
        message: 'chandy-lamport needs a sidecar beside every task, and bank_c, bank_d declare none',
      }),
    );
  });

  test('nothing is refused when all declare it', () => {
    const stack: Stack = { name: 'bank', tasks: [], services: [service('bank_a', { containerLabels: LABEL })] };
    expect(() => refuseUndeclared(stack, 'chandy-lamport')).not.toThrow();
  });
});

describe('the sidecars of a stack', () => {
  const a = service('bank_a');
  const stack: Stack = {
    name: 'bank',
    services: [a, service('bank_job', { mode: 'job' })],
    tasks: [
      ...['1', '2', '10'].map((slot) => clusterTask(a, slot, 'n1')),
      clusterTask(service('bank_job', { mode: 'job' }), '1', 'n1'),
    ],
  };
  const sidecar = (slot: string, direct: number) => ({
    task: { service: 'bank_a', slot, taskId: '', containerId: '' },
    alive: true,
    streams: 3,
    peers: ['10.0.1.4'],
    rssBytes: 50_000_000,
    starts: 1,
    direct: Array.from({ length: direct }, (_, index) => ({
      local: { address: '10.0.1.2', port: 4000 + index },
      remote: { address: '10.0.1.3', port: 9000 },
    })) as never[],
  });
  const report = sidecarsReport(stack, {
    answers: [{ node: 'n1', answer: [sidecar('10', 7), sidecar('2', 0)] }],
    unreached: [{ node: 'n2', error: 'no answer' }],
  });

  test('in the order of slots, and which tasks have none', () => {
    expect(report.sidecars.map(({ slot }) => slot)).toEqual(['2', '10']);
    expect(report.without).toEqual(['bank_a.1']);
  });

  test('old connections are counted, five of a task named', () => {
    const text = attachText(report);
    expect(text).toMatch(/^bank_a\.10 +n1 +runs +7$/m);
    expect(text).toMatch(/^bank_a\.2 +n1 +runs +none$/m);
    expect(text).toContain('10.0.1.2:4004 - 10.0.1.3:9000, and 2 more');
    expect(text).not.toContain('10.0.1.2:4005');
    expect(text).toContain('node n2 was not reached: no answer');
    expect(text).toContain('without a sidecar: bank_a.1');
  });

  test('the status has what each carries', () => {
    expect(statusText(report)).toMatch(/^bank_a\.2 +n1 +runs +3 +1 +0 +50\.0 MB +1$/m);
    const none: readonly SidecarReport[] = [];
    expect(statusText({ ...report, sidecars: none, unreached: [], without: [] })).toBe('no task of bank has a sidecar');
  });

  test('a connection between two tasks goes through two sidecars, and counts once', () => {
    expect(carriedConnections([{ streams: 2 }, { streams: 2 }])).toBe(2);
    expect(carriedConnections([{ streams: 1 }])).toBe(1);
    expect(carriedConnections([])).toBe(0);
  });
});

describe('the cut of a snapshot with sidecars', () => {
  const of = (recorded: number, complete = true) =>
    manifestOf({
      tasks: [
        { ...taskOf('bank_a', '10.0.1.2', '10.0.1.3'), connections: [], streams: [streamEnd('opener', { sent: 100 })] },
        {
          ...taskOf('bank_b', '10.0.1.3', '10.0.1.2'),
          connections: [],
          streams: [streamEnd('acceptor', { delivered: 60, recorded, complete })],
        },
      ],
    });

  test('verify prints what was sent, delivered and recorded, to the byte', () => {
    const channels = cutOf(of(40)).channels.map(verifiedChannel);
    const text = verifyText('2rg8', {
      ok: true,
      manifest: 'signed',
      verifiedBytes: 1_000,
      problems: [],
      connections: [],
      channels,
    });
    expect(text).toMatch(/^bank_a\.1 +bank_b\.1 +10\.0\.1\.2:4000 +10\.0\.1\.3:9000 +100 +60 +40 +ok$/m);
    expect(text).toMatch(/^bank_b\.1 +bank_a\.1 .* 0 +0 +0 +ok$/m);
    expect(text).toContain('snapshot 2rg8 is sound: 1.00 kB read, 2 channels');
  });

  test('a byte too few, or a recording without its marker, is refused by name', () => {
    expect(() => assertConsistentCut('bank', cutOf(of(40)))).not.toThrow();
    expect(() => assertConsistentCut('bank', cutOf(of(39)))).toThrow(
      /bank_a\.1 10\.0\.1\.2:4000 -> bank_b\.1 10\.0\.1\.3:9000: 1 bytes that were sent/,
    );
    expect(() => assertConsistentCut('bank', cutOf(of(40, false)))).toThrow(/bank_a\.1 .* -> bank_b\.1 .*not complete/);
  });
});
