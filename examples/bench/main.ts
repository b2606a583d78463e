/** `npm run bench`: see {@link HELP}, or `npm run bench -- --help`. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Stacks } from '../demo/stacks.ts';
import { TestbedError, claimBed, down, listBeds, up } from '../testbed/index.ts';
import { projectDir } from '../testbed/layout.ts';
import { reached, rounded } from './bench.ts';
import type { BenchItem, Figure } from './bench.ts';
import { bankGap } from './bank.ts';
import { big } from './big.ts';
import { memory, shim, throughput } from './node.ts';
import { gap, migration, wall } from './pair.ts';
import { proxy } from './proxy.ts';
import { freeze, serve } from './redis.ts';
import { simulator } from './simulator.ts';

/** In the order in which they run: an idle agent is measured before it has worked. */
const ITEMS: readonly BenchItem[] = [
  memory,
  shim,
  gap,
  bankGap,
  migration,
  wall,
  throughput,
  proxy,
  freeze,
  serve,
  big,
  simulator,
];

const HELP = `npm run bench [-- ITEM ... options]: measures on a test bed, prints a table, and writes bench-results/<time>.json
${ITEMS.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n')}
  --name BED   the test bed (bench); one that is up stays up
  --keep       leave the test bed up
  --json       print JSON instead of the table
Without items all are measured. Exit code 1 if an item failed or it was interrupted, 2 for wrong arguments; a missed aim is no failure.
`;

interface Outcome {
  readonly item: string;
  readonly figures: readonly Figure[];
  readonly error?: string;
  /** Load average of the last minute, before and after: what else was going on. */
  readonly load: readonly [number, number];
}

function table(outcomes: readonly Outcome[]): string {
  const captions = outcomes.map(
    ({ item, load }) => `${item}: load average ${load.map(rounded).join(' before, ')} after`,
  );
  const shown = new Table({ head: ['measured', 'value', 'aim', ''], style: { head: [], border: [] } });
  for (const figure of outcomes.flatMap(({ figures }) => figures)) {
    const { what, value, unit, aim, atLeast } = figure;
    const verdict = { true: 'reached', false: 'MISSED', undefined: '' }[String(reached(figure))] ?? '';
    const aimed = aim === undefined ? '' : `${atLeast === true ? '≥' : '≤'} ${aim} ${unit}`;
    shown.push([what, `${rounded(value)} ${unit}`, aimed, verdict]);
  }
  return `${captions.join('\n')}\n${shown.toString()}`;
}

async function machine(): Promise<Record<string, string | number>> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return {
    system: /^PRETTY_NAME="(.*)"$/m.exec(text)?.[1] ?? 'unknown',
    kernel: release(),
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGB: rounded(totalmem() / 1e9),
    node: process.version,
  };
}

async function runItem(item: BenchItem, stacks: Stacks, signal: AbortSignal): Promise<Outcome> {
  const say = (text: string): void => void process.stderr.write(`[${item.name}] ${text}\n`);
  const before = loadavg()[0] ?? 0;
  say(item.title);
  try {
    const figures = await item.run({ stacks, say, signal });
    return { item: item.name, figures, load: [before, loadavg()[0] ?? 0] };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${message}`);
    for (const stack of item.withoutBed === true ? [] : ['pair', 'pair-sidecars', 'redis'])
      await stacks.remove(stack, { volumes: true });
    return { item: item.name, figures: [], error: message, load: [before, loadavg()[0] ?? 0] };
  }
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: 'string', default: 'bench' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return { values, positionals };
}

async function main(): Promise<number> {
  let given: ReturnType<typeof readArguments>;
  try {
    given = readArguments();
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  const { values, positionals } = given;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const unknown = positionals.filter((name) => !ITEMS.some((item) => item.name === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `bench: no item ${unknown.join(', ')}; there are ${ITEMS.map(({ name }) => name).join(', ')}\n`,
    );
    return 2;
  }
  const items = ITEMS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (interrupted.signal.aborted) process.exit(1); // who asks twice does not want to wait
      interrupted.abort(new Error(`interrupted by ${name}`));
    });
  const { signal } = interrupted;
  const existed = (await listBeds()).some(({ name }) => name === values.name);
  const bedNeeded = items.some(({ withoutBed }) => withoutBed !== true);
  const stacks = new Stacks(values.name);
  // Until this process ends.
  if (bedNeeded) await claimBed(stacks.bed, 'npm run bench');
  if (bedNeeded) await up({ ...stacks.bed, nodes: 3 }, ({ message }) => process.stderr.write(`[testbed] ${message}\n`));
  const outcomes: Outcome[] = [];
  try {
    for (const item of items) if (!signal.aborted) outcomes.push(await runItem(item, stacks, signal));
  } finally {
    if (bedNeeded && !existed && !values.keep) await down(stacks.bed);
  }
  if (signal.aborted) return 1;
  const about = await machine();
  const file = path.join(projectDir(), 'bench-results', `${new Date().toISOString().replaceAll(':', '-')}.json`);
  await mkdir(path.dirname(file), { recursive: true });
  const report = `${JSON.stringify({ machine: about, outcomes }, null, 2)}\n`;
  await writeFile(file, report);
  process.stdout.write(values.json ? report : `${Object.values(about).join(', ')}\n${table(outcomes)}\n${file}\n`);
  return outcomes.some(({ error }) => error !== undefined) ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof TestbedError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  return 1;
});
