import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { LockedSession } from '../../../../coordinator/operations/lock/stack-lock.ts';
import type { CommittedSnapshot } from '../../../../coordinator/operations/lock/state.ts';
import { findCut, forgetCut, keepCut } from '../../../../coordinator/operations/transaction/cut-on-disk.ts';
import { SwarmcutError } from '../../../../src/model/errors.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';

const ID = '2rg8000001';
const OLD = [
  { key: 'db.1', node: 'n1' },
  { key: 'db.2', node: 'n2' },
];
const REMOVAL = { snapshotId: ID, signature: Buffer.from('s'), certificate: 'c' };

/** What the nodes have of the cut. */
let parts: Record<string, readonly string[] | 'away'>;
/** Nodes whose agents keep its manifest. */
let manifests: string[];
let damaged: string[];
let commits: readonly CommittedSnapshot[];
let known: string[];
let told: string[];
/** What was written down when the first agent was told. */
let commitsBefore: readonly CommittedSnapshot[] | undefined;

beforeEach(() => {
  parts = { n1: ['db.1'], n2: ['db.2'] };
  [manifests, damaged, commits, known, told, commitsBefore] = [['n1'], [], [], [], [], undefined];
});

function agentOf(node: string): AgentClient {
  const answers =
    <Reply>(reply: (request: { snapshotId: string; removal?: object }) => Reply) =>
    (request: { snapshotId: string }): Promise<Reply> =>
      parts[node] === 'away'
        ? Promise.reject(new SwarmcutError('unreachable', 'it does not answer'))
        : Promise.resolve().then(() => reply(request));
  return {
    node,
    recorded: answers(() => {
      const held = parts[node] ?? [];
      const keys = held === 'away' ? [] : held;
      return { tasks: keys.map((key) => ({ task: { service: 'db', slot: key.slice('db.'.length) } })) };
    }),
    manifest: answers(() => {
      if (!manifests.includes(node)) throw new SwarmcutError('not-found', 'none');
      return { manifest: Buffer.from(node), signature: Buffer.from(''), key: Buffer.from('') };
    }),
    finish: answers(() => {
      commitsBefore ??= commits;
      told.push(`${node} finish`);
    }),
    remove: answers(({ removal }) => void told.push(`${node} remove${removal === undefined ? '' : ' signed'}`)),
  } as unknown as AgentClient;
}

function session(): LockedSession {
  return {
    nodes: Object.keys(parts).map((hostname) => ({ hostname, state: 'ready' })),
    agents: { of: agentOf },
    catalogue: {
      ids: () => Promise.resolve(known),
      open: ({ manifest }: { manifest: Buffer }) => {
        if (damaged.includes(String(manifest))) throw new SwarmcutError('damaged', 'not JSON');
        return { vouching: { state: 'signed' } };
      },
      keep: ({ id }: { id: string }) => Promise.resolve(void known.push(id)),
      remove: (id: string) => Promise.resolve(void (known = known.filter((one) => one !== id))),
    },
    lock: {
      get commits() {
        return commits;
      },
      setCommits: (changed: readonly CommittedSnapshot[]) => Promise.resolve(void (commits = changed)),
    },
  } as unknown as LockedSession;
}

const ctx = { log: { warn: vi.fn(), error: vi.fn() } } as unknown as Parameters<typeof findCut>[0];

describe('whether there is a final cut', () => {
  test('it is brought here from an agent, past one whose copy cannot be read', async () => {
    [manifests, damaged] = [['n1', 'n2'], ['n1']];
    expect(await findCut(ctx, session(), ID, OLD)).toBe('there');
    expect(known).toEqual([ID]);
  });

  test('one of which an agent has discarded its part, since the task went on, is none', async () => {
    [known, parts.n2] = [[ID], []];
    expect(await findCut(ctx, session(), ID, OLD)).toBe('absent');
  });

  test('it is not known when the node that may have it is away', async () => {
    [manifests, parts.n2] = [[], 'away'];
    expect(await findCut(ctx, session(), ID, OLD)).toBe('unknown');
    parts.n2 = ['db.2'];
    expect(await findCut(ctx, session(), ID, OLD)).toBe('absent');
  });
});

test('one that is kept is committed before anybody is told, and for as long as a node has not been told', async () => {
  const other = { id: 'other', nodes: ['n1'] };
  [commits, parts.n2] = [[other], 'away'];
  await keepCut(ctx, session(), ID);
  expect(told).toEqual(['n1 finish']);
  expect(commitsBefore).toEqual([other, { id: ID, nodes: ['n1', 'n2'] }]);
  expect(commits).toEqual([other, { id: ID, nodes: ['n2'] }]);
  parts.n2 = ['db.2'];
  await keepCut(ctx, session(), ID);
  expect(commits).toEqual([other]);
});

test('that one is forgotten is left with the agents for another manager that may have made it', async () => {
  known = [ID];
  await forgetCut(ctx, session(), ID, REMOVAL);
  expect(known).toEqual([]);
  expect(told).toEqual(['n1 remove signed', 'n2 remove signed']);
});
