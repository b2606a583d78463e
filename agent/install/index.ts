import { Command } from 'commander';
import { visibleLines } from '../../src/model/visible.ts';
import { DEFAULT_DAEMON_JSON, install, uninstall } from './install.ts';

export { namesShim, RUNTIME_NAME } from './daemon-json.ts';
export { DEFAULT_DAEMON_JSON, shimPath } from './install.ts';

interface Flags {
  dryRun?: true;
  service: boolean;
  daemonJson: string;
}

const print = (line: string): void => void process.stdout.write(`${visibleLines(line)}\n`);

function common(command: Command): Command {
  return command
    .option('--dry-run', 'only show what would change')
    .option('--no-service', 'leave systemd alone')
    .option('--daemon-json <path>', "the engine's configuration", DEFAULT_DAEMON_JSON);
}

/** `agent install [--dry-run] [--no-service] [--daemon-json PATH] [-- <options of agent run>]` */
export function installCommand(): Command {
  return common(new Command('install'))
    .description("register the shim as the engine's default runtime, and the agent as a systemd service")
    .argument('[run-options...]', 'options of `agent run`, behind --, for the service')
    .action(async (runOptions: string[], flags: Flags) => {
      await install({ ...flags, dryRun: flags.dryRun === true, runOptions, print });
    });
}

/** `agent uninstall [--dry-run] [--no-service] [--daemon-json PATH]` */
export function uninstallCommand(): Command {
  return common(new Command('uninstall'))
    .description('undo `agent install`; snapshots and certificates stay')
    .action(async (flags: Flags) => {
      await uninstall({ ...flags, dryRun: flags.dryRun === true, runOptions: [], print });
    });
}
