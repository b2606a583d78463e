import { beforeEach, describe, expect, test, vi } from 'vitest';
import { SwarmcutError } from '../../../../src/model/errors.ts';
import type { CoordinatorContext } from '../../../../coordinator/operations/index.ts';
import {
  ReplacementJournal,
  remedyOf,
  type JournalPlace,
  type ReplacementRecord,
} from '../../../../coordinator/operations/transaction/replacement-journal.ts';
import { putServicesBack } from '../../../../coordinator/operations/transaction/recovery.ts';
import { formerNow } from '../../../../coordinator/orchestrator/swarm/specs.ts';
import type { LockedSession } from '../../../../coordinator/operations/lock/stack-lock.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';
import type { ClusterService, ServiceSpec } from '../../../../coordinator/orchestrator/index.ts';

const before = { Name: 'bank_a', TaskTemplate: { ForceUpdate: 3, Placement: {} } };
const saved = { Name: 'bank_a', TaskTemplate: { ForceUpdate: 1 } };

function record(phase: ReplacementRecord['phase'], present = true): ReplacementRecord {
  const was = present ? { present: { id: 'id-a', spec: before } } : {};
  return {
    version: 1,
    id: 'r1',
    stack: 'bank',
    phase,
    services: [{ name: 'bank_a', ...was, spec: saved, generation: 4 }],
    reserved: [],
    old: [],
  };
}

function placeInMemory(): JournalPlace {
  let text: string | undefined;
  return {
    get journal() {
      return text;
    },
    setJournal: (journal) => {
      text = journal;
      return Promise.resolve();
    },
  };
}

function serviceAt(generation: number): ClusterService {
  return { id: 'id-a', name: 'bank_a', generation, verdictMs: 0 } as ClusterService;
}

const entryOf = (phase: ReplacementRecord['phase'], present = true) => {
  const [entry] = record(phase, present).services;
  if (entry === undefined) throw new Error('fixture');
  return entry;
};

describe('a service in the middle of a replacement', () => {
  test('gets back what it had while the old tasks count', () => {
    expect(remedyOf('replacing', entryOf('replacing'), serviceAt(4))).toEqual({ kind: 'put back', spec: before });
  });

  test('is removed if it was made for the replacement', () => {
    expect(remedyOf('replacing', entryOf('replacing', false), serviceAt(4))).toEqual({ kind: 'remove' });
  });

  test('keeps the new tasks once they were released', () => {
    expect(remedyOf('released', entryOf('released'), serviceAt(4))).toEqual({
      kind: 'settle',
      spec: saved,
    });
  });

  test('is left alone when it was not reached, is gone, or somebody else has changed it', () => {
    for (const now of [serviceAt(3), serviceAt(5), undefined])
      expect(remedyOf('replacing', entryOf('replacing'), now)).toEqual({ kind: 'nothing' });
  });
});

describe('the next command', () => {
  let lock: JournalPlace;
  let updates: ServiceSpec[];
  /** Generations that were looked for among tasks that may still start. */
  let asked: number[][];
  let fails = false;
  let generation = 4;
  let nodes: { hostname: string; state: string }[] = [];
  const specAt = (value: number): ServiceSpec => ({
    ...before,
    TaskTemplate: { ...before.TaskTemplate, ForceUpdate: value },
  });

  beforeEach(() => {
    lock = placeInMemory();
    updates = [];
    asked = [];
    fails = false;
    generation = 4;
    nodes = [];
  });

  const putBack = () =>
    putServicesBack(
      {
        log: { warn: vi.fn() },
        emit: vi.fn(),
      } as unknown as CoordinatorContext,
      {
        lock,
        nodes,
        catalogue: { ids: () => Promise.resolve([]) },
        cluster: {
          service: () => Promise.resolve({ ...serviceAt(generation), spec: specAt(generation) }),
          startingTasks: (_stack: string, undone: ReadonlyMap<string, ReadonlySet<number>>) => {
            asked.push([...undone].flatMap(([, generations]) => [...generations]));
            return Promise.resolve([]);
          },
          putBack: (_id: string, spec: ServiceSpec, replacement: ServiceSpec, ours: number) => {
            if (fails) return Promise.reject(new Error('out of sequence'));
            updates.push(formerNow(specAt(generation), spec, replacement, ours));
            return Promise.resolve();
          },
        },
      } as unknown as LockedSession,
      'bank',
    );

  test('puts services back once', async () => {
    await new ReplacementJournal(lock).write(record('replacing'));
    expect(await putBack()).toBe(true);
    expect(updates).toEqual([before]);
    expect(await putBack()).toBe(false);
    expect(lock.journal).toBeUndefined();
  });

  test('is not over while a node is down: its agent may come back, and still expect tasks', async () => {
    await new ReplacementJournal(lock).write(record('replacing'));
    nodes = [{ hostname: 'n3', state: 'down' }];
    expect(await putBack()).toBe(true);
    expect(new ReplacementJournal(lock).read()).toMatchObject({ phase: 'over' });
    nodes = [];
    expect(await putBack()).toBe(true);
    expect(lock.journal).toBeUndefined();
    expect(updates).toEqual([before]);
  });

  test('changes the version of a service that was not reached yet: a replacement that comes late is refused for it', async () => {
    await new ReplacementJournal(lock).write(record('replacing'));
    generation = 3;
    expect(await putBack()).toBe(true);
    expect(updates).toEqual([before]);
    // Somebody else has changed it meanwhile: it stays as it is.
    await new ReplacementJournal(lock).write(record('replacing'));
    generation = 5;
    expect(await putBack()).toBe(true);
    expect(updates).toEqual([before, specAt(5)]);
  });

  test('puts back what may have been replaced once more just before the coordinator died', async () => {
    const cutShort = record('replacing');
    for (generation of [4, 5]) {
      await new ReplacementJournal(lock).write({ ...cutShort, services: [{ ...entryOf('replacing'), next: 5 }] });
      expect(await putBack()).toBe(true);
    }
    expect(updates).toEqual([before, before]);
    // None of either may start when agents expect them no longer.
    expect(asked).toEqual([
      [4, 5],
      [4, 5],
    ]);
  });

  test('tries again when it could not', async () => {
    await new ReplacementJournal(lock).write(record('replacing'));
    fails = true;
    await expect(putBack()).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('bank_a') as string,
    });
    fails = false;
    expect(await putBack()).toBe(true);
  });

  test('does nothing when nothing was cut short, nor when it cannot read what was', async () => {
    expect(await putBack()).toBe(false);
    await lock.setJournal('{');
    await expect(putBack()).rejects.toMatchObject({ code: 'damaged' });
    expect(lock.journal).toBe('{');
    expect(updates).toEqual([]);
  });

  /** One new task of a commit, on n1; what Swarm and its agent say of it; and whether a migration's final cut is on disk. */
  async function committed(its: { node: 'ready' | 'down'; wanted: boolean; refuses?: boolean; cut?: boolean }) {
    const told: string[] = [];
    const warned: string[] = [];
    /** How many former addresses are led in a task that takes no part. */
    const led: number[] = [];
    const agent = new Proxy({} as AgentClient, {
      get: (_, name) => (request: { containerId?: string; former?: readonly object[] }) => {
        if (name === 'rewrite') led.push(request.former?.length ?? 0);
        told.push(`${String(name)} ${request.containerId ?? ''}`.trim());
        if (its.refuses === true && name === 'releaseRestored')
          return Promise.reject(new SwarmcutError('not-found', 'does not wait'));
        return Promise.resolve({ restores: [] });
      },
    });
    const note = (what: string) => (): Promise<void> => {
      told.push(what);
      return Promise.resolve();
    };
    const member = (containerId: string) => ({ key: 'bank_a.1', node: 'n1', containerId });
    const leading = { address: '10.0.1.9', to: ['10.0.1.3'], from: '10.0.1.2', network: 'bank', service: 'bank_a' };
    const peer = { key: 'bank_b.1', node: 'n1', containerId: 'peer', rewrites: [], close: [], former: [] };
    const before = { rewrites: [], former: [leading] };
    const commit = { released: [member('new')], retired: [member('old')], rewrites: [{ ...peer, before }] };
    await new ReplacementJournal(lock).write({
      ...record('released'),
      ...(its.cut === true ? { cut: true } : {}),
      commit,
    });
    const seen = its.refuses === true ? 'starting' : 'running';
    const task = (containerId: string, wanted: boolean) => ({ containerId, wanted, state: seen, error: '' });
    const session = {
      lock: Object.assign(lock, { commits: [], setCommits: note('commit') }),
      nodes: [{ hostname: 'n1', state: 'ready' }],
      agents: { of: () => agent },
      catalogue: { ids: () => Promise.resolve(its.cut === true ? ['r1'] : []), remove: note('forget the cut') },
      cluster: {
        nodes: () => Promise.resolve([{ hostname: 'n1', state: its.node }]),
        tasks: () => Promise.resolve([task('new', its.wanted && its.refuses !== true), task('old', true)]),
        service: () => Promise.resolve(serviceAt(4)),
        settle: note('settle'),
        putBack: note('put back'),
        startingTasks: () => Promise.resolve([]),
      },
    } as unknown as LockedSession;
    const ctx = {
      log: { warn: vi.fn() },
      emit: ({ message }: { message: string }) => void warned.push(message),
    } as unknown as CoordinatorContext;
    expect(await putServicesBack(ctx, session, 'bank')).toBe(true);
    expect(lock.journal).toBeUndefined();
    return { told, led, warned: warned.join() };
  }

  test('carries a commit out: what was not released is, and everything it tells agents can be repeated', async () => {
    const { told } = await committed({ node: 'ready', wanted: true });
    expect(told).toEqual(['rewrite peer', 'releaseRestored new', 'retire old', 'settle', 'endRestore', 'listRestores']);
  });

  test('forgets the final cut of a migration only when its new tasks run', async () => {
    expect((await committed({ node: 'ready', wanted: true, cut: true })).told).toContain('forget the cut');
    const { told, warned } = await committed({ node: 'ready', wanted: false, cut: true });
    expect(told).not.toContain('forget the cut');
    expect(told).toContain('finish');
    expect(warned).toContain('coordinator restore r1');
  });

  test('withdraws a commit of which no new task has run and none ever will: the old ones go on', async () => {
    const { told, led, warned } = await committed({ node: 'down', wanted: true, refuses: true, cut: true });
    expect(told.filter((what) => /resume|put back|retire|endRestore/.test(what))).toEqual(['resume', 'put back']);
    expect(told).toContain('forget the cut');
    // Its peers must not go on sending to where the new ones would have been.
    expect(led).toEqual([0, 1]);
    expect(told.indexOf('resume')).toBeGreaterThan(told.lastIndexOf('rewrite peer'));
    expect(warned).toMatch(/withdrawn.*its node is down/);
  });
});
