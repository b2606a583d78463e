import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { EXIT_CODES, SwarmcutError } from '../../../src/model/errors.ts';
import type { LeftoverItem, RepairReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { globalOptionsOf } from '../options.ts';
import { paint, say, sayJson } from '../output/output.ts';

export interface RepairOptions {
  readonly dryRun?: true;
  readonly yes?: true;
}

/** `coordinator check --repair`: shows what was left behind, asks, and clears it. Sets the exit code. */
export async function repairNodes(command: Command, { dryRun, yes }: RepairOptions): Promise<void> {
  const { json } = globalOptionsOf(command);
  if (dryRun !== true && yes !== true && (json || !process.stdin.isTTY || !process.stderr.isTTY)) {
    throw new SwarmcutError('usage', '--repair asks before it clears anything, and here it cannot ask', {
      advice: 'add --yes to clear what is found, or --dry-run to see it only',
    });
  }
  const { clearLeftovers, findLeftovers } = await import('../../operations/index.ts');
  const found = await runOperation(command, 'look for leftovers', (ctx) => findLeftovers(ctx));
  const left = found.items.filter(({ state }) => state === 'left').length;
  if (dryRun === true || left === 0) {
    tell(found, json);
    process.exitCode = exitCodeOf(found);
    return;
  }
  if (yes !== true) {
    say(repairText(found));
    if (!(await confirmed(left))) {
      say('nothing was touched');
      process.exitCode = exitCodeOf(found);
      return;
    }
  }
  const done = await runOperation(command, 'clear leftovers', (ctx) => clearLeftovers(ctx, found));
  tell(done, json);
  process.exitCode = exitCodeOf(done);
}

function tell(report: RepairReport, json: boolean): void {
  if (json) sayJson(report);
  else say(repairText(report));
}

async function confirmed(count: number): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`clear ${count === 1 ? 'it' : `these ${count}`}? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** Worst first: a node that does not answer, something that could not be cleared, something that is left. */
function exitCodeOf({ items, unreached }: RepairReport): number {
  if (unreached.length > 0) return EXIT_CODES.unreachable;
  if (items.some(({ state }) => state === 'failed')) return EXIT_CODES.failed;
  return items.some(({ state }) => state === 'left') ? EXIT_CODES.precondition : 0;
}

/** Node by node, one line for each thing. Exported for its test. */
export function repairText({ items, unreached }: RepairReport): string {
  const lines = [...new Set(items.map(({ node }) => node))].flatMap((node) => [
    paint('bold', node),
    ...items.filter((item) => item.node === node).map(itemText),
  ]);
  lines.push(...unreached.map(({ node, error }) => paint('red', `${node}: not looked at: ${error}`)));
  if (items.length === 0 && unreached.length === 0) return paint('green', 'nothing was left behind');
  return lines.join('\n');
}

function itemText({ kind, subject, detail, state, why }: LeftoverItem): string {
  const what = `${kind} ${/^[0-9a-f]{64}$/.test(subject) ? subject.slice(0, 12) : subject}: ${detail}`;
  switch (state) {
    case 'left':
      return `  ${paint('yellow', '!')} ${what}`;
    case 'cleared':
      return `  ${paint('green', '✔')} ${what}: cleared`;
    case 'in use':
      return `  - ${what}: not touched: ${why ?? 'in use'}`;
    case 'failed':
      return `  ${paint('red', '✘')} ${what}: NOT cleared: ${why ?? ''}`;
  }
}
