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
import type { ClusterService, ServiceSpec } from '../../../../coordinator/orchestrator/index.ts';

const BEFORE = {
  Labels: {},
  TaskTemplate: { ForceUpdate: 3, ContainerSpec: { Image: 'bank' } },
  UpdateConfig: { Parallelism: 1 },
};

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
    nextGeneration: () => 4,
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
