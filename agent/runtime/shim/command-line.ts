/** runc's `create`, taken apart. */
export interface CreateCommand {
  /** runc's options before the command. */
  readonly globals: readonly string[];
  /** Options of `create`. */
  readonly options: readonly string[];
  readonly containerId: string;
  readonly bundle: string;
  readonly pidFile: string | undefined;
  readonly consoleSocket: string | undefined;
  /** File of `--log`: where the engine reads why a command failed. */
  readonly log: string | undefined;
}

const GLOBALS_WITH_VALUE: ReadonlySet<string> = new Set(['--root', '--log', '--log-format', '--criu', '--rootless']);
const CREATE_WITH_VALUE: ReadonlySet<string> = new Set([
  '--bundle',
  '-b',
  '--console-socket',
  '--pid-file',
  '--pidfd-socket',
  '--preserve-fds',
]);

/**
 * Parses `[globals] create [options] <id>`, with options as `--name value` or `--name=value`, as runc 1.0 to 1.3 take them.
 * @param cwd what a missing `--bundle` means
 * @throws Error for any other command: the shim's front lets nothing else through
 */
export function parseCreate(argv: readonly string[], cwd: string): CreateCommand {
  const before = takeOptions(argv, GLOBALS_WITH_VALUE);
  const [command, ...rest] = argv.slice(before.raw.length);
  if (command !== 'create') throw new Error(`the shim serves only \`create\`, not \`${command ?? ''}\``);
  const own = takeOptions(rest, CREATE_WITH_VALUE);
  const containerId = rest[own.raw.length];
  if (containerId === undefined) throw new Error(`no container id in: ${argv.join(' ')}`);
  return {
    globals: before.raw,
    options: own.raw,
    containerId,
    bundle: own.values.get('--bundle') ?? own.values.get('-b') ?? cwd,
    pidFile: own.values.get('--pid-file'),
    consoleSocket: own.values.get('--console-socket'),
    log: before.values.get('--log'),
  };
}

/** runc's `start`, as far as the shim needs it. */
export interface StartCommand {
  readonly containerId: string;
  readonly log: string | undefined;
}

/** Parses `[globals] start <id>`. Undefined for any other command. */
export function parseStart(argv: readonly string[]): StartCommand | undefined {
  const before = takeOptions(argv, GLOBALS_WITH_VALUE);
  const [command, ...rest] = argv.slice(before.raw.length);
  const containerId = rest.find((argument) => !argument.startsWith('-'));
  if (command !== 'start' || containerId === undefined) return undefined;
  return { containerId, log: before.values.get('--log') };
}

function takeOptions(
  argv: readonly string[],
  withValue: ReadonlySet<string>,
): { raw: string[]; values: Map<string, string> } {
  const raw: string[] = [];
  const values = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i];
    if (argument?.startsWith('-') !== true) break;
    raw.push(argument);
    const equals = argument.indexOf('=');
    if (equals > 0) values.set(argument.slice(0, equals), argument.slice(equals + 1));
    else if (withValue.has(argument)) {
      const value = argv[++i];
      if (value === undefined) break;
      raw.push(value);
      values.set(argument, value);
    }
  }
  return { raw, values };
}
