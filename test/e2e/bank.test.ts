import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ALGORITHMS,
  deployBank,
  expectNoTraces,
  goOnAndCheck,
  migrate,
  others,
  placement,
  restore,
  snapshot,
  stacks,
} from './harness.ts';
import type { VerifyReport } from './harness.ts';

/** Rounds in a row: each kind of round with both algorithms. `SWARMCUT_BANK_ROUNDS`, a multiple of 8, for more. */
const ROUNDS = Number(process.env.SWARMCUT_BANK_ROUNDS ?? 8);

/**
 * Four tasks in three services (one with two replicas), each connected with each other, eight hundred transfers a second, never stopped but by
 * the checker between two rounds. After each round: the total is right, no number is missing or there twice, and journal (volume),
 * `/dev/shm` and a file in the container's own layer agree with the memory.
 */
describe('bank under load', () => {
  const taken: string[] = [];

  beforeAll(async () => {
    // Each round says --algorithm, which goes before the label.
    await deployBank('lai-yang', 5000);
  });

  afterAll(async () => {
    await stacks.remove('bank', { volumes: true });
  });

  test.for(Array.from({ length: ROUNDS }, (_, index) => index))('round %i', async (round) => {
    const algorithm = ALGORITHMS[Math.floor(round / 4) % ALGORITHMS.length] ?? 'lai-yang';
    const before = await stacks.checkBank('bank', ['--status']);
    const kind = round % 4;
    if (kind === 3) {
      const what = round % 8 === 3 ? 'bank_branch-b' : 'bank';
      const where = await placement('bank');
      const from = where['branch-b.1'] ?? '';
      // The replicas of one service move together; of the whole stack, only what is on that node.
      await (what === 'bank' ? migrate(what, '--from', from) : migrate(what, '--to', others(from)[0]));
      await goOnAndCheck('bank', before);
      return;
    }
    const { id } = await snapshot('bank', '--algorithm', algorithm);
    if (kind === 0) {
      // Only a snapshot: it must not have hurt the running stack.
      await goOnAndCheck('bank', before);
    }
    if (kind === 2) await stacks.remove('bank', round % 8 === 2 ? { volumes: true } : {});
    const where = await placement('bank');
    const target = kind === 1 ? [] : ['--to', others(where['branch-a.1'] ?? 'n1')[round % 2] ?? ''];
    const report = await restore(id, ...target);
    expect(report).toMatchObject({ stack: 'bank', snapshot: id, closedConnections: 0 });
    await goOnAndCheck('bank', before);
    taken.push(id);
  });

  test('leaves snapshots that are sound, and no trace once they are removed', async () => {
    expect(taken).toHaveLength((ROUNDS * 3) / 4);
    for (const id of taken.slice(-3)) {
      expect(await stacks.coordinate<VerifyReport>(['verify', id])).toMatchObject({ ok: true, problems: [] });
    }
    await stacks.coordinate(['rm', ...taken]);
    await expectNoTraces('bank');
    // Other files may have left snapshots of a bank on this bed.
    const listed = await stacks.coordinate<{ id: string }[]>(['list', 'bank']);
    expect(listed.filter(({ id }) => taken.includes(id))).toEqual([]);
  });
});
