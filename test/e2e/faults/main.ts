/**
 * `npm run test:faults`: fault by step by algorithm on a real test bed (docs/reliability.md). What has been run is kept in test/e2e/faults/results.json, so that
 * several runs fill the matrix: cells that are green there are not run again, unless `--again` says so.
 */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { down } from '../../../examples/testbed/index.ts';
import { versionsOn } from '../records/versions.ts';
import { ALL_STEPS, allCells, chosen, keyOf } from './matrix.ts';
import { legend, noted, readResults, writeResults } from './results.ts';
import { ensureBed, runCells } from './run.ts';

const HELP = `npm run test:faults [-- options]
  --faults a,b       only these (kill-*: all that begin so)
  --steps a,b        only these (agent.*)
  --operations a,b   snapshot, restore, migrate, drain
  --algorithms a,b   lai-yang, chandy-lamport, sync
  --sample N         so many of them, chosen by chance; --seed S (1)
  --from FILE        those that are named in it, in its order: lines as --list prints them
  --again            also those that are green already
  --red              only those that are red
  --minutes N        begin no cell after so long
  --list             say which would be run
  --tables           only make the tables of docs/reliability.md anew
  --legend           print what faults and steps are
  --dry              do not write results
SWARMCUT_BED names the test bed (faults); one that is up stays up.
`;

function readArguments() {
  return parseArgs({
    options: {
      faults: { type: 'string' },
      steps: { type: 'string' },
      operations: { type: 'string' },
      algorithms: { type: 'string' },
      sample: { type: 'string' },
      from: { type: 'string' },
      seed: { type: 'string', default: '1' },
      again: { type: 'boolean', default: false },
      red: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      list: { type: 'boolean', default: false },
      tables: { type: 'boolean', default: false },
      legend: { type: 'boolean', default: false },
      dry: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

let values: ReturnType<typeof readArguments>;
try {
  values = readArguments();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  process.exit(2);
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const list = (text: string | undefined): string[] | undefined => text?.split(',').filter((item) => item !== '');

async function main(): Promise<void> {
  if (values.help) {
    say(HELP);
    return;
  }
  if (values.legend) {
    process.stdout.write(`${legend()}\n`);
    return;
  }
  const results = await readResults();
  if (values.tables) return writeResults(results);
  const { faults, steps, operations, algorithms } = values;
  const open = allCells().filter((cell) => {
    const verdict = results.cells[keyOf(cell)]?.verdict;
    return values.red ? verdict === 'red' : values.again || verdict !== 'green';
  });
  const named = values.from === undefined ? undefined : (await readFile(values.from, 'utf8')).split('\n');
  const among = named?.flatMap((key) => open.find((cell) => keyOf(cell) === key.trim()) ?? []) ?? open;
  const cells = chosen(among, {
    faults: list(faults),
    steps: list(steps),
    operations: list(operations),
    algorithms: list(algorithms),
    sample: values.sample === undefined ? undefined : Number(values.sample),
    seed: Number(values.seed),
  });
  say(`${cells.length} cells of ${allCells().length} (${ALL_STEPS.length} steps)`);
  if (values.list) return void process.stdout.write(cells.map((cell) => `${keyOf(cell)}\n`).join(''));
  if (cells.length === 0) return;

  const bed = process.env.SWARMCUT_BED ?? 'faults';
  const existed = await ensureBed(bed);
  Object.assign(results.versions, await versionsOn(bed));
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  let red = 0;
  try {
    await runCells({
      bed,
      cells,
      say,
      limitMs: values.minutes === undefined ? undefined : Number(values.minutes) * 60_000,
      onOutcome: async (cell, outcome) => {
        const { verdict, seconds, exitCode, harmMs, problems } = outcome;
        say(
          `${verdict.padEnd(11)} ${seconds.toFixed(1).padStart(5)} s  ${keyOf(cell)}  exit ${exitCode}, harm ${harmMs} ms`,
        );
        for (const problem of problems) say(`    ${problem}`);
        if (verdict === 'red') red++;
        results.cells[keyOf(cell)] = noted(outcome, commit);
        if (!values.dry) await writeResults(results);
      },
    });
  } finally {
    if (!existed) await down({ name: bed });
  }
  if (red > 0) process.exitCode = 1;
}

await main();
