/** What has been found: test/e2e/apps/results.json, from which the table of docs/programs/applications.md is made. */
import path from 'node:path';
import { z } from 'zod';
import { projectDir } from '../../../examples/testbed/layout.ts';
import { field, readRecord, table, writeRecord } from '../records/page.ts';
import { versionsText } from '../records/versions.ts';
import { ALGORITHMS, APPS, OPERATIONS } from './catalogue.ts';
import type { Algorithm, App, Operation } from './catalogue.ts';

const cellSchema = z.object({
  /** Operations after which the client had seen nothing wrong, of all. */
  green: z.number(),
  all: z.number(),
  /** What was seen, once each. */
  reasons: z.array(z.string()),
});

const rowSchema = z.object({
  /** Of the application. */
  version: z.string(),
  /** What `coordinator check STACK` said. */
  check: z.array(z.string()),
  operations: z.partialRecord(z.enum(OPERATIONS), cellSchema),
  /** Replies that the client had checked when the run ended, and how many of them came through connections of their own. */
  replies: z.number(),
  connections: z.number(),
  /** Longest time without any reply. Milliseconds. */
  worstGapMs: z.number(),
  /** ISO 8601. */
  at: z.string(),
  commit: z.string(),
});
export type Row = z.infer<typeof rowSchema>;

const fileSchema = z.object({
  versions: z.record(z.string(), z.string()),
  /** Why a row is not green; by the beginning of `application algorithm operation`. Written by hand. */
  explained: z.record(z.string(), z.string()),
  rows: z.record(z.string(), rowSchema),
});
export type Results = z.infer<typeof fileSchema>;

const PAGE = path.join(projectDir(), 'docs/programs/applications.md');
const RESULTS = path.join(projectDir(), 'test/e2e/apps/results.json');

/** Both together: what single runs have found adds up. */
export function added(before: Row | undefined, row: Row): Row {
  if (before === undefined) return row;
  const operations: Row['operations'] = { ...before.operations };
  for (const operation of OPERATIONS) {
    const old = before.operations[operation] ?? { green: 0, all: 0, reasons: [] };
    const now = row.operations[operation];
    if (now === undefined) continue;
    const reasons = [...new Set([...old.reasons, ...now.reasons])];
    operations[operation] = { green: old.green + now.green, all: old.all + now.all, reasons };
  }
  return {
    ...row,
    operations,
    replies: before.replies + row.replies,
    connections: before.connections + row.connections,
    worstGapMs: Math.max(before.worstGapMs, row.worstGapMs),
  };
}

export const keyOf = (app: App, algorithm: Algorithm): string => `${app.id} ${algorithm}`;

export async function readResults(): Promise<Results> {
  return fileSchema.parse((await readRecord(RESULTS)) ?? { versions: {}, explained: {}, rows: {} });
}

export async function writeResults(results: Results): Promise<void> {
  const rows = Object.fromEntries(
    APPS.flatMap((app) => ALGORITHMS.map((algorithm) => keyOf(app, algorithm))).flatMap((key) => {
      const row = results.rows[key];
      return row === undefined ? [] : [[key, row] as const];
    }),
  );
  const sorted = { ...results, rows };
  await writeRecord(RESULTS, sorted, PAGE, tables(sorted));
}

/** The table for people, and for the terminal. */
export function tables(results: Results): string {
  const lines = APPS.flatMap((app) =>
    ALGORITHMS.map((algorithm) => line(app, algorithm, results.rows[keyOf(app, algorithm)])),
  );
  const head = ['application', 'algorithm', 'check', ...OPERATIONS, 'replies checked', 'new connections', 'worst gap'];
  const with_ = Object.keys(results.versions).length === 0 ? '' : `${versionsText(results.versions)}\n\n`;
  return `${with_}${table(head, lines)}\n\n### What was not green\n\n${notGreen(results)}`;
}

function line(app: App, algorithm: Algorithm, row: Row | undefined): string[] {
  const begin = [`${app.title} ${row?.version ?? ''}`.trim(), algorithm];
  if (row === undefined) return [...begin, ...Array<string>(OPERATIONS.length + 4).fill('not run')];
  return [
    ...begin,
    row.check.length === 0 ? 'nothing' : row.check.map(cleaned).join('; '),
    ...OPERATIONS.map((operation) => sign(row, operation)),
    String(row.replies),
    String(row.connections),
    `${(row.worstGapMs / 1000).toFixed(1)} s`,
  ];
}

function sign(row: Row, operation: Operation): string {
  const cell = row.operations[operation];
  if (cell === undefined) return 'not run';
  return `${cell.green === cell.all ? '' : '**'}${cell.green} of ${cell.all}${cell.green === cell.all ? '' : '**'}`;
}

function notGreen({ rows, explained }: Results): string {
  const lines = Object.entries(rows).flatMap(([key, row]) =>
    OPERATIONS.flatMap((operation) => {
      const cell = row.operations[operation];
      if (cell === undefined || cell.green === cell.all) return [];
      const name = `${key} ${operation}`;
      const why = Object.entries(explained).filter(([beginning]) => name.startsWith(beginning));
      return [[name, cell.reasons.map(cleaned).join('; '), why.map(([, text]) => text).join(' ') || 'not known yet']];
    }),
  );
  return lines.length === 0 ? 'Nothing.' : table(['cell', 'what was seen', 'why'], lines);
}

function cleaned(text: string): string {
  return field(text, 400);
}
