import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Command, Option } from 'commander';
import { SwarmcutError } from '../src/model/errors.ts';
import { visibleLines } from '../src/model/visible.ts';
import { DEFAULT_AGENT_PORT, DEFAULT_DIRECTORIES } from '../src/model/paths.ts';
import { swarmcutVersion } from '../src/platform/version.ts';
import { installCommand, uninstallCommand } from './install/index.ts';

/** The agent's command line: `run`, `install`, `uninstall` (`shim` is the engine's business, see main.ts). */
export function agentProgram(): Command {
  return new Command('agent')
    .description("swarmcut's agent: freezes, dumps and restores this node's containers on behalf of the coordinator")
    .version(swarmcutVersion())
    .addCommand(runCommand())
    .addCommand(joinCommand())
    .addCommand(installCommand())
    .addCommand(uninstallCommand());
}

interface RunOptions {
  listen: string;
  node?: string;
  stateDir: string;
  runDir: string;
  configDir: string;
  dockerSocket: string;
  logFile?: string;
  verbose?: true;
}

function runCommand(): Command {
  return new Command('run')
    .description('serve until SIGTERM (as root, one per node)')
    .option('--listen <host:port>', 'address for the coordinator and other agents', `0.0.0.0:${DEFAULT_AGENT_PORT}`)
    .option('--node <name>', 'name of this node, as Swarm has it (default: its host name)')
    .addOption(
      new Option('--state-dir <dir>', 'snapshots').env('SWARMCUT_STATE_DIR').default(DEFAULT_DIRECTORIES.state),
    )
    .addOption(
      new Option('--run-dir <dir>', 'sockets, stages in memory')
        .env('SWARMCUT_RUN_DIR')
        .default(DEFAULT_DIRECTORIES.run),
    )
    .addOption(
      new Option('--config-dir <dir>', 'the certificate lies in its agent/')
        .env('SWARMCUT_CONFIG_DIR')
        .default(DEFAULT_DIRECTORIES.config),
    )
    .option('--docker-socket <path>', "the engine's socket", '/var/run/docker.sock')
    .option('--log-file <file>', 'where to log (default: standard error)')
    .option('--verbose', 'log debug lines too')
    .action(async (options: RunOptions) => {
      keepSmall();
      const { runAgent } = await import('./run.ts');
      const [host, port] = splitAddress(options.listen);
      await runAgent({
        host,
        port,
        directories: { state: options.stateDir, run: options.runDir, config: options.configDir },
        dockerSocket: options.dockerSocket,
        verbose: options.verbose === true,
        ...(options.node === undefined ? {} : { node: options.node }),
        ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
      });
    });
}

function joinCommand(): Command {
  return new Command('join')
    .description("get this node's certificate from a coordinator that waits for it (`coordinator join-token --wait`)")
    .argument('<host:port>', 'where the coordinator waits')
    .requiredOption('--token <token>', 'as the coordinator shows it')
    .option('--node <name>', 'name of this node, as Swarm has it (default: its host name)')
    .option('--address <ip...>', 'addresses under which this agent is reached')
    .addOption(
      new Option('--config-dir <dir>', 'the identity is written into its agent/')
        .env('SWARMCUT_CONFIG_DIR')
        .default(DEFAULT_DIRECTORIES.config),
    )
    .option('--force', 'replace the identity that this node has')
    .action(
      async (
        where: string,
        options: { token: string; node?: string; address?: string[]; configDir: string; force?: true },
      ) => {
        const { joinCluster } = await import('./identity/join.ts');
        const [host, port] = splitAddress(where, '<host:port>');
        const folder = await joinCluster({
          token: options.token,
          host,
          port,
          node: options.node ?? hostname(),
          addresses: options.address ?? [],
          configDirectory: options.configDir,
          force: options.force ?? false,
        });
        process.stdout.write(
          visibleLines(
            `wrote ${folder}\nnext: \`agent install\`, or \`systemctl restart swarmcut-agent\` where it is installed\n`,
          ),
        );
      },
    );
}

/**
 * The agent runs beside other people's tasks: memory before speed. Measured with all of its modules loaded: 79 MB resident instead of
 * 92. Must be called before they are.
 */
function keepSmall(): void {
  for (const flag of ['--optimize-for-size', '--max-semi-space-size=1']) setFlagsFromString(flag);
}

function splitAddress(text: string, option = '--listen'): [string, number] {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new SwarmcutError('usage', `${option} ${text}: expected host:port, such as 0.0.0.0:${DEFAULT_AGENT_PORT}`);
  }
  return [match[1] ?? match[2] ?? '', port];
}

/** Says what went wrong in one or two lines and sets the exit code. */
export function reportAgentError(error: unknown): void {
  if (error instanceof SwarmcutError) {
    const advice = error.advice === undefined ? '' : `  -> ${error.advice}\n`;
    process.stderr.write(visibleLines(`agent: ${error.message}${error.place && ` (${error.place})`}\n${advice}`));
    process.exitCode = error.exitCode;
    return;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(visibleLines(`agent: ${text}\n`));
  process.exitCode = 1;
}
