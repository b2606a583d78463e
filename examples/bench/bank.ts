/** What the bank sees of snapshots: four tasks, each connected with each other, 8000 transfers a second. */
import { waitFor } from '../testbed/index.ts';
import type { BankCheck, Stacks } from '../demo/stacks.ts';
import { median } from './bench.ts';
import type { BenchItem } from './bench.ts';
import { standstill } from './pair.ts';
import type { Standstill } from './pair.ts';

const ROUNDS = 10;
const ALGORITHM = 'chandy-lamport';
/** Longest median wanted, ms. */
const AIM_MS = 250;
const PATIENCE_MS = 30_000;

/** The longest time during `act` in which one of the twelve channels brought nothing, milliseconds. */
async function worstGapDuring(stacks: Stacks, act: () => Promise<unknown>): Promise<number> {
  await stacks.checkBank('bank', ['--reset-gap']);
  await act();
  const ended = await stacks.checkBank('bank', ['--status']);
  const after = await waitFor(
    'transfers from after the operation',
    async () => {
      const now = await stacks.checkBank('bank', ['--status']);
      return now.transfers > ended.transfers + 100 && now;
    },
    { timeoutMs: PATIENCE_MS },
  );
  if (after.violations.length > 0) throw new Error(`the bank saw errors: ${after.violations.join('; ')}`);
  return worstGap(after);
}

function worstGap({ text }: BankCheck): number {
  const { branches } = JSON.parse(text) as { branches: { worstGapMs: number }[] };
  return Math.max(...branches.map(({ worstGapMs }) => worstGapMs));
}

/** The gap of `bank` while a snapshot is taken. */
export const bankGap: BenchItem = {
  name: 'bank',
  title: 'gap that the bank sees during a snapshot',
  run: async ({ stacks, say }) => {
    await stacks.deploy('bank', { algorithm: ALGORITHM });
    const idle: number[] = [];
    for (let round = 0; round < 3; round++) idle.push(await worstGapDuring(stacks, () => stacks.coordinate(['list'])));
    const gaps: number[] = [];
    const standstills: Standstill[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      say(`${ALGORITHM}: snapshot ${round + 1} of ${ROUNDS}`);
      let id = '';
      gaps.push(
        await worstGapDuring(stacks, async () => {
          ({ id } = await stacks.coordinate<{ id: string }>(['snapshot', 'bank']));
        }),
      );
      standstills.push(await standstill(stacks, id));
    }
    await stacks.remove('bank', { volumes: true });
    const [criu, wall] = [standstills.map(({ criuMs }) => criuMs), standstills.map(({ wallMs }) => wallMs)];
    return [
      {
        what: 'gap of bank without a snapshot (noise), worst of 3',
        value: Math.max(...idle),
        unit: 'ms',
        samples: idle,
      },
      {
        what: `gap of bank during a snapshot, ${ALGORITHM}, median of ${ROUNDS}`,
        value: median(gaps),
        unit: 'ms',
        aim: AIM_MS,
        samples: gaps,
      },
      { what: `the same, worst of ${ROUNDS}`, value: Math.max(...gaps), unit: 'ms' },
      { what: "frozen by CRIU's own figure, median", value: median(criu), unit: 'ms', samples: criu },
      { what: 'from cut to thaw, the longest of four tasks, median', value: median(wall), unit: 'ms', samples: wall },
    ];
  },
};
