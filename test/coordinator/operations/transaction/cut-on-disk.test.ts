import { expect, it } from 'vitest';
import { forgetCut } from '../../../../coordinator/operations/transaction/cut-on-disk.ts';
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
