import { beforeEach, describe, expect, test } from 'vitest';
import type { CoordinatorContext } from '../../../../coordinator/operations/index.ts';
import { InDoubtError, LockLostError } from '../../../../coordinator/operations/lock/lease.ts';
import type { LockedSession } from '../../../../coordinator/operations/lock/stack-lock.ts';
import type { CommittedSnapshot } from '../../../../coordinator/operations/lock/state.ts';
import { AgentExecutor } from '../../../../coordinator/operations/rounds/agent-executor.ts';
import type { RoundTask } from '../../../../coordinator/operations/rounds/participants.ts';
import { reconcile } from '../../../../coordinator/operations/rounds/reconcile.ts';
import { SwarmcutError } from '../../../../src/model/errors.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';

interface Entry {
  readonly snapshotId: string;
  readonly stack?: string;
  readonly state: 'open' | 'tentative' | 'permanent';
}

let told: string[];
let ledgers: Record<string, Entry[] | 'away'>;
let commits: readonly CommittedSnapshot[];
/** Of this manager's own catalogue. */
let known: string[];
/** Those of them that are final cuts. */
let migrations: string[];
beforeEach(() => {
  [told, ledgers, commits, known, migrations] = [[], { n1: [], n2: [] }, [], [], []];
});

function agentOf(node: string): AgentClient {
  const say = (what: string) => (request: { snapshotId: string }) => {
    told.push(`${node} ${what} ${request.snapshotId}`);
    return Promise.resolve({});
  };
  const listSnapshots = () => {
    const ledger = ledgers[node];
    if (ledger === undefined || ledger === 'away') throw new SwarmcutError('unreachable', 'it does not answer');
    return Promise.resolve({ snapshots: ledger.map((entry) => ({ stack: 'bank', ...entry })) });
  };
  return { node, listSnapshots, finish: say('finish'), abort: say('abort') } as unknown as AgentClient;
}

async function settle(): Promise<string[]> {
  const session = {
    nodes: Object.keys(ledgers).map((hostname) => ({ hostname, state: 'ready' })),
    agents: { of: agentOf },
    catalogue: {
      ids: () => Promise.resolve(known),
      read: (id: string) =>
        Promise.resolve({ manifest: { id, migration: migrations.includes(id) ? true : undefined } }),
    },
    lock: {
      get commits() {
        return commits;
      },
      setCommits: (changed: readonly CommittedSnapshot[]) => {
        commits = changed;
        return Promise.resolve();
      },
    },
  } as unknown as LockedSession;
  const ctx = {
    directories: { config: '/nowhere' },
    signal: new AbortController().signal,
    log: { warn: () => undefined },
  } as unknown as CoordinatorContext;
  await reconcile(ctx, session, 'bank');
  return told.toSorted();
}

describe('what an earlier coordinator has left', () => {
  test('is discarded if nothing says that it is committed; what is of other stacks, or permanent, is left alone', async () => {
    ledgers.n1 = [
      { snapshotId: 's1', state: 'tentative' },
      { snapshotId: 's2', state: 'permanent' },
      { snapshotId: 's3', state: 'open', stack: 'pair' },
    ];
    expect(await settle()).toEqual(['n1 abort s1']);
  });

  test('is committed if the state of the cluster says so, though no manifest is here', async () => {
    commits = [{ id: 's1', nodes: ['n1', 'n2'] }];
    ledgers = { n1: [{ snapshotId: 's1', state: 'tentative' }], n2: [{ snapshotId: 's1', state: 'permanent' }] };
    expect(await settle()).toEqual(['n1 finish s1']);
    expect(commits).toEqual([]);
  });

  test('is committed if one other node has been told so, or its manifest lies here', async () => {
    known = ['s2'];
    ledgers = {
      n1: [
        { snapshotId: 's1', state: 'tentative' },
        { snapshotId: 's2', state: 'tentative' },
      ],
      n2: [{ snapshotId: 's1', state: 'permanent' }],
    };
    expect(await settle()).toEqual(['n1 finish s1', 'n1 finish s2']);
  });

  test('of the final cut of a migration it is not known by its manifest alone that it is to be kept', async () => {
    [known, migrations] = [['s1'], ['s1']];
    ledgers.n1 = [{ snapshotId: 's1', state: 'tentative' }];
    expect(await settle()).toEqual(['n1 abort s1']);
    [told, commits] = [[], [{ id: 's1', nodes: ['n1'] }]];
    expect(await settle()).toEqual(['n1 finish s1']);
  });

  test('is remembered to be committed for as long as a node of the cluster has not been told', async () => {
    commits = [{ id: 's1', nodes: ['n1', 'n2', 'gone'] }];
    ledgers = { n1: [{ snapshotId: 's1', state: 'tentative' }], n2: 'away' };
    expect(await settle()).toEqual(['n1 finish s1']);
    expect(commits).toEqual([{ id: 's1', nodes: ['n2'] }]);
  });
});

describe('a round whose commit fails', () => {
  function executor(error: Error): AgentExecutor {
    return new AgentExecutor({
      tasks: [{ key: 'bank_a.1', agent: agentOf('n1'), task: { networks: [] } } as unknown as RoundTask],
      snapshotId: 's1',
      emit: () => undefined,
      ending: { kind: 'commit', commit: () => Promise.reject(error) },
    } as unknown as ConstructorParameters<typeof AgentExecutor>[0]);
  }

  test.each<[string, Error, string[]]>([
    ['it is not known whether it is written: nothing is discarded', new InDoubtError(new Error('no answer')), []],
    ['somebody else has the lock: it never will be', new LockLostError('it is lost'), ['n1 abort s1']],
  ])('%s', async (_, error, expected) => {
    const round = executor(error);
    await expect(round.commit()).rejects.toBe(error);
    await round.abort([], 'the commit failed');
    expect(told).toEqual(expected);
  });
});
