import { expect, test, vi } from 'vitest';
import { NotReleased, carryOut, type CommitBed } from '../../../../coordinator/operations/transaction/commit.ts';
import type { Member } from '../../../../coordinator/operations/transaction/replacement-journal.ts';
import { SwarmcutError } from '../../../../src/model/errors.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';

const NEW_2 = { key: 'db.2', node: 'n2', containerId: 'new-2' };
/** The saved task had slot 3; Swarm has made one in slot 1. */
const NEW_3 = { key: 'db.3', node: 'n2', containerId: 'new-1' };
const OLD = [
  { key: 'db.1', node: 'n1', containerId: 'old-1' },
  { key: 'db.2', node: 'n1', containerId: 'old-2' },
];

/** Carries a commit out. @returns which old tasks were told that they have moved */
async function retiredWhen(lost: readonly Member[]): Promise<string[]> {
  const retired: string[] = [];
  const agent = {
    releaseRestored: ({ containerId }: { containerId: string }) =>
      lost.some((member) => member.containerId === containerId)
        ? Promise.reject(new SwarmcutError('not-found', 'its container is gone'))
        : Promise.resolve({}),
    retire: ({ containerId }: { containerId: string }) => Promise.resolve(void retired.push(containerId)),
  } as unknown as AgentClient;
  const bed = {
    restoreId: 'r1',
    ctx: { emit: vi.fn(), log: { warn: vi.fn() } },
    agent: () => agent,
    runs: () => Promise.resolve(false),
  } as unknown as CommitBed;
  const done = carryOut({ released: [NEW_2, NEW_3], retired: OLD, rewrites: [] }, bed);
  if (lost.length === 0) await done;
  else await expect(done).rejects.toThrow(NotReleased);
  return retired;
}

test('when all new tasks run, all old ones are retired, whatever their slots are', async () => {
  expect(await retiredWhen([])).toEqual(['old-1', 'old-2']);
});

test('an old task of which it is not known that its successor runs is not retired: the commit may be withdrawn', async () => {
  expect(await retiredWhen([NEW_2, NEW_3])).toEqual([]);
  expect(await retiredWhen([NEW_3])).toEqual(['old-2']);
});
