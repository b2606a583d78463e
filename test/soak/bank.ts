/** The bank under test: what it must be like after an operation. */
import { setTimeout as sleep } from 'node:timers/promises';
import { bankRate } from '../../examples/demo/stacks.ts';
import type { BankCheck, RunningTask, Stacks } from '../../examples/demo/stacks.ts';
import { Lost } from './failures.ts';

export const STACK = 'bank';

/** The bank's tasks, and what it has in all. */
export const TASKS = 4;
const TOTAL = 4_000_000;

/** New tasks, and connections after a restore, get so long to be as they shall be. Milliseconds. */
const PATIENCE_MS = 60_000;

/** @param rate transfers a second and task; undefined: as the compose file says */
export async function deployBank(stacks: Stacks, algorithm: string, rate: number | undefined): Promise<void> {
  await stacks.deploy('bank', { algorithm, ...(rate === undefined ? {} : { change: bankRate(rate) }) });
}

/** Figures without stopping anything. @throws Lost when a branch knows of an error */
export async function statusOf(stacks: Stacks): Promise<BankCheck> {
  const check = await stacks.checkBank(STACK, ['--status', '--timeout', '30000']);
  if (check.exitCode !== 0) throw new Lost(wrongWith(check));
  return check;
}

/**
 * All books, twice: transfers go on, none is lost or there twice, money is what was made, and nothing of what `notBefore` knew is gone.
 * @throws Lost with the checker's words
 */
export async function audit(stacks: Stacks, notBefore: BankCheck): Promise<BankCheck> {
  const first = await full(stacks, notBefore);
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const now = await statusOf(stacks);
    if (now.transfers > first.transfers) return now;
    if (performance.now() > until) throw new Lost(`the bank stands still at ${first.transfers} transfers`);
    await sleep(200);
  }
}

async function full(stacks: Stacks, notBefore: BankCheck): Promise<BankCheck> {
  const check = await stacks.checkBank(STACK, ['--timeout', '30000'], { notBefore });
  const { exitCode, total, accounts, missing, duplicate } = check;
  if (exitCode !== 0) throw new Lost(wrongWith(check));
  if (total !== TOTAL || accounts !== TASKS || missing !== 0 || duplicate !== 0)
    throw new Lost(`total ${total}, accounts ${accounts}, missing ${missing}, duplicate ${duplicate}`);
  return check;
}

function wrongWith(check: BankCheck): string {
  return `the checker: ${check.unreachable ?? check.violations.join('; ')}`;
}

/** Waits for all tasks of the bank. @throws Lost when they do not come */
export async function allTasks(stacks: Stacks): Promise<RunningTask[]> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const tasks = await stacks.tasks(STACK).catch(() => []);
    if (tasks.length === TASKS) return tasks;
    if (performance.now() > until) throw new Lost(`${tasks.length} tasks run, not ${TASKS}: ${places(tasks)}`);
    await sleep(250);
  }
}

export function places(tasks: readonly RunningTask[]): string {
  return tasks.map(({ service, slot, node }) => `${service.slice(STACK.length + 1)}.${slot} on ${node}`).join(', ');
}
