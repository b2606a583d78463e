/** `npm run test:soak`: see options.ts, or `npm run test:soak -- --help`. */
import { Stacks } from '../../examples/demo/stacks.ts';
import { TestbedError, claimBed, down, up } from '../../examples/testbed/index.ts';
import { USAGE, readArguments } from './options.ts';
import type { SoakOptions } from './options.ts';
import { soak } from './soak.ts';
import type { SoakReport } from './soak.ts';
import { figuresText } from './tally.ts';

async function main(): Promise<number> {
  let options: SoakOptions | undefined;
  try {
    const randomSeed = Math.floor(Math.random() * 2 ** 31);
    options = readArguments(process.argv.slice(2), { env: process.env, now: new Date(), randomSeed });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  return run(options);
}

async function run(options: SoakOptions): Promise<number> {
  const begun = performance.now();
  const out = options.json ? process.stderr : process.stdout;
  const say = (line: string): void => {
    out.write(`[${((performance.now() - begun) / 1000).toFixed(1).padStart(7)} s] ${line}\n`);
  };
  const stacks = new Stacks(options.bed);
  await using _claim = await claimBed(stacks.bed, 'npm run test:soak');
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (interrupted.signal.aborted) process.exit(130); // who asks twice does not want to wait
      say(`${name}: cleaning up; once more ends at once`);
      interrupted.abort(new Error(`interrupted by ${name}`));
    });
  const reports: SoakReport[] = [];
  // What a run that was killed has left is not to be trusted.
  await down(stacks.bed);
  try {
    await up({ ...stacks.bed, nodes: 3 }, ({ message }) => say(message));
    for (const algorithm of options.algorithms) {
      say(`${algorithm}, seed ${options.seed}`);
      const { signal } = interrupted;
      reports.push(await soak({ stacks, options, algorithm, say, signal }));
      if (reports.some(({ reasons }) => reasons.length > 0) && !options.goOn) break;
    }
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  } finally {
    if (!options.keep) await down(stacks.bed);
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ reports }, undefined, 2)}\n`);
  else for (const report of reports) process.stdout.write(textOf(report));
  if (interrupted.signal.aborted) return 130;
  return reports.every(({ reasons }) => reasons.length === 0) ? 0 : 1;
}

function textOf({ algorithm, seed, wallMs, tally, comparisons, reasons }: SoakReport): string {
  const verdict =
    reasons.length === 0
      ? 'PASSED: nothing was lost, nothing has grown'
      : `FAILED:\n${reasons.map((reason) => `  ${reason}`).join('\n')}`;
  const figures = comparisons.length === 0 ? 'figures were not compared' : figuresText(comparisons);
  return `\n${algorithm}, seed ${seed}, ${(wallMs / 60_000).toFixed(1)} min, ${tally.steps} operations\n${tally.text()}\n${figures}\n${verdict}\n`;
}

process.exitCode = await main().catch((error: unknown) => {
  const known = error instanceof TestbedError;
  process.stderr.write(
    `soak: ${known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
});
