import { access, constants, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { parse } from 'yaml';
import { EXIT_CODES, SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { globalOptionsOf } from '../options.ts';
import { parseFuzzKind, parseRequest, parseSeeds } from '../simulate/options.ts';
import { Runs, terminalLine } from '../simulate/runs.ts';
import { studyTable } from '../simulate/table.ts';

interface Options {
  file?: string;
  report?: string;
  fuzz?: string;
  fuzzKind?: string;
  [option: string]: unknown;
}

/** `coordinator simulate`: what each algorithm costs, on a machine that does not exist. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description('run checkpoint algorithms in a deterministic simulator and compare what they cost')
    .option('-a, --algorithm <names>', 'comma-separated, or all (default: all)')
    .option('-n, --processes <n>', 'number of processes (default: 8)')
    .option('--topology <name>', 'ring, line, star, full, grid, regular (default: regular)')
    .option('--degree <n>', 'neighbours per process of the topology regular (default: 4, or what is possible)')
    .option('--behaviour <name>', 'ping-pong, ring, all-to-all, client-server, bank, bursty, idle (default: bank)')
    .option('--think <duration>', 'mean time between two actions of a process (default: 10ms)')
    .option('--message-size <size>', 'of a message (default: 200B)')
    .option('--state-size <size>', 'memory of a process (default: 20MB)')
    .option('--fifo <yes|no>', 'messages keep their order; chandy-lamport and the logs insist on it (default: yes)')
    .option('--latency <duration>', 'of the network (default: 200us)')
    .option('--jitter <duration>', 'mean of what is added to it (default: 100us)')
    .option('--jitter-distribution <name>', 'constant, uniform, exponential, pareto (default: exponential)')
    .option('--bandwidth <size/s>', 'of a channel (default: 1GB/s)')
    .option('--bandwidth-distribution <name>', 'of the time that a byte takes, as above (default: constant)')
    .option('--interval <duration>', 'between rounds, or checkpoints of a process (default: 2s)')
    .option('--mtbf <duration>', 'mean time between failures of one process, 0s for none (default: 0s)')
    .option('--loss <part>', 'of packets lost, 0 to 0.9 (default: 0)')
    .option('--partitions <n>', 'network partitions per second (default: 0)')
    .option('--coordinator-crashes <n>', 'per second (default: 0)')
    .option('--agent-crashes <n>', 'per second; what an agent had frozen stays so for a while (default: 0)')
    .option('--reconnects <n>', 'connections that end and are made anew, per second (default: 0)')
    .option('--slowness <factor>', 'on control messages (default: 1)')
    .option('--duration <duration>', 'simulated time (default: 10s)')
    .option('--messages <n>', 'end after so many application messages, 0 for no limit (default: 0)')
    .option('--deadline <duration>', 'of a round (default: 10s)')
    .option('--seed <n>', 'same seed, same run (default: 1)')
    .option('-f, --file <yaml>', 'take these options from a file (names as here, camelCase); the command line wins')
    .option('--report <html>', 'write a page with plots and a space-time diagram')
    .option('--fuzz <seeds>', 'instead: so many small hostile runs from --seed on, and every check')
    .option('--fuzz-kind <name>', 'of these runs: mixed, agents (that die), connections (that end) (default: mixed)')
    .addHelpText(
      'after',
      `
Durations are written like 200us, 500ms, 30s or 2m, sizes like 200B, 64kB or 20MB; numbers without a unit are refused.
Exit code 7 when a checker finds a fault. Ctrl-C prints what there is. What the columns mean: docs/overhead.md.

Examples:
  coordinator simulate -a sync,lai-yang,chandy-lamport -n 24 --behaviour bank
  coordinator simulate -n 100 --mtbf 60s --duration 1m --report overhead.html
  coordinator simulate -a causal-log --fuzz 1 --seed 536`,
    )
    .action(async (options: Options, command: Command) => {
      const { json } = globalOptionsOf(command);
      const { file, report, fuzz, fuzzKind, ...rest } = options;
      const request = parseRequest({ ...(file === undefined ? {} : await readOptions(file)), ...rest });
      if (report !== undefined) await checkWritable(report);
      const run = new Runs(!json && process.stderr.isTTY ? terminalLine(process.stderr) : () => undefined);
      const rows =
        fuzz === undefined
          ? await run.compare(request.algorithms, request.config)
          : await run.fuzz(request.algorithms, parseFuzzKind(fuzzKind), request.config.seed, parseSeeds(fuzz));
      if (json) process.stdout.write(`${JSON.stringify(rows)}\n`);
      else process.stdout.write(`${studyTable(rows)}\n`);
      if (report !== undefined && !run.stopped) {
        const { writeReport } = await import('../simulate/report.ts');
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

/** Before hours of simulation, not after. */
async function checkWritable(report: string): Promise<void> {
  try {
    await access(dirname(report), constants.W_OK);
  } catch (cause) {
    throw new SwarmcutError('usage', `report: ${report} cannot be written: ${messageOf(cause)}`, {
      advice: 'a file in a directory that exists',
      cause,
    });
  }
}
