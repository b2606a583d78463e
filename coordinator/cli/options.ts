import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { durationAdvice, parseDurationMs } from '../../src/config/duration.ts';
import { DEFAULT_AGENT_PORT, DEFAULT_DIRECTORIES } from '../../src/model/paths.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { EncryptionFiles } from '../../src/storage/encryption/key-files.ts';
import { PROGRESS, type ProgressKind } from './listeners/kinds.ts';

/** What every verb knows from the options before or behind it. */
export interface GlobalOptions {
  readonly directories: Directories;
  /** Results and errors as JSON on stdout and stderr, no progress. */
  readonly json: boolean;
  /** How operations show what they are at. */
  readonly progress: ProgressKind;
  readonly verbose: boolean;
  readonly logFile: string;
  readonly dockerSocket: string;
  readonly agentPort: number;
}

interface RawGlobalOptions {
  stateDir: string;
  runDir: string;
  configDir: string;
  json?: true;
  progress: ProgressKind;
  verbose?: true;
  logFile?: string;
  dockerSocket: string;
  agentPort: number;
}

/** Adds the options that all verbs share; commander takes them before and behind the verb. */
export function addGlobalOptions(program: Command): Command {
  return program
    .addOption(
      new Option('--state-dir <dir>', 'snapshots and journals')
        .env('SWARMCUT_STATE_DIR')
        .default(DEFAULT_DIRECTORIES.state),
    )
    .addOption(
      new Option('--run-dir <dir>', 'sockets and locks').env('SWARMCUT_RUN_DIR').default(DEFAULT_DIRECTORIES.run),
    )
    .addOption(
      new Option('--config-dir <dir>', 'certificates and keys')
        .env('SWARMCUT_CONFIG_DIR')
        .default(DEFAULT_DIRECTORIES.config),
    )
    .addOption(
      new Option('--docker-socket <path>', "the engine's socket on this Swarm manager")
        .env('SWARMCUT_DOCKER_SOCKET')
        .default('/var/run/docker.sock'),
    )
    .addOption(
      new Option('--agent-port <port>', 'TCP port of the agents')
        .env('SWARMCUT_AGENT_PORT')
        .argParser(parsePort)
        .default(DEFAULT_AGENT_PORT),
    )
    .option('--json', 'print results and errors as JSON, no progress')
    .addOption(
      new Option('--progress <how>', 'on stderr; auto: live on a terminal, otherwise plain lines, none with --json')
        .choices(PROGRESS)
        .default('auto'),
    )
    .option('--verbose', 'write debug lines to the log, and show stack traces of internal errors')
    .option('--log-file <file>', 'where to log (default: <state-dir>/log/coordinator.log)');
}

/** Adds the options that say what snapshots are encrypted with, and opened. */
export function addEncryptionOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--encrypt-key-file <file>',
        '32 random bytes that encrypt snapshots (default: <config-dir>/coordinator/encrypt.key, if it is there)',
      ).env('SWARMCUT_ENCRYPT_KEY_FILE'),
    )
    .addOption(
      new Option(
        '--encrypt-passphrase-file <file>',
        'a passphrase instead (default: <config-dir>/coordinator/encrypt.passphrase, if it is there)',
      ).env('SWARMCUT_ENCRYPT_PASSPHRASE_FILE'),
    );
}

/** What the options of {@link addEncryptionOptions} say; nothing for verbs that have none of them. */
export function encryptionOptionsOf(command: Command): EncryptionFiles {
  const { encryptKeyFile, encryptPassphraseFile } = command.opts<{
    encryptKeyFile?: string;
    encryptPassphraseFile?: string;
  }>();
  return {
    ...(encryptKeyFile === undefined ? {} : { keyFile: encryptKeyFile }),
    ...(encryptPassphraseFile === undefined ? {} : { passphraseFile: encryptPassphraseFile }),
  };
}

export function globalOptionsOf(command: Command): GlobalOptions {
  const raw = command.optsWithGlobals<RawGlobalOptions>();
  return {
    directories: { state: raw.stateDir, run: raw.runDir, config: raw.configDir },
    json: raw.json ?? false,
    progress: raw.progress,
    verbose: raw.verbose ?? false,
    logFile: raw.logFile ?? `${raw.stateDir}/log/coordinator.log`,
    dockerSocket: raw.dockerSocket,
    agentPort: raw.agentPort,
  };
}

/** @throws InvalidArgumentError, which commander prints with the option's name. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1 up.');
  return value;
}

/** Milliseconds. @throws InvalidArgumentError, which commander prints with the option's name. */
export function parseDuration(text: string): number {
  const milliseconds = parseDurationMs(text);
  if (milliseconds !== undefined) return milliseconds;
  const advice = durationAdvice(text);
  throw new InvalidArgumentError(advice.charAt(0).toUpperCase() + advice.slice(1) + (advice.endsWith('?') ? '' : '.'));
}

/** For options that may be repeated; `a,b` is the same as giving it twice. */
export function collect(text: string, before: readonly string[]): string[] {
  return [...before, ...text.split(',').filter((item) => item !== '')];
}

function parsePort(text: string): number {
  const value = parseCount(text);
  if (value > 65_535) throw new InvalidArgumentError('It must be a TCP port (1 to 65535).');
  return value;
}
