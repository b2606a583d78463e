import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { EXIT_CODES } from '../../src/model/errors.ts';
import { swarmcutVersion } from '../../src/runtime/version.ts';
import { caCommand } from './ca.ts';
import { attachCommand } from './attach.ts';
import { detachCommand } from './detach.ts';
import { snapshotCommand } from './snapshot.ts';
import { restoreCommand } from './restore.ts';
import { migrateCommand } from './migrate.ts';
import { listCommand } from './list.ts';
import { inspectCommand } from './inspect.ts';
import { verifyCommand } from './verify.ts';
import { rmCommand } from './rm.ts';
import { checkCommand } from './check.ts';
import { lintCommand } from './lint.ts';
import { simulateCommand } from './simulate.ts';
import { addGlobalOptions } from './options.ts';
import { asSwarmcutError, errorJson, errorText } from './report-error.ts';

/**
 * The whole command line: one file per verb.
 * @param argv decides whether the test bed is loaded, which takes longer than everything else together
 */
export async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('coordinator')
    .description('Consistent snapshots, restore and live migration of Docker Swarm stacks')
    .version(swarmcutVersion())
    .configureHelp({ showGlobalOptions: true });
  addGlobalOptions(program);
  for (const command of [
    snapshotCommand(),
    restoreCommand(),
    migrateCommand(),
    listCommand(),
    inspectCommand(),
    verifyCommand(),
    rmCommand(),
    attachCommand(),
    detachCommand(),
    checkCommand(),
    lintCommand(),
    simulateCommand(),
    caCommand(),
  ]) {
    program.addCommand(command);
  }
  const isOther = argv.some((word) => program.commands.some((command) => command.name() === word));
  const testbed = isOther && !argv.includes('testbed') ? undefined : await loadTestbed();
  if (testbed !== undefined) program.addCommand(testbed);
  program.hook('preAction', (_program, command) => shareGlobals(program, command));
  exitByThrowing(program, argv.includes('--json'));
  return program;
}

/** Runs one command line and answers its exit code (docs/cli.md). Prints errors itself; never throws. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    const program = await buildProgram(argv);
    await program.parseAsync([...argv]);
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    // The options may be what is wrong, so they are looked for by hand.
    const json = argv.includes('--json');
    // Commander has printed its own errors already (unless as JSON); help and version are no errors.
    if (error instanceof CommanderError && (!json || error.exitCode === 0)) {
      return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
    }
    const known = asSwarmcutError(error);
    const text = json ? errorJson(known) : errorText(known, argv.includes('--verbose'));
    process.stderr.write(`${text}\n`);
    return known.exitCode;
  }
}

/** Commander would end the process at the first error; as exceptions they all take the same way out. */
function exitByThrowing(command: Command, quiet: boolean): void {
  command.exitOverride();
  if (quiet) command.configureOutput({ writeErr: () => undefined });
  command.showHelpAfterError('(--help shows the options)');
  for (const child of command.commands) {
    child.configureHelp({ showGlobalOptions: true });
    exitByThrowing(child, quiet);
  }
}

/** The program takes its options wherever they stand: a verb with an option of the same name is told. */
function shareGlobals(program: Command, command: Command): void {
  for (const { name } of command.options.map((option) => ({ name: option.attributeName() }))) {
    if (program.getOptionValueSource(name) === 'cli')
      command.setOptionValueWithSource(name, program.getOptionValue(name), 'cli');
  }
}

/** The test bed is absent from slim installations. */
async function loadTestbed(): Promise<Command | undefined> {
  const file = new URL(`./testbed${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
  if (!existsSync(file)) return undefined;
  const module = (await import(file.href)) as { testbedCommand: () => Command };
  return module.testbedCommand();
}
