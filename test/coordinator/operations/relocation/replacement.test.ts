import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { CoordinatorContext } from '../../../../coordinator/operations/index.ts';
import type { LockedSession } from '../../../../coordinator/operations/lock/stack-lock.ts';
import { ServiceReplacement } from '../../../../coordinator/operations/relocation/replacement.ts';
import type { ReplacementRecord } from '../../../../coordinator/operations/transaction/replacement-journal.ts';
import {
  forceUpdateOf,
  formerNow,
  replacementSpec,
  specChanges,
} from '../../../../coordinator/orchestrator/swarm/specs.ts';
import { FakeRaft, sharedBy } from '../lock/fake-raft.ts';
import type { ClusterService, ServiceSpec } from '../../../../coordinator/orchestrator/index.ts';

const BEFORE = {
  Labels: {},
  TaskTemplate: { ForceUpdate: 3, ContainerSpec: { Image: 'bank' } },
  UpdateConfig: { Parallelism: 1 },
};

test('nodes that were kept free until all was placed are not touched again: another operation may keep them free', async () => {
  const run = mkdtempSync(join(tmpdir(), 'swarmcut-replacement-'));
  const said: string[] = [];
  let journal: ReplacementRecord | undefined;
  const made = {
    id: 's',
    name: 'bank_a',
    mode: 'replicated',
    spec: BEFORE,
    generation: 4,
  } as unknown as ClusterService;
  const node = (hostname: string): object => ({ id: hostname, hostname, availability: 'active' });
  const cluster = {
    ...sharedBy('n1', new FakeRaft()),
    nodes: () => Promise.resolve([node('n1'), node('n2')]),
    service: () => Promise.resolve(made),
    tasks: () => Promise.resolve([{ service: 'bank_a', serviceId: 's', slot: '1', generation: 4, node: 'n2' }]),
    nextGeneration: () => Promise.resolve(4),
    replace: () => Promise.resolve(),
    putBack: () => Promise.resolve(),
    setPlaceable: (id: string, placeable: boolean) => {
      said.push(`${id} ${placeable ? 'active' : 'pause'}`);
      return Promise.resolve(true);
    },
  };
  const lock = {
    setJournal: (text: string) => Promise.resolve(void (journal = JSON.parse(text) as ReplacementRecord)),
  };
  const ctx = {
    directories: { run },
    signal: new AbortController().signal,
    log: { warn: vi.fn(), error: vi.fn() },
    emit: vi.fn(),
  } as unknown as CoordinatorContext;
  try {
    const replacement = new ServiceReplacement(
      ctx,
      { cluster, lock, nodes: [] } as unknown as LockedSession,
      { id: 'r1', stack: 'bank', old: [] },
      [{ name: 'bank_a', present: made, spec: BEFORE, placement: { only: 'n2' }, tasks: 1 }],
    );
    await replacement.begin();
    const arrivalOn = (where: string): object => ({
      key: 'bank_a.1',
      task: { service: 'bank_a' },
      agent: { node: where },
    });
    replacement.tellElsewhere([arrivalOn('n2')] as never);
    expect(ctx.emit).not.toHaveBeenCalled();
    replacement.tellElsewhere([arrivalOn('n1')] as never);
    expect(vi.mocked(ctx.emit).mock.calls).toMatchObject([
      [{ kind: 'warning', message: expect.stringMatching(/^bank_a\.1 comes to n1, not to n2/) as string }],
    ]);
    await replacement.commit({ released: [], retired: [], rewrites: [] });
    expect(journal?.reserved).toEqual([]);
    expect(await replacement.undo()).toBe(true);
    expect(said).toEqual(['n1 pause', 'n1 active']);
  } finally {
    rmSync(run, { recursive: true });
  }
});

/** A replacement of a service that somebody else updates after it has begun, that goes on with it, and fails. */
async function failsAfter(update: (spec: ServiceSpec) => ServiceSpec) {
  let spec: ServiceSpec = BEFORE;
  /** What the journal knew at each replacement. */
  const known: { generation: number | undefined; next: number | undefined }[] = [];
  let journal: ReplacementRecord | undefined;
  const service = (): ClusterService =>
    ({
      id: 's',
      name: 'bank_a',
      mode: 'replicated',
      replicas: 1,
      spec,
      generation: forceUpdateOf(spec),
    }) as ClusterService;
  const present = service();
  const cluster = {
    nodes: () => Promise.resolve([]),
    service: () => Promise.resolve(service()),
    changes: (one: ClusterService, now: ClusterService) => specChanges(one.spec, now.spec),
    nextGeneration: (now: ClusterService | undefined) => Promise.resolve((now?.generation ?? 0) + 1),
    replace: (_: unknown, wanted: ServiceSpec, generation: number) => {
      const [entry] = journal?.services ?? [];
      known.push({ generation: entry?.generation, next: entry?.next });
      spec = replacementSpec(wanted, generation);
      return Promise.resolve();
    },
    putBack: (_: string, former: ServiceSpec, replacement: ServiceSpec, generation: number) => {
      spec = formerNow(spec, former, replacement, generation);
      return Promise.resolve();
    },
  };
  const lock = {
    setJournal: (text: string) => Promise.resolve(void (journal = JSON.parse(text) as ReplacementRecord)),
  };
  const ctx = { log: { warn: vi.fn(), error: vi.fn() }, emit: vi.fn() } as unknown as CoordinatorContext;
  const replacement = new ServiceReplacement(
    ctx,
    { cluster, lock } as unknown as LockedSession,
    { id: 'r1', stack: 'bank', old: [] },
    [{ name: 'bank_a', present, spec: BEFORE, placement: {}, tasks: 1 }],
  );
  await replacement.begin();
  spec = update(spec);
  await replacement.adapt();
  expect(await replacement.undo()).toBe(true);
  return { spec, known, taken: [...replacement.taken] };
}

test('update settings that somebody else has given meanwhile stay, and the old tasks go on: none is made anew', async () => {
  const { spec, known, taken } = await failsAfter((now) => ({ ...now, UpdateConfig: { Parallelism: 2 } }));
  expect(spec).toEqual({ ...BEFORE, UpdateConfig: { Parallelism: 2 } });
  expect(taken).toEqual([]);
  // Whoever finds the journal between two steps knows both generations.
  expect(known).toEqual([
    { generation: 4, next: undefined },
    { generation: 4, next: 5 },
  ]);
});

test('tasks that somebody else has had made anew are theirs: that the old ones end is known, so that they are saved', async () => {
  const stopSignal = (now: ServiceSpec): ServiceSpec => ({
    ...now,
    TaskTemplate: { ForceUpdate: 4, ContainerSpec: { Image: 'bank', StopSignal: 'SIGINT' } },
  });
  const { spec, taken } = await failsAfter(stopSignal);
  expect(spec.TaskTemplate).toMatchObject({ ContainerSpec: { StopSignal: 'SIGINT' } });
  expect(spec.UpdateConfig).toEqual(BEFORE.UpdateConfig);
  expect(taken).toEqual(['s']);
});
