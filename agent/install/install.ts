import { chmod, copyFile, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { packageRoot } from '../../src/rpc/index.ts';
import { exists, writeDurably } from '../../src/platform/files.ts';
import { run } from '../../src/platform/processes.ts';
import { withoutShim, withShim } from './daemon-json.ts';
import { unifiedDiff } from './diff.ts';
import { UNIT_NAME, unitText } from './unit.ts';

export const DEFAULT_DAEMON_JSON = '/etc/docker/daemon.json';

export interface InstallOptions {
  readonly dryRun: boolean;
  /** Write (remove) the systemd unit too. */
  readonly service: boolean;
  readonly daemonJson: string;
  /** Options of `agent run`, for the unit. */
  readonly runOptions: readonly string[];
  /** Where everything else lies; only tests have reason to change it. */
  readonly system?: Partial<System>;
  readonly print: (line: string) => void;
}

/** What an installation touches besides daemon.json. */
export interface System {
  readonly unitFolder: string;
  /** Exists if and only if systemd is in charge of the machine: sd_booted(3). */
  readonly systemdMark: string;
  readonly enginePidFiles: readonly string[];
  readonly packageRoot: string;
}

function systemOf(options: InstallOptions): System {
  return {
    unitFolder: '/etc/systemd/system',
    systemdMark: '/run/systemd/system',
    enginePidFiles: ['/run/docker.pid', '/var/run/docker.pid'],
    packageRoot: packageRoot(),
    ...options.system,
  };
}

/** The shim's path as the engine gets to know it: it stays the same as long as the package stays where it is. */
export function shimPath(root: string = packageRoot()): string {
  return join(root, 'agent/runtime/shim/shim.sh');
}

/**
 * Registers the shim with the engine as its default runtime, and the agent with systemd. Done again, it changes nothing.
 * @throws SwarmcutError `precondition` if daemon.json cannot be read as it is; nothing was changed then
 */
export async function install(options: InstallOptions): Promise<void> {
  const system = systemOf(options);
  const shim = shimPath(system.packageRoot);
  if (!options.dryRun) await makeExecutable(shim);
  const before = await readIfThere(options.daemonJson);
  await apply(options, [
    { path: options.daemonJson, before, after: withShim(before, shim, options.daemonJson), backup: true },
    ...(options.service
      ? [
          await change(
            join(system.unitFolder, UNIT_NAME),
            unitText({
              node: process.execPath,
              main: join(system.packageRoot, 'dist/agent/main.js'),
              runOptions: options.runOptions,
            }),
          ),
        ]
      : []),
  ]);
  if (options.dryRun) return;
  await reloadEngine(system, options.print);
  if (!options.service) return;
  if (await exists(system.systemdMark)) {
    await systemctl(['daemon-reload'], options.print);
    await systemctl(['enable', '--now', UNIT_NAME], options.print);
  } else {
    options.print(
      `systemd does not run here; where it does: systemctl daemon-reload && systemctl enable --now ${UNIT_NAME}`,
    );
  }
}

/** Undoes {@link install}. What was changed in daemon.json since stays. Snapshots and certificates are left alone. */
export async function uninstall(options: InstallOptions): Promise<void> {
  const system = systemOf(options);
  const unit = join(system.unitFolder, UNIT_NAME);
  const hadUnit = options.service && (await exists(unit));
  if (hadUnit && !options.dryRun && (await exists(system.systemdMark))) {
    await systemctl(['disable', '--now', UNIT_NAME], options.print);
  }
  const present = await readIfThere(options.daemonJson);
  const former = await readIfThere(backupPath(options.daemonJson));
  await apply(options, [
    { path: options.daemonJson, before: present, after: restored(present, former, options, system), backup: false },
    ...(hadUnit ? [await change(unit, undefined)] : []),
  ]);
  if (options.dryRun) return;
  await rm(backupPath(options.daemonJson), { force: true });
  await reloadEngine(system, options.print);
  if (hadUnit && (await exists(system.systemdMark))) await systemctl(['daemon-reload'], options.print);
}

/** The backup to the letter if nothing was changed since the installation; else what is there now, without us. */
function restored(
  present: string | undefined,
  former: string | undefined,
  { daemonJson }: InstallOptions,
  system: System,
): string | undefined {
  if (present === undefined) return undefined;
  if (former !== undefined && withShim(former, shimPath(system.packageRoot), daemonJson) === present) return former;
  return withoutShim(present, former, daemonJson);
}

interface Change {
  readonly path: string;
  readonly before: string | undefined;
  /** Undefined: the file is removed. */
  readonly after: string | undefined;
  /** Keep what was there before under another name, unless an earlier installation did. */
  readonly backup: boolean;
}

async function change(path: string, after: string | undefined): Promise<Change> {
  return { path, before: await readIfThere(path), after, backup: false };
}

async function apply(options: InstallOptions, changes: readonly Change[]): Promise<void> {
  for (const { path, before, after, backup } of changes) {
    const diff = unifiedDiff(path, before, after);
    if (options.dryRun) {
      options.print(diff === '' ? `${path}: nothing to change` : diff);
      continue;
    }
    if (diff === '') continue;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      if (backup && before !== undefined && !(await exists(backupPath(path)))) {
        await copyFile(path, backupPath(path), constants.COPYFILE_EXCL);
      }
      if (after === undefined) await rm(path, { force: true });
      else await writeDurably(path, after, before === undefined ? 0o644 : (await stat(path)).mode & 0o777);
    } catch (error) {
      throw new SwarmcutError('failed', `cannot change ${path}: ${messageOf(error)}`, {
        where: { file: path },
        advice: 'Run it as root.',
        cause: error,
      });
    }
    options.print(`${path}: ${after === undefined ? 'removed' : 'written'}`);
  }
}

function backupPath(path: string): string {
  return `${path}.swarmcut-backup`;
}

/** Both keys are among those that the engine reads again on SIGHUP; running containers are not disturbed. */
async function reloadEngine(system: System, print: InstallOptions['print']): Promise<void> {
  for (const file of system.enginePidFiles) {
    const pid = Number((await readIfThere(file))?.trim());
    if (!Number.isInteger(pid) || pid <= 1) continue;
    try {
      // A stale file may name a process that never asked for a SIGHUP.
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();
      if (name !== 'dockerd') continue;
      process.kill(pid, 'SIGHUP');
      print(`engine (pid ${pid}): told to read its configuration again`);
      return;
    } catch (error) {
      if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) continue;
      throw error;
    }
  }
  print('engine: not running; it will read the configuration when it starts');
}

async function systemctl(args: readonly string[], print: InstallOptions['print']): Promise<void> {
  const ended = await run(['systemctl', ...args]);
  if (ended.exitCode !== 0) {
    const why = ended.output || (ended.problem ?? `exit code ${ended.exitCode ?? 'none'}`);
    throw new SwarmcutError('failed', `systemctl ${args.join(' ')} failed: ${why}`, {
      advice: `See \`systemctl status ${UNIT_NAME}\` and \`journalctl -u ${UNIT_NAME}\`.`,
    });
  }
  print(`systemctl ${args.join(' ')}: done`);
}

/** Packing and unpacking may lose the mode, and the engine's error for that would not help anybody. */
async function makeExecutable(shim: string): Promise<void> {
  let mode: number;
  try {
    ({ mode } = await stat(shim));
  } catch (error) {
    throw new SwarmcutError('precondition', `the shim is missing: ${messageOf(error)}`, {
      where: { file: shim },
      advice: 'swarmcut is not installed whole: install it again.',
      cause: error,
    });
  }
  if ((mode & 0o111) !== 0o111) await chmod(shim, 0o755);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SwarmcutError('precondition', `cannot read ${path}: ${messageOf(error)}`, {
      where: { file: path },
      cause: error,
    });
  }
}
