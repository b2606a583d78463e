/** `coordinator testbed`: a real Swarm of several hosts on this machine (docs/testbed.md). */
import { spawn } from 'node:child_process';
import { Command, InvalidArgumentError, Option } from 'commander';
import Table from 'cli-table3';
import {
  TestbedError,
  down,
  execOn,
  killHost,
  logsPath,
  startKilledHost,
  status,
  up,
} from '../../../examples/testbed/index.ts';
import { globalOptionsOf, parseCount } from '../options.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { BedStatus, Progress, ServiceName } from '../../../examples/testbed/index.ts';

interface NameOption {
  readonly name: string;
}

/**
 * The command with its subcommands. Exit codes: 0 all well; 1 it failed, with the reason on standard error, or (`status`) the bed is not
 * healthy; `exec` ends with the exit code of its command.
 */
export function testbedCommand(): Command {
  const command = new Command('testbed').description(
    'a Docker Swarm of several hosts on this machine, to try things on',
  );
  command
    .addCommand(upCommand())
    .addCommand(statusCommand())
    .addCommand(execCommand())
    .addCommand(logsCommand())
    .addCommand(killCommand())
    .addCommand(startCommand())
    .addCommand(downCommand());
  return command;
}

function nameOption(): Option {
  return new Option('--name <bed>', 'which test bed').default('testbed').env('SWARMCUT_BED');
}

function upCommand(): Command {
  return new Command('up')
    .description('bring the test bed up; harmless if it is up already')
    .addOption(new Option('--nodes <count>', 'number of hosts; n1 is the manager (default: 3)').argParser(parseCount))
    .addOption(nameOption())
    .action(async (options: NameOption & { nodes?: number }) => {
      await reportErrors(async () => {
        await up(
          { name: options.name, ...(options.nodes === undefined ? {} : { nodes: options.nodes }) },
          printProgress,
        );
      });
    });
}

function downCommand(): Command {
  return new Command('down')
    .description('stop and remove the test bed, in whatever state it is')
    .option('--cache', 'also remove the cached root file system and image, which all test beds share', false)
    .addOption(nameOption())
    .action(async (options: NameOption & { cache: boolean }) => {
      await reportErrors(() => down(options, printProgress));
    });
}

function statusCommand(): Command {
  return new Command('status')
    .description('show the hosts of the test bed')
    .addOption(nameOption())
    .action(async (options: NameOption, command: Command) => {
      await reportErrors(async () => {
        const found = await status(options);
        process.stdout.write(
          globalOptionsOf(command).json ? `${JSON.stringify(found, null, 2)}\n` : `${statusTable(found)}\n`,
        );
        if (!found.healthy) process.exitCode = 1;
      });
    });
}

function statusTable(found: BedStatus): string {
  const table = new Table({ head: ['node', 'address', 'init pid', 'swarm', 'agent'], style: { head: [], border: [] } });
  for (const node of found.nodes) {
    table.push([
      node.name,
      node.address,
      node.pid === null ? 'not running' : String(node.pid),
      node.ready ? 'ready' : 'not ready',
      node.agent ? 'listens' : 'silent',
    ]);
  }
  return `test bed '${found.name}' in ${found.directory}: ${found.healthy ? 'healthy' : 'not healthy'}\n${table.toString()}`;
}

function execCommand(): Command {
  return new Command('exec')
    .description('run a command on a host, e.g. exec n1 -- docker service ls')
    .argument('<node>', 'n1, n2, …')
    .argument('<command...>', 'the command and its arguments, after --')
    .addOption(nameOption())
    .passThroughOptions(false)
    .action(async (node: string, argv: string[], options: NameOption) => {
      await reportErrors(async () => {
        // Ctrl-C goes to the command, which shares our terminal; we stay to hand on its exit code.
        const ignore = (): void => undefined;
        process.on('SIGINT', ignore);
        const result = await execOn(options, node, argv, { inherit: true });
        process.exitCode = result.exitCode;
        process.off('SIGINT', ignore);
      });
    });
}

function killCommand(): Command {
  return new Command('kill')
    .description('kill a host, as a power cut does; its disk stays')
    .argument('<node>', 'n1, n2, …')
    .addOption(nameOption())
    .action((node: string, options: NameOption) => reportErrors(() => killHost(options, node)));
}

function startCommand(): Command {
  return new Command('start')
    .description('start a host that was killed')
    .argument('<node>', 'n1, n2, …')
    .addOption(nameOption())
    .action((node: string, options: NameOption) => reportErrors(() => startKilledHost(options, node, printProgress)));
}

function logsCommand(): Command {
  return new Command('logs')
    .description('show the log of a service of a host, also when the host is down')
    .argument('<node>', 'n1, n2, …')
    .argument('[service]', 'engine or agent', service, 'agent')
    .option('-f, --follow', 'go on as more comes', false)
    .option('-n, --lines <count>', 'how many lines from the end', parseCount, 200)
    .addOption(nameOption())
    .action(async (node: string, name: ServiceName, options: NameOption & { follow: boolean; lines: number }) => {
      await reportErrors(async () => {
        const file = await logsPath(options, node, name);
        const args = ['-n', String(options.lines), ...(options.follow ? ['-F'] : []), file];
        const tail = spawn('tail', args, { stdio: 'inherit' });
        process.exitCode = await new Promise<number>((resolve, reject) => {
          tail.once('exit', (code) => {
            resolve(code ?? 0);
          });
          tail.once('error', reject);
        });
      });
    });
}

function service(text: string): ServiceName {
  if (text !== 'engine' && text !== 'agent') throw new InvalidArgumentError("'engine' or 'agent'");
  return text;
}

function printProgress(progress: Progress): void {
  const seconds = (progress.elapsedMs / 1000).toFixed(1).padStart(5);
  process.stderr.write(`[${seconds} s] ${progress.level === 'warning' ? 'warning: ' : ''}${progress.message}\n`);
}

/** What is wrong with the bed or the machine is the user's to mend; anything else stays what it is, a fault of ours. */
async function reportErrors(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof TestbedError) throw new SwarmcutError('precondition', error.message, { cause: error });
    throw error;
  }
}
