import { afterAll, describe, expect, test } from 'vitest';
import { bedUnderTest } from '../bed.ts';
import type { Cell, Outcome } from './cell.ts';
import { keyOf } from './matrix.ts';
import { runCells } from './run.ts';

/** `npm run test:faults` runs them all. These are of the dearest: each is a moment at which a state hangs on one process. */
const SAMPLE: readonly Cell[] = [
  { fault: 'kill-coordinator', operation: 'snapshot', step: 'coordinator.committed', algorithm: 'lai-yang' },
  { fault: 'kill-agent', operation: 'snapshot', step: 'agent.dump', algorithm: 'lai-yang' },
  { fault: 'kill-coordinator', operation: 'restore', step: 'coordinator.carry-out', algorithm: 'lai-yang' },
  { fault: 'error', operation: 'restore', step: 'agent.restored', algorithm: 'lai-yang' },
  { fault: 'kill-agent', operation: 'migrate', step: 'agent.take-over', algorithm: 'lai-yang' },
  { fault: 'full-journal', operation: 'snapshot', step: 'agent.prepare', algorithm: 'lai-yang' },
  { fault: 'kill-coordinator', operation: 'migrate', step: 'coordinator.hand-over', algorithm: 'chandy-lamport' },
  { fault: 'kill-sidecar', operation: 'snapshot', step: 'sidecar.save', algorithm: 'chandy-lamport' },
];

describe('a fault at a step: nothing stands still, nothing is lost, nothing is left behind', () => {
  const outcomes = new Map<string, Outcome>();
  let running: Promise<void> | undefined;

  /** All at one go, on one stack for each algorithm; each test looks at its own. */
  const outcomeOf = async (cell: Cell): Promise<Outcome | undefined> => {
    running ??= runCells({
      bed: bedUnderTest(),
      cells: SAMPLE,
      keepBed: true,
      say: (text) => void process.stderr.write(`${text}\n`),
      onOutcome: (done, outcome) => {
        outcomes.set(keyOf(done), outcome);
        return Promise.resolve();
      },
    });
    await running;
    return outcomes.get(keyOf(cell));
  };

  afterAll(() => running);

  test.each(SAMPLE.map((cell) => ({ cell, name: keyOf(cell) })))('$name', async ({ cell }) => {
    expect(await outcomeOf(cell)).toMatchObject({ verdict: 'green', problems: [] });
  });
});
