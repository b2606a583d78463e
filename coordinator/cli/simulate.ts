import { readFile, writeFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command } from 'commander';
import { parse } from 'yaml';
import { EXIT_CODES, SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { SimulationConfig } from '../../src/simulator/config.ts';
import { newWorld, simulatedAlgorithms } from '../../src/simulator/families.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import { studyRow, type StudyRow } from '../../src/simulator/study.ts';
import { globalOptionsOf } from './options.ts';
import { parseRequest } from './simulate-options.ts';

/** Events between two looks at the clock and the keyboard. */
const SLICE_EVENTS = 20_000;
const PROGRESS_MS = 200;

interface Options {
  file?: string;
  report?: string;
  fuzz?: string;
  [option: string]: unknown;
}

/** `coordinator simulate`: what each algorithm costs, on a machine that does not exist. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description('run checkpoint algorithms in a deterministic simulator and compare what they cost')
    .option('-a, --algorithm <names>', 'comma-separated, or all (default: all)')
    .option('-n, --processes <n>', 'number of processes (default: 8)')
    .option('--topology <name>', 'ring, line, star, full, grid, regular (default: regular)')
    .option('--degree <n>', 'neighbours per process of the topology regular (default: 4)')
    .option('--behaviour <name>', 'ping-pong, ring, all-to-all, client-server, bank, bursty, idle (default: bank)')
    .option('--think <ms>', 'mean time between two actions of a process (default: 10)')
    .option('--message-bytes <n>', 'size of a message (default: 200)')
    .option('--state-bytes <n>', 'memory of a process (default: 20e6)')
    .option('--latency <ms>', 'of the network (default: 0.2)')
    .option('--jitter <ms>', 'mean of what is added to it (default: 0.1)')
    .option('--interval <ms>', 'between rounds, or checkpoints of a process (default: 2000)')
    .option('--mtbf <s>', 'mean time between failures of one process, 0 for none (default: 0)')
    .option('--loss <part>', 'of packets lost, 0 to 0.9 (default: 0)')
    .option('--partitions <n>', 'network partitions per second (default: 0)')
    .option('--coordinator-crashes <n>', 'per second (default: 0)')
    .option('--slowness <factor>', 'on control messages (default: 1)')
    .option('--duration <ms>', 'simulated time (default: 10000)')
    .option('--messages <n>', 'end after so many application messages, 0 for no limit (default: 0)')
    .option('--deadline <ms>', 'of a round (default: 10000)')
    .option('--seed <n>', 'same seed, same run (default: 1)')
    .option('-f, --file <yaml>', 'take these options from a file (names as here, camelCase); the command line wins')
    .option('--report <html>', 'write a page with plots and a space-time diagram')
    .option('--fuzz <seeds>', 'instead: so many small hostile runs from --seed on, and every check')
    .addHelpText(
      'after',
      `
Exit code 7 when a checker finds a fault. Ctrl-C prints what there is. What the columns mean: docs/overhead.md.

Examples:
  coordinator simulate -a sync,lai-yang,chandy-lamport -n 24 --behaviour bank
  coordinator simulate -n 100 --mtbf 60 --duration 60000 --report overhead.html
  coordinator simulate -a causal-log --fuzz 1 --seed 536`,
    )
    .action(async (options: Options, command: Command) => {
      const { json } = globalOptionsOf(command);
      const { file, report, fuzz, ...rest } = options;
      const request = parseRequest({ ...(file === undefined ? {} : await readOptions(file)), ...rest });
      const run = new Runs(!json && process.stderr.isTTY);
      const rows =
        fuzz === undefined
          ? await run.compare(request.algorithms, request.config)
          : await run.fuzz(request.algorithms, request.config.seed, count(fuzz));
      if (json) process.stdout.write(`${JSON.stringify(rows)}\n`);
      else process.stdout.write(`${table(rows)}\n`);
      if (report !== undefined && !run.stopped) {
        const { writeReport } = await import('./simulate-report.ts');
        await writeFile(report, await writeReport(request.algorithms, request.config, rows, run));
        if (!json) process.stdout.write(`report: ${report}\n`);
      }
      if (rows.some(({ violations }) => violations.length > 0)) {
        for (const { algorithm, seed, violations } of rows) {
          for (const violation of violations) process.stderr.write(`${algorithm}, seed ${seed}: ${violation}\n`);
        }
        process.exitCode = EXIT_CODES.damaged;
      } else if (run.stopped) process.exitCode = EXIT_CODES.interrupted;
    });
}

/** Runs worlds in slices, so that progress shows and Ctrl-C is heard. */
export class Runs {
  stopped = false;
  readonly #progress: boolean;
  #shown = 0;

  constructor(progress: boolean) {
    this.#progress = progress;
  }

  /** One run per algorithm. Ctrl-C ends it; what was finished is returned, and the interrupted run as far as it came. */
  async compare(algorithms: readonly string[], config: SimulationConfig): Promise<StudyRow[]> {
    return await this.#interruptible(async () => {
      const rows: StudyRow[] = [];
      for (const name of algorithms) {
        if (this.stopped) break;
        rows.push(await this.#one(name, config, `${rows.length + 1}/${algorithms.length} ${name}`));
      }
      return rows;
    });
  }

  /** Many small hostile runs; the rows are sums over all seeds, but for the first seed with a fault, which is shown as it is. */
  async fuzz(algorithms: readonly string[], firstSeed: number, seeds: number): Promise<StudyRow[]> {
    return await this.#interruptible(async () => {
      const rows: StudyRow[] = [];
      for (const name of algorithms) {
        const needsFifo = simulatedAlgorithms[name]?.needsFifo ?? true;
        let last: StudyRow | undefined;
        for (let seed = firstSeed; seed < firstSeed + seeds && !this.stopped; seed++) {
          last = await this.#one(name, fuzzConfig(seed, needsFifo), `${name} seed ${seed}`);
          if (last.violations.length > 0) break;
        }
        if (last !== undefined) rows.push(last);
      }
      return rows;
    });
  }

  async #one(name: string, config: SimulationConfig, label: string): Promise<StudyRow> {
    const family = simulatedAlgorithms[name];
    if (family === undefined) throw new SwarmcutError('internal', `no algorithm ${name}`);
    const world = newWorld(config, family);
    while (!this.stopped && !world.advance(SLICE_EVENTS)) {
      this.#show(`${label} ${Math.round(world.progress * 100)} %`);
      if (Date.now() - this.#shown >= PROGRESS_MS || !this.#progress) await new Promise(setImmediate);
    }
    return studyRow(name, config, world);
  }

  #show(text: string): void {
    if (!this.#progress || Date.now() - this.#shown < PROGRESS_MS) return;
    this.#shown = Date.now();
    process.stderr.write(`\r\u001b[K${text}`);
  }

  async #interruptible<T>(work: () => Promise<T>): Promise<T> {
    const stop = (): void => {
      this.stopped = true;
    };
    process.once('SIGINT', stop);
    try {
      return await work();
    } finally {
      process.removeListener('SIGINT', stop);
      if (this.#progress) process.stderr.write('\r\u001b[K');
    }
  }
}

async function readOptions(file: string): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new SwarmcutError('usage', `the file cannot be read: ${messageOf(cause)}`, { where: { file }, cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SwarmcutError('usage', 'the file does not hold options', {
      where: { file },
      advice: 'name: value lines',
    });
  }
  return value as Record<string, unknown>;
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new SwarmcutError('usage', `fuzz: "${text}" is not a number of seeds`, { advice: 'a whole number above 0' });
}

function table(rows: readonly StudyRow[]): string {
  const head = [
    'algorithm',
    'rounds',
    'took part',
    'ckpts',
    'forced',
    'useless',
    'control',
    'piggyb.',
    'logged',
    'in transit',
  ];
  const more = ['blocked', 'p99', 'storage', 'crashes', 'back', 'lost work', 'recovery'];
  const table = new Table({ head: [...head, ...more], style: { head: [], border: [], compact: true } });
  for (const row of rows) {
    table.push([
      row.algorithm,
      row.roundsAborted > 0 ? `${row.rounds} (-${row.roundsAborted})` : row.rounds,
      row.participantsPerRound === 0 ? '' : row.participantsPerRound.toFixed(1),
      row.checkpoints,
      row.forcedCheckpoints,
      row.uselessCheckpoints < 0 ? '?' : row.uselessCheckpoints,
      `${row.controlMessages} / ${size(row.controlBytes)}`,
      `${row.piggybackBytesPerMessage.toFixed(1)} B/msg`,
      size(row.loggedBytes),
      size(row.recordedBytes),
      milliseconds(row.blockedMeanMs),
      milliseconds(row.blockedP99Ms),
      size(row.peakStorageBytes),
      row.crashes,
      row.rolledBackPerFailure.toFixed(1),
      milliseconds(row.lostWorkMsPerFailure),
      milliseconds(row.recoveryMs),
    ]);
  }
  return table.toString();
}

function size(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  for (const [unit, factor] of [
    ['kB', 1e3],
    ['MB', 1e6],
    ['GB', 1e9],
  ] as const) {
    if (bytes < factor * 1000) return `${(bytes / factor).toFixed(1)} ${unit}`;
  }
  return `${(bytes / 1e12).toFixed(1)} TB`;
}

function milliseconds(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(0)} ms`;
}
