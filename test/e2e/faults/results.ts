/** What has been found so far: test/e2e/faults/results.json, from which the tables of docs/reliability.md are made. */
import path from 'node:path';
import { z } from 'zod';
import { projectDir } from '../../../examples/testbed/layout.ts';
import { STEPS } from '../../../src/model/steps.ts';
import { field, readRecord, table, writeRecord } from '../records/page.ts';
import { versionsText } from '../records/versions.ts';
import type { Cell, Outcome } from './cell.ts';
import { FAULTS, taken } from './faults.ts';
import { ALGORITHMS, ALL_STEPS, OPERATIONS, allCells, keyOf } from './matrix.ts';

const resultSchema = z.object({
  verdict: z.enum(['green', 'red', 'not reached']),
  problems: z.array(z.string()),
  exitCode: z.number(),
  harmMs: z.number(),
  seconds: z.number(),
  /** ISO 8601. */
  at: z.string(),
  commit: z.string(),
});
export type Result = z.infer<typeof resultSchema>;

const fileSchema = z.object({
  versions: z.record(z.string(), z.string()),
  /** Why a cell is red, or not reached; by the beginning of its name. Written by hand. */
  explained: z.record(z.string(), z.string()),
  cells: z.record(z.string(), resultSchema),
});
export type Results = z.infer<typeof fileSchema>;

const PAGE = path.join(projectDir(), 'docs/reliability.md');
const RESULTS = path.join(projectDir(), 'test/e2e/faults/results.json');

export async function readResults(): Promise<Results> {
  return fileSchema.parse((await readRecord(RESULTS)) ?? { versions: {}, explained: {}, cells: {} });
}

export async function writeResults(results: Results): Promise<void> {
  const order = new Map(allCells().map((cell, index) => [keyOf(cell), index]));
  const cells = Object.fromEntries(
    Object.entries(results.cells)
      .filter(([key]) => order.has(key))
      .sort(([a], [b]) => (order.get(a) ?? 0) - (order.get(b) ?? 0)),
  );
  const sorted = { ...results, cells };
  await writeRecord(RESULTS, sorted, PAGE, tables(sorted));
}

export function noted(outcome: Outcome, commit: string): Result {
  return { ...outcome, problems: [...outcome.problems], at: new Date().toISOString(), commit };
}

const SIGNS = { green: '✓', red: '✗', 'not reached': '○' } as const;

function tables(results: Results): string {
  const all = allCells();
  const run = Object.values(results.cells);
  const count = (verdict: Result['verdict']): number => run.filter((cell) => cell.verdict === verdict).length;
  const times = run.map(({ at }) => at).sort();
  const seconds = Math.round(run.reduce((sum, cell) => sum + cell.seconds, 0));
  const summary = [
    `${run.length} of ${all.length} cells have been run (${times[0]?.slice(0, 16) ?? 'never'} to ${times.at(-1)?.slice(0, 16) ?? 'never'} UTC, ${Math.round(seconds / 60)} minutes in all, ${(seconds / Math.max(1, run.length)).toFixed(1)} s a cell):`,
    `${count('green')} green, ${count('red')} red, ${count('not reached')} in which the step was not reached.`,
    versionsText(results.versions),
  ].join(' ');
  return [summary, ...OPERATIONS.map((operation) => tableOf(operation, results)), problems(results)].join('\n\n');
}

/** Steps by faults; in each field a sign for each algorithm. */
function tableOf(operation: Cell['operation'], { cells }: Results): string {
  const steps = ALL_STEPS.filter((step) => taken(step, operation, 'chandy-lamport'));
  const faults = FAULTS.filter((fault) =>
    steps.some((step) => ALGORITHMS.some((algorithm) => fault.applies(step, operation, algorithm))),
  );
  const sign = (fault: (typeof FAULTS)[number], step: (typeof steps)[number], algorithm: string): string => {
    if (!taken(step, operation, algorithm) || !fault.applies(step, operation, algorithm)) return '–';
    const result = cells[keyOf({ fault: fault.id, operation, step, algorithm })];
    return result === undefined ? '·' : SIGNS[result.verdict];
  };
  const rows = steps.map((step) => [
    `\`${step}\``,
    ...faults.map((fault) => {
      const signs = ALGORITHMS.map((algorithm) => sign(fault, step, algorithm)).join('');
      return signs === '–––' ? '' : signs;
    }),
  ]);
  return [`### ${operation}`, table(['step', ...faults.map(({ id }) => id)], rows)].join('\n\n');
}

function problems({ cells, explained }: Results): string {
  const bad = Object.entries(cells).filter(([, { verdict }]) => verdict !== 'green');
  if (bad.length === 0) return '### Red cells\n\nNone.';
  const rows = bad.map(([key, { verdict, problems: found, at }]) => {
    const why = Object.entries(explained)
      .filter(([beginning]) => key.startsWith(beginning))
      .map(([, text]) => text);
    const what = field(found.join('; '), 300);
    return [key, verdict, what, why.join(' ') || (verdict === 'red' ? '**not explained**' : ''), at.slice(0, 16)];
  });
  return [
    '### Red cells, and steps that were not reached',
    table(['cell', 'verdict', 'what was seen', 'why', 'when'], rows),
  ].join('\n\n');
}

/** The legend: what steps and faults are. */
export function legend(): string {
  return [
    table(
      ['fault', 'what is done'],
      FAULTS.map(({ id, what }) => [id, what]),
    ),
    table(
      ['step', 'the moment'],
      ALL_STEPS.map((step) => [`\`${step}\``, STEPS[step].at]),
    ),
  ].join('\n\n');
}
