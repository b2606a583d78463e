import { expect, it } from 'vitest';
import { forgetCut, hasCut } from '../../../../coordinator/operations/transaction/cut-on-disk.ts';
import { createLogger } from '../../../../src/platform/logger.ts';

const ctx = { log: createLogger({ program: 'coordinator', level: 'silent' }) };
const removal = { snapshotId: 'm1', signature: Buffer.from('s'), certificate: 'c' };

/** A manager that knows these snapshots, and what it tells the agents. */
function bed(ids: readonly string[]) {
  const known = new Set(ids);
  const told: object[] = [];
  const session = {
    nodes: ['n1', 'n2'].map((hostname) => ({ hostname, state: 'ready' })),
    agents: { of: () => ({ remove: (request: object) => Promise.resolve(told.push(request)) }) },
    catalogue: {
      ids: () => Promise.resolve([...known]),
      remove: (id: string) => Promise.resolve(known.delete(id)),
    },
  } as never as Parameters<typeof forgetCut>[1];
  return { session, told, known };
}

it('is forgotten by the manager that has made it, and the agents', async () => {
  const { session, told, known } = bed(['m1', 's1']);
  await forgetCut(ctx, session, 'm1', () => removal);
  expect([...known]).toEqual(['s1']);
  expect(told).toEqual([{ snapshotId: 'm1' }, { snapshotId: 'm1' }]);
});

it('leaves no manifest on the manager that has made it when another one finishes the migration', async () => {
  const { session, told } = bed(['s1']);
  await forgetCut(ctx, session, 'm1', () => removal);
  expect(told).toEqual([
    { snapshotId: 'm1', removal },
    { snapshotId: 'm1', removal },
  ]);
});

/** A manager that has a manifest with tasks on n1 and n2, and what these answer when they are asked for their parts. */
function holders(n1: () => Promise<object>, n2: () => Promise<object>): Parameters<typeof hasCut>[0] {
  const answers: Record<string, () => Promise<object>> = { n1, n2 };
  return {
    nodes: ['n1', 'n2', 'n3'].map((hostname) => ({ hostname, state: 'ready' })),
    agents: { of: (node: string) => ({ recorded: answers[node] }) },
    catalogue: {
      ids: () => Promise.resolve(['m1']),
      read: () => Promise.resolve({ manifest: { tasks: [{ node: 'n1' }, { node: 'n2' }] } }),
    },
  } as never;
}
const HAS = (): Promise<object> => Promise.resolve({ tasks: [{}] });
const HAS_NOT = (): Promise<object> => Promise.resolve({ tasks: [] });
const SILENT = (): Promise<object> => Promise.reject(new Error('no answer'));

it('is there if all who answer have their part of it, and not when one has discarded it', async () => {
  expect(await hasCut(holders(HAS, HAS), 'm1')).toBe(true);
  expect(await hasCut(holders(HAS, SILENT), 'm1')).toBe(true);
  expect(await hasCut(holders(HAS, HAS_NOT), 'm1')).toBe(false);
});
