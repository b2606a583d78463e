import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { EXIT_CODES } from '../../src/model/errors.ts';
import { swarmcutVersion } from '../../src/platform/version.ts';
import { addGlobalOptions } from './options.ts';
import { asSwarmcutError, errorJson, errorText } from './report-error.ts';

/** One file per verb, in the order of the help text. */
const VERBS: Readonly<Record<string, () => Promise<Command | undefined>>> = {
  snapshot: async () => (await import('./verbs/snapshot.ts')).snapshotCommand(),
  restore: async () => (await import('./verbs/restore.ts')).restoreCommand(),
  migrate: async () => (await import('./verbs/migrate.ts')).migrateCommand(),
  list: async () => (await import('./verbs/list.ts')).listCommand(),
  inspect: async () => (await import('./verbs/inspect.ts')).inspectCommand(),
  verify: async () => (await import('./verbs/verify.ts')).verifyCommand(),
  rekey: async () => (await import('./security/rekey.ts')).rekeyCommand(),
  rm: async () => (await import('./verbs/rm.ts')).rmCommand(),
  attach: async () => (await import('./verbs/attach.ts')).attachCommand(),
  detach: async () => (await import('./verbs/detach.ts')).detachCommand(),
  check: async () => (await import('./verbs/check.ts')).checkCommand(),
  lint: async () => (await import('./verbs/lint.ts')).lintCommand(),
  simulate: async () => (await import('./verbs/simulate.ts')).simulateCommand(),
  ca: async () => (await import('./verbs/ca.ts')).caCommand(),
  'join-token': async () => (await import('./security/join-token.ts')).joinTokenCommand(),
  testbed: loadTestbed,
  'resume-after': async () => (await import('./guardian/resume-after.ts')).resumeAfterCommand(),
};

/** For the program itself; no help names them. */
const HIDDEN: ReadonlySet<string> = new Set(['resume-after']);

/**
 * The command line.
 * @param argv decides which verbs are loaded: all of them take longer than most of what they do
 */
async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('coordinator')
    .description('Consistent snapshots, restore and live migration of Docker Swarm stacks')
    .version(swarmcutVersion())
    .configureHelp({ showGlobalOptions: true });
  addGlobalOptions(program);
  for (const verb of wanted(argv)) {
    const command = await VERBS[verb]?.();
    if (command) program.addCommand(command, { hidden: HIDDEN.has(verb) });
  }
  program.hook('preAction', (_program, command) => shareGlobals(program, command));
  exitByThrowing(program, argv.includes('--json'));
  return program;
}

/** What is named; everything when the program itself is asked for help, or nothing that it knows is named. */
function wanted(argv: readonly string[]): readonly string[] {
  const all = Object.keys(VERBS);
  const [, , first = ''] = argv;
  if (HIDDEN.has(first)) return [first];
  const named = all.filter((verb) => argv.includes(verb) || (verb === 'list' && argv.includes('ls')));
  return named.length === 0 || ['--help', '-h', 'help'].includes(argv[2] ?? '') ? all : named;
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
  const file = new URL(`./verbs/testbed${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
  if (!existsSync(file)) return undefined;
  const module = (await import(file.href)) as { testbedCommand: () => Command };
  return module.testbedCommand();
}
