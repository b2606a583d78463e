import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { messageOf, SwarmcutError } from '../../../src/model/errors.ts';
import { poll, within } from '../../../src/platform/deadlines.ts';
import { exists } from '../../../src/platform/files.ts';

/**
 * The dead man's switch: a process in a session of its own that sleeps and then undoes what the agent has done to a container, unless
 * it is called off. It must be armed before the container is frozen, and it needs nothing of the agent any more once it is armed.
 * (Under systemd the agent's unit needs `KillMode=process`, or systemd ends the switch together with the agent.)
 *
 * Files in `<runDir>/deadman`: `<container>.<pid>.json` while armed, `<container>.<pid>.fired` from the moment it fires,
 * `<container>.log` with what the undo commands said.
 */
export interface Deadman {
  readonly containerId: string;
  /** Wall clock, milliseconds since 1970. */
  readonly firesAtMs: number;
  /** True from the moment at which it has begun to undo things: then whatever was frozen may be running. */
  fired(): Promise<boolean>;
  /** Calls it off. If it has fired already, waits for its commands to end and says so: the cut is worthless then. */
  cancel(): Promise<{ readonly fired: boolean }>;
  /**
   * Puts the deadline off (or forward): a new switch is armed before the old one is called off.
   * @param afterMs from now
   */
  rearm(afterMs: number): Promise<Deadman>;
}

export interface DeadmanOptions {
  readonly containerId: string;
  readonly afterMs: number;
  /** Command lines, run in this order; one that fails or takes longer than a minute does not keep the next from running. */
  readonly undo: readonly (readonly string[])[];
  readonly runDir: string;
  /** Nobody will ask whether it fired: it leaves nothing behind. */
  readonly unattended?: boolean;
}

const recordSchema = z.object({
  containerId: z.string(),
  firesAtMs: z.number(),
  undo: z.array(z.array(z.string())),
});
type DeadmanRecord = z.infer<typeof recordSchema>;

/** Name by which a switch is known in the process list. */
const PROCESS_NAME = 'swarmcut-deadman';

/** Longest time for the shell to say that it is waiting; it takes 2-4 ms where a processor is free. Nothing stands still yet. */
const ARM_TIMEOUT_MS = 30_000;

/** Longest time that `cancel` waits for commands under way: more than they may take. */
const FIRED_TIMEOUT_MS = 300_000;

/** $1 path prefix, $2 seconds, $3 record, $4 undo commands, $5 not empty: leave nothing behind. `$$` makes the files of two switches of one container differ. */
const SCRIPT = `
f=$1.$$
printf %s "$3" >"$f.json" || exit 1
echo armed
exec >/dev/null 2>&1
sleep "$2"
: >"$f.fired"
exec >>"$1.log" 2>&1
echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) fired after $2 s: the agent did not call it off"
eval "$4"
rm -f "$f.json"
[ -z "$5" ] || rm -f "$f.fired" "$1.log"
`;

/** @returns when it is waiting; from then on it fires whatever happens to this process */
export async function armDeadman(options: DeadmanOptions): Promise<Deadman> {
  const directory = join(options.runDir, 'deadman');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const record: DeadmanRecord = {
    containerId: options.containerId,
    firesAtMs: Date.now() + options.afterMs,
    undo: options.undo.map((command) => [...command]),
  };
  const prefix = join(directory, options.containerId);
  const undo = options.undo.map((command) => `timeout 60 ${command.map(quote).join(' ')}`).join('\n');
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      SCRIPT,
      PROCESS_NAME,
      prefix,
      (options.afterMs / 1000).toFixed(3),
      JSON.stringify(record),
      undo,
      options.unattended === true ? '1' : '',
    ],
    { detached: true, stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' },
  );
  try {
    const started = new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`it ended at once with code ${String(code)}`)));
      child.stdout.once('data', () => resolve());
    });
    const late = (): Error => new Error(`its shell did not start within ${ARM_TIMEOUT_MS / 1000} s`);
    await within(started, ARM_TIMEOUT_MS, late);
  } catch (error) {
    child.kill('SIGKILL');
    throw new SwarmcutError('failed', `the dead man's switch in ${directory} cannot be armed: ${messageOf(error)}`, {
      advice: 'nothing was frozen; is the directory writable?',
      cause: error,
    });
  }
  child.removeAllListeners('exit');
  child.stdout.destroy();
  child.unref();
  if (child.pid === undefined) throw new SwarmcutError('internal', 'a running process has no pid');
  return deadman(options.runDir, child.pid, record);
}

/** The switches that are armed, or have fired and not been looked at: what an agent finds after a restart. */
export async function findDeadmen(runDir: string): Promise<Deadman[]> {
  const directory = join(runDir, 'deadman');
  const names: string[] = await readdir(directory).catch(() => []);
  const found: Deadman[] = [];
  // Fired and ended while there was no agent: nobody will ask, and another switch may one day get the same pid.
  for (const name of names.filter((file) => file.endsWith('.fired'))) {
    if (!names.includes(name.replace(/fired$/, 'json'))) await rm(join(directory, name), { force: true });
  }
  for (const name of names.filter((file) => file.endsWith('.json'))) {
    const pid = Number(basename(name, '.json').split('.').at(-1));
    try {
      const record = recordSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8')));
      found.push(deadman(runDir, pid, record));
    } catch {
      await rm(join(directory, name), { force: true });
    }
  }
  return found;
}

/** What switches that have fired had to say of containers that are no more: nobody will read it, and it would only grow. */
export async function forgetWords(runDir: string, present: ReadonlySet<string>): Promise<void> {
  const directory = join(runDir, 'deadman');
  const names: string[] = await readdir(directory).catch(() => []);
  for (const name of names.filter((file) => file.endsWith('.log')))
    if (!present.has(basename(name, '.log'))) await rm(join(directory, name), { force: true });
}

function deadman(runDir: string, pid: number, record: DeadmanRecord): Deadman {
  const file = join(runDir, 'deadman', `${record.containerId}.${pid}`);
  const fired = async (): Promise<boolean> => exists(`${file}.fired`);

  const cancel = async (): Promise<{ readonly fired: boolean }> => {
    if (!(await fired()) && (await isDeadman(pid, record.containerId))) killGroup(pid);
    const ended = async (): Promise<true | undefined> =>
      (await isDeadman(pid, record.containerId)) ? undefined : true;
    await poll(ended, { timeoutMs: FIRED_TIMEOUT_MS, intervalMs: 2 });
    const result = { fired: await fired() };
    await rm(`${file}.json`, { force: true });
    await rm(`${file}.fired`, { force: true });
    return result;
  };

  const rearm = async (afterMs: number): Promise<Deadman> => {
    const next = await armDeadman({ containerId: record.containerId, afterMs, undo: record.undo, runDir });
    if ((await cancel()).fired) {
      await next.cancel();
      throw new SwarmcutError(
        'interrupted',
        `the deadline of container ${record.containerId.slice(0, 12)} passed before it was put off; it runs again`,
      );
    }
    return next;
  };

  return { containerId: record.containerId, firesAtMs: record.firesAtMs, fired, cancel, rearm };
}

/** Whether a switch of this container waits there. Guards against a pid that somebody else has by now. */
export async function isDeadman(pid: number, containerId: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.includes(`\0${PROCESS_NAME}\0`) && commandLine.includes(containerId);
}

/** The shell and its `sleep`. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
