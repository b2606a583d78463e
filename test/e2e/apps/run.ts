/** Runs the operations on one application with one algorithm. */
import type { ProgramStatus } from '../../../examples/demo/stacks.ts';
import { OPERATIONS } from './catalogue.ts';
import type { Algorithm, App, Operation } from './catalogue.ts';
import { AppGround } from './ground.ts';
import type { Row } from './results.ts';

export interface RunOptions {
  readonly bed: string;
  /** So many of each kind. */
  readonly times: number;
  readonly commit: string;
  readonly say: (text: string) => void;
}

/** An operation that has failed so often is not tried again. */
const MOST_FAILURES = 2;

/** @throws Error if the application cannot be deployed at all */
export async function runApp(app: App, algorithm: Algorithm, options: RunOptions): Promise<Row> {
  const ground = new AppGround(options.bed, app.id, algorithm);
  const row: Row = {
    version: '',
    check: [],
    operations: {},
    replies: 0,
    connections: 0,
    worstGapMs: 0,
    at: new Date().toISOString(),
    commit: options.commit,
  };
  try {
    await ground.deploy();
    row.version = await ground.version(app.version);
    row.check = await ground.check();
    if (row.check.length > 0) options.say(`  check: ${row.check.join('; ')}`);
    for (let time = 0; time < options.times; time++) {
      for (const operation of OPERATIONS) await once(ground, operation, row, options.say);
    }
  } finally {
    await ground.remove();
  }
  return row;
}

async function once(ground: AppGround, operation: Operation, row: Row, say: RunOptions['say']): Promise<void> {
  const cell = (row.operations[operation] ??= { green: 0, all: 0, reasons: [] });
  if (cell.all - cell.green >= MOST_FAILURES) return;
  const begun = performance.now();
  const seconds = (): string => `${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s`;
  cell.all += 1;
  try {
    const status = await ground.operate(operation);
    cell.green += 1;
    note(row, status);
    say(`  ${operation.padEnd(9)} ${seconds()}  ok, ${status.n} replies`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    say(`  ${operation.padEnd(9)} ${seconds()}  ${reason}`);
    if (!cell.reasons.includes(reason)) cell.reasons.push(reason);
    await startAgain(ground, say);
  }
}

/** After a failure everything is made anew, and the other operations have a snapshot to work with. */
async function startAgain(ground: AppGround, say: RunOptions['say']): Promise<void> {
  await ground.deploy();
  await ground.operate('snapshot').catch((error: unknown) => say(`  the snapshot after it: ${String(error)}`));
}

function note(row: Row, status: ProgramStatus): void {
  row.replies = Math.max(row.replies, status.n);
  row.connections = Math.max(row.connections, status.counts['new connections'] ?? 0);
  row.worstGapMs = Math.max(row.worstGapMs, Math.round(status.worstWallGapMs));
}
