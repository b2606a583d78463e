import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CoordinatorContext } from '../../../coordinator/operations/index.ts';
import { clearIn } from '../../../coordinator/operations/repair/repair.ts';
import { survey } from '../../../coordinator/operations/repair/survey.ts';
import type { ClusterSession } from '../../../coordinator/operations/session/session.ts';
import { withStackLock } from '../../../coordinator/operations/lock/stack-lock.ts';
import { ReplacementJournal } from '../../../coordinator/operations/transaction/replacement-journal.ts';
import { FakeRaft, sharedBy } from './lock/fake-raft.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import { acquireStackLock } from '../../../src/storage/locks.ts';

/** What an operation that was cut short still needs is not touched: it is finished first. What is under way is not touched at all. */
describe('clearing what was left behind', () => {
  let base: string;
  let ctx: CoordinatorContext;
  let session: ClusterSession;
  /** What the node's agent was told to do, in order. */
  let told: string[];
  let leftovers: { kind: string; subject: string; stack: string; inUse: string }[];
  let cannotPutBack: boolean;
  /** Agents are told so at the moment. */
  let underLock: boolean;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'swarmcut-repair-'));
    told = [];
    [cannotPutBack, underLock] = [false, false];
    leftovers = [
      { kind: 'frozen task', subject: 'c1', stack: 'bank', inUse: '' },
      { kind: 'file', subject: '/run/x', stack: '', inUse: '' },
      { kind: 'frozen task', subject: 'c2', stack: 'bank', inUse: 'round 7' },
    ];
    ctx = {
      directories: { state: join(base, 'state'), run: join(base, 'run'), config: join(base, 'config') },
      log: { warn: vi.fn() },
      emit: vi.fn(),
      signal: new AbortController().signal,
    } as unknown as CoordinatorContext;
    const agent = {
      node: 'n1',
      listSnapshots: () => Promise.resolve({ snapshots: [] }),
      listRestores: () => Promise.resolve({ restores: [] }),
      resume: () => tell('resume'),
      abortRestore: () => tell('abortRestore'),
      remove: () => Promise.resolve({}),
      leftovers: ({ clear }: { clear: string[] }) => {
        if (clear.length > 0) told.push(`clear ${clear.join(', ')}${underLock ? ' under the lock' : ''}`);
        const found = leftovers.map((one) => ({ ...one, detail: '', cleared: false, problem: '' }));
        leftovers = leftovers.filter(({ kind, subject }) => !clear.includes(`${kind} ${subject}`));
        return Promise.resolve({ leftovers: found });
      },
    } as unknown as AgentClient;
    session = {
      nodes: [{ hostname: 'n1', state: 'ready' }],
      agents: {
        of: () => agent,
        under: () => {
          underLock = true;
          return { of: () => agent, [Symbol.dispose]: () => void (underLock = false) };
        },
      },
      catalogue: { ids: () => Promise.resolve([]) },
      cluster: {
        ...sharedBy('n1', new FakeRaft()),
        tasks: () => Promise.resolve([]),
        service: () => Promise.resolve({ id: 'id-a', name: 'bank_a', generation: 4 }),
        startingTasks: () => Promise.resolve([]),
        putBack: () => (cannotPutBack ? Promise.reject(new Error('the engine is away')) : tell('put back')),
      },
    } as unknown as ClusterSession;
  });

  afterEach(() => {
    rmSync(base, { recursive: true });
  });

  function tell(what: string): Promise<object> {
    told.push(what);
    return Promise.resolve({});
  }

  async function cutShort(): Promise<void> {
    const present = { id: 'id-a', spec: {} };
    await withStackLock(ctx, session, 'bank', { command: 'restore', id: 'r1' }, async (_, { lock }) => {
      await new ReplacementJournal(lock).write({
        version: 1,
        id: 'r1',
        stack: 'bank',
        phase: 'replacing',
        services: [{ name: 'bank_a', present, spec: {}, generation: 4 }],
        reserved: [],
        old: [],
      });
    });
  }

  const states = ({ items }: Awaited<ReturnType<typeof survey>>): string[] =>
    items.map(({ kind, subject, state }) => `${kind} ${subject}: ${state}`);

  test('an operation that was cut short is finished before anything of its stack is cleared', async () => {
    await cutShort();
    const shown = await survey(ctx, session);
    expect(states(shown)).toEqual([
      'operation cut short r1: left',
      'frozen task c1: left',
      'file /run/x: left',
      'frozen task c2: in use',
    ]);
    expect(states(await clearIn(ctx, session, shown))).toEqual([
      'operation cut short r1: cleared',
      'frozen task c1: cleared',
      'file /run/x: cleared',
      'frozen task c2: in use',
    ]);
    // Once the lock is given back, another command may have it, and agents would refuse what is told under ours.
    expect(told).toEqual([
      'resume',
      'put back',
      'abortRestore',
      'clear frozen task c1 under the lock',
      'clear file /run/x',
    ]);
    expect(states(await survey(ctx, session))).toEqual(['frozen task c2: in use']);
  });

  test('if it cannot be finished, nothing of its stack is touched', async () => {
    await cutShort();
    cannotPutBack = true;
    const done = await clearIn(ctx, session, await survey(ctx, session));
    expect(states(done)).toEqual([
      'operation cut short r1: failed',
      'frozen task c1: failed',
      'file /run/x: cleared',
      'frozen task c2: in use',
    ]);
    expect(done.items[1]?.why).toContain('the engine is away');
    expect(told.at(-1)).toBe('clear file /run/x');
  });

  test('nothing of a stack is touched that a command is at work on, before it was shown or since', async () => {
    const shown = await survey(ctx, session);
    const lock = await acquireStackLock(ctx.directories.run, 'bank', { command: 'restore', id: 'r2' });
    try {
      const during = await survey(ctx, session);
      expect(states(during)).toEqual(['frozen task c1: in use', 'file /run/x: left', 'frozen task c2: in use']);
      expect(during.items[0]?.why).toMatch(/a restore \(id r2\) of stack bank .* \(process \d+\)/);
      expect(states(await clearIn(ctx, session, shown))[0]).toBe('frozen task c1: in use');
      expect(told).toEqual(['clear file /run/x']);
    } finally {
      await lock.release();
    }
  });

  test('the lock for placing tasks, left by a process that was killed, is no stack’s', async () => {
    const locks = join(ctx.directories.run, 'locks');
    mkdirSync(locks, { recursive: true });
    const holder = { pid: 1, command: 'placement', id: '1', since: 'then' };
    writeFileSync(join(locks, '~placement.lock'), JSON.stringify(holder));
    const before = await survey(ctx, session);
    expect(before.items.map(({ kind }) => kind)).toContain('lock');
    const shown = { ...before, items: before.items.filter(({ kind }) => kind === 'lock') };
    expect((await clearIn(ctx, session, shown)).items).toMatchObject([{ state: 'cleared' }]);
    expect((await survey(ctx, session)).items.map(({ kind }) => kind)).not.toContain('lock');
    expect(await session.cluster.records.all('stack-')).toEqual([]);
  });

  test('a node that does not answer is told, and keeps nothing from being cleared elsewhere', async () => {
    const answering = session.agents.of('n1');
    const nodes = [...session.nodes, { hostname: 'n2', state: 'down' }] as ClusterSession['nodes'];
    const away = () => Promise.reject(new SwarmcutError('unreachable', 'no answer'));
    const silent = { node: 'n2', listSnapshots: away, listRestores: away, leftovers: away } as unknown as AgentClient;
    const agents = { of: (node: string) => (node === 'n2' ? silent : answering) };
    const found = await survey(ctx, { ...session, nodes, agents } as unknown as ClusterSession);
    expect(found.unreached).toEqual([{ node: 'n2', error: 'no answer' }]);
    expect(found.items).toHaveLength(3);
  });
});
