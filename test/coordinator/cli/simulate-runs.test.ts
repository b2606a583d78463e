import { describe, expect, it } from 'vitest';
import { Runs } from '../../../coordinator/cli/simulate/runs.ts';
import { studyTable } from '../../../coordinator/cli/simulate/table.ts';
import { DEFAULT_CONFIG, NO_FAULTS } from '../../../src/simulator/world/config.ts';

const short = { ...DEFAULT_CONFIG, messageLimit: 500 };
/** Hours of work. */
const endless = { ...DEFAULT_CONFIG, durationMs: 1e9 };

/** Runs whose progress is kept, and a Ctrl-C when a line shows the wanted text. */
function watched(stopAt?: RegExp): { runs: Runs; lines: string[] } {
  const lines: string[] = [];
  const runs = new Runs((text) => {
    lines.push(text);
    if (stopAt?.test(text) === true) setImmediate(() => process.emit('SIGINT'));
  });
  return { runs, lines };
}

describe('Ctrl-C', () => {
  it('ends a comparison and leaves what there is', async () => {
    const { runs } = watched(/lai-yang/);
    const rows = await runs.compare(['lai-yang', 'sync'], endless);
    expect(runs.stopped).toBe(true);
    expect(rows.map(({ algorithm }) => algorithm)).toEqual(['lai-yang']);
    expect(rows[0]?.done).toBeLessThan(1);
    expect(studyTable(rows)).toMatch(/lai-yang \(stopped at 0 %\)/);
  });

  it('ends a long row of small runs', async () => {
    const { runs } = watched(/seed [1-9]\d/);
    await runs.fuzz(['sync'], 'mixed', 1, 1e9);
    expect(runs.stopped).toBe(true);
  });

  it('is left to others when nothing runs', async () => {
    const before = process.listenerCount('SIGINT');
    await watched().runs.compare(['sync'], short);
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});

describe('progress', () => {
  it('is a bar with what is at work, and goes away', async () => {
    const { runs, lines } = watched();
    await runs.compare(['sync'], short);
    expect(lines[0]).toBe('[------------------------]   0 % sync');
    expect(lines.at(-1)).toBe('');
  });
});

describe('the table', () => {
  it('tells of failures only where there were some', async () => {
    const { runs } = watched();
    const calm = await runs.compare(['sync'], short);
    const stormy = await runs.compare(['sync'], { ...short, faults: { ...NO_FAULTS, mtbfSeconds: 2 } });
    expect(studyTable(calm)).not.toMatch('lost work');
    expect(studyTable(stormy)).toMatch(/Per failure:[^]*distance \(max\)[^]*lost work/);
  });
});
