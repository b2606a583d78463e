/**
 * The bank's checker: `node check.js [options] [address[:port] ...]`, in any container on the bank's network.
 * Exit codes: 0 in order, 1 a violation, 2 some branch cannot be reached, 3 wrong usage.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { audit, reach, Unreachable } from './audit/audit.ts';
import type { AuditLimits, AuditResult, Control } from './audit/audit.ts';
import { taskAddresses } from './discovery.ts';
import { ownErrors, totals, wentBack } from './audit/judge.ts';
import { parseBranches, readOptions } from './options.ts';
import type { BranchReport } from './report.ts';

const USAGE = `usage: node check.js [options] [address[:port] ...]

Stops the transfers of all branches, waits until none is under way, compares all books, lets them go on.
Without addresses: the tasks of the services in BANK_BRANCHES (name[:tasks] ...), found by DNS.

  --status            do not stop anything: only show where the bank stands, and errors seen so far
  --reset-gap         as --status, and starts the longest gap that each branch has seen anew
  --json              all figures as one JSON object
  --not-before FILE   the output of an earlier --json: no branch of it may be gone, no counter lower
  --timeout MS        for finding all branches, and for the queues to become empty (default 15000)

exit code: 0 in order, 1 violation, 2 a branch cannot be reached, 3 wrong usage`;

const GREEN = process.stdout.isTTY ? '\u001b[32m' : '';
const RED = process.stdout.isTTY ? '\u001b[31m' : '';
const PLAIN = process.stdout.isTTY ? '\u001b[0m' : '';

interface Settings {
  readonly list: () => Promise<[string, number][]>;
  readonly limits: AuditLimits;
  readonly earlier: readonly BranchReport[];
  readonly status: boolean;
  readonly resetGap: boolean;
  readonly json: boolean;
}

/** Prints the usage and returns undefined for --help. @throws Error on wrong usage. */
function readArguments(args: string[]): Settings | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      status: { type: 'boolean', default: false },
      'reset-gap': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      'not-before': { type: 'string' },
      timeout: { type: 'string', default: '15000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const timeoutMs = Number(values.timeout);
  if (!(timeoutMs > 0)) throw new Error(`--timeout: "${values.timeout}" is not a number of milliseconds`);
  const { controlPort } = readOptions(process.env);
  const fixed = [...new Set(positionals)].map((text): [string, number] => {
    const [host = '', port] = text.split(':');
    return [host, Number(port ?? controlPort)];
  });
  const groups = parseBranches(process.env.BANK_BRANCHES ?? 'branch-a branch-b:2 branch-c');
  const found = async (): Promise<[string, number][]> => {
    const addresses = await Promise.all(groups.map(({ name }) => taskAddresses(name)));
    return [...new Set(addresses.flat())].map((address) => [address, controlPort]);
  };
  const file = values['not-before'];
  return {
    list: fixed.length > 0 ? () => Promise.resolve(fixed) : found,
    limits: {
      timeoutMs,
      expected: fixed.length > 0 ? fixed.length : groups.reduce((sum, { tasks }) => sum + tasks, 0),
    },
    earlier:
      file === undefined ? [] : (JSON.parse(readFileSync(file, 'utf8')) as { branches: BranchReport[] }).branches,
    status: values.status || values['reset-gap'],
    resetGap: values['reset-gap'],
    json: values.json,
  };
}

async function look(controls: readonly Control[], { status, resetGap, limits }: Settings): Promise<AuditResult> {
  if (!status) return audit(controls, limits);
  const op = resetGap ? 'reset-gap' : 'status';
  const reports = await Promise.all(controls.map((control) => control.request(op, limits.timeoutMs)));
  return { reports, violations: ownErrors(reports) };
}

function print({ reports, violations }: AuditResult, { json }: Settings): void {
  const sums = totals(reports);
  if (json) {
    console.log(JSON.stringify({ ok: violations.length === 0, ...sums, violations, branches: reports }));
    return;
  }
  const figures =
    `total=${sums.total} accounts=${sums.accounts} transfers=${sums.transfers} ` +
    `in flight=${sums.inFlight} missing=${sums.missing} duplicate=${sums.duplicate}`;
  const [colour, verdict] = violations.length === 0 ? [GREEN, 'OK'] : [RED, 'VIOLATED'];
  console.log(`${colour}bank: ${verdict} ${figures}${PLAIN}`);
  for (const violation of violations) console.log(`  ${violation}`);
}

async function main(): Promise<number> {
  let settings: Settings | undefined;
  try {
    settings = readArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 3;
  }
  if (settings === undefined) {
    console.log(USAGE);
    return 0;
  }
  let controls: Control[] = [];
  try {
    controls = await reach(settings.list, settings.limits);
    const result = await look(controls, settings);
    result.violations.push(...wentBack(settings.earlier, result.reports));
    print(result, settings);
    return result.violations.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    if (settings.json) console.log(JSON.stringify({ ok: false, unreachable: error.message }));
    console.error(`bank: UNREACHABLE ${error.message}`);
    return 2;
  } finally {
    for (const control of controls) control.close();
  }
}

process.exitCode = await main();
