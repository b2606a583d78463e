import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, SwarmcutError } from '../../../src/model/errors.ts';
import { exists } from '../../../src/platform/files.ts';
import { run, type Ended } from '../../../src/platform/processes.ts';
import { CRIU_CONFIG_VARIABLE, writeCriuConfig, type CriuOptions } from './config.ts';
import { findFreezer, type Freezer } from '../../linux/freezer.ts';
import { keepLog } from './kept-logs.ts';
import { readCriuFailure } from './log.ts';
import { patchImages } from './patch-images.ts';

export interface RuncOptions {
  /** Default `runc`, found in PATH. */
  readonly binary?: string;
  /** runc's state directory, which holds a directory per container; the engine's is found by {@link findRuncRoot}. */
  readonly root: string;
  /** Longest time for anything but a checkpoint. Milliseconds. Default 10 000. */
  readonly timeoutMs?: number;
  /** Where the log of a failed dump is kept ({@link keptLogsFolder}). Without it, it stays in the work directory. */
  readonly keptLogs?: string;
}

export interface CheckpointOptions {
  /** Where CRIU's images go. Made if absent; must be empty. */
  readonly imagePath: string;
  /** Where CRIU's log and statistics go. Made if absent. */
  readonly workPath: string;
  /** Options that runc has no flags for; they are written to `criu.conf` in the work directory. */
  readonly criu?: CriuOptions;
  /** CRIU must never be killed in a dump (see {@link Runc.checkpoint}), so an abort takes until CRIU has noticed. */
  readonly signal?: AbortSignal;
}

export interface RuncRestoreOptions {
  readonly containerId: string;
  readonly bundle: string;
  readonly pidFile: string;
  readonly imagePath: string;
  readonly workPath: string;
  readonly consoleSocket?: string;
}

const stateSchema = z.object({
  id: z.string(),
  /** 0 when stopped. */
  pid: z.number(),
  status: z.enum(['creating', 'created', 'running', 'paused', 'stopped']),
  bundle: z.string(),
  rootfs: z.string().optional(),
});
export type RuncState = z.infer<typeof stateSchema>;

/**
 * Flags that a dump and its restore must share. `--empty-ns network`: the network namespace's links and addresses are the engine's
 * business on the node where the task wakes up; CRIU must neither save nor make them.
 */
const SHARED_FLAGS = ['--tcp-established', '--file-locks', '--ext-unix-sk', '--empty-ns', 'network'];

/** The OCI runtime `runc`, as the engine uses it. Cgroup versions and drivers are its business. */
export class Runc {
  readonly #binary: string;
  readonly #root: string;
  readonly #timeoutMs: number;
  readonly #keptLogs: string | undefined;

  constructor(options: RuncOptions) {
    this.#binary = options.binary ?? 'runc';
    this.#root = options.root;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#keptLogs = options.keptLogs;
  }

  /** @throws SwarmcutError `not-found` if runc knows no such container */
  async state(containerId: string): Promise<RuncState> {
    const result = await this.#run(['state', containerId]);
    if (result.exitCode !== 0) {
      const reason = runcReason(result);
      const missing = reason.includes('does not exist');
      throw new SwarmcutError(
        missing ? 'not-found' : 'failed',
        `runc state ${short(containerId)} in ${this.#root}: ${reason}`,
      );
    }
    return stateSchema.parse(JSON.parse(result.stdout));
  }

  /** Freezes every process of the container; when this returns, none runs. A frozen container is no error. */
  async pause(containerId: string): Promise<void> {
    if (await this.#quickly(containerId, (freezer) => freezer.freeze())) return;
    await this.#change('pause', [containerId], containerId, ['paused']);
  }

  /** Thaws it. A container that is not frozen is no error. */
  async resume(containerId: string): Promise<void> {
    const thaw = (freezer: Freezer): boolean => {
      freezer.thaw();
      return true;
    };
    if (await this.#quickly(containerId, thaw)) return;
    await this.#change('resume', [containerId], containerId, ['running', 'stopped']);
  }

  /** Sends a signal to the container's first process. `KILL` also ends a frozen one. A container that has ended is no error. */
  async kill(containerId: string, signal: string): Promise<void> {
    await this.#change('kill', [containerId, signal], containerId, ['stopped']);
  }

  /**
   * Sets the limits of a container's cgroup.
   * @param resources as `linux.resources` of the OCI runtime specification; what is left out is not limited
   * @throws SwarmcutError `failed`, among others if it takes more memory than it is to have
   */
  async update(containerId: string, resources: object): Promise<void> {
    const result = await this.#run(['update', '--resources', '-', containerId], { input: JSON.stringify(resources) });
    if (result.exitCode === 0) return;
    throw new SwarmcutError('failed', `runc update ${short(containerId)}: ${runcReason(result)}`);
  }

  /**
   * Dumps a container, which may be frozen and then stays so.
   *
   * On abort the image directory is removed, so that CRIU fails at the next image that it opens and puts the processes right by itself.
   * Killing it would leave its code inside them.
   *
   * @returns how long it took, microseconds
   * @throws SwarmcutError `failed` with CRIU's own error line and the path of its log; `interrupted` after an abort
   */
  async checkpoint(containerId: string, options: CheckpointOptions): Promise<{ readonly wallUs: number }> {
    const { signal } = options;
    signal?.throwIfAborted();
    await mkdir(options.imagePath, { recursive: true, mode: 0o700 });
    await mkdir(options.workPath, { recursive: true, mode: 0o700 });
    const criuConfigFile = join(options.workPath, 'criu.conf');
    await writeCriuConfig(criuConfigFile, options.criu);
    const paths = ['--image-path', options.imagePath, '--work-path', options.workPath];
    // What is frozen stays so.
    const args = ['checkpoint', ...paths, ...SHARED_FLAGS, '--leave-running', containerId];

    const abandon = (): void => {
      // CRIU may be adding files meanwhile; what is left is removed when it has ended.
      rm(options.imagePath, { recursive: true, force: true, maxRetries: 20, retryDelay: 5 }).catch(() => undefined);
    };
    signal?.addEventListener('abort', abandon, { once: true });
    const startedAt = process.hrtime.bigint();
    try {
      const result = await this.#run(args, {
        environment: { [CRIU_CONFIG_VARIABLE]: criuConfigFile },
        timeoutMs: 0,
      });
      if (signal?.aborted === true) {
        throw new SwarmcutError('interrupted', `the dump of container ${short(containerId)} was given up`, {
          cause: signal.reason,
        });
      }
      if (result.exitCode !== 0) {
        throw await criuError('dump', containerId, options.workPath, runcReason(result), this.#keptLogs);
      }
      await patchImages(options.imagePath);
      return { wallUs: Number((process.hrtime.bigint() - startedAt) / 1000n) };
    } finally {
      signal?.removeEventListener('abort', abandon);
      if (signal?.aborted === true) await rm(options.imagePath, { recursive: true, force: true });
    }
  }

  /** A runc command line for somebody else to run (the dead man's switch): `command('resume', id)`. */
  command(...args: readonly string[]): string[] {
    return [this.#binary, '--root', this.#root, ...args];
  }

  /** @returns false if runc itself must do it, or say why it cannot be done */
  async #quickly(containerId: string, work: (freezer: Freezer) => boolean | Promise<boolean>): Promise<boolean> {
    try {
      const freezer = findFreezer(join(this.#root, containerId, 'state.json'));
      return freezer !== undefined && (await work(freezer));
    } catch {
      return false;
    }
  }

  async #change(
    verb: string,
    args: readonly string[],
    containerId: string,
    alreadyThere: readonly RuncState['status'][],
  ): Promise<void> {
    const result = await this.#run([verb, ...args]);
    if (result.exitCode === 0) return;
    const reason = runcReason(result);
    const state = await this.state(containerId).catch(() => undefined);
    if (state !== undefined && alreadyThere.includes(state.status)) return;
    throw new SwarmcutError(
      state === undefined && reason.includes('does not exist') ? 'not-found' : 'failed',
      `runc ${verb} ${short(containerId)}: ${reason}`,
    );
  }

  async #run(
    args: readonly string[],
    options: {
      readonly environment?: Readonly<Record<string, string>>;
      readonly timeoutMs?: number;
      readonly input?: string;
    } = {},
  ): Promise<Ended> {
    const { environment = {}, timeoutMs = this.#timeoutMs, input = '' } = options;
    const ended = await run([this.#binary, '--root', this.#root, ...args], { env: environment, timeoutMs, input });
    if (ended.problem !== undefined) {
      throw new SwarmcutError('failed', `${this.#binary} ${args[0] ?? ''}: ${ended.problem}`, {
        advice: ended.missing ? `install runc, or say where it is` : 'see the log of the agent',
      });
    }
    return ended;
  }
}

/** `runc`'s arguments after its global options for a restore in place of `create`. */
export function restoreArguments(options: RuncRestoreOptions): string[] {
  return [
    'restore',
    '--detach',
    '--bundle',
    options.bundle,
    '--pid-file',
    options.pidFile,
    '--image-path',
    options.imagePath,
    '--work-path',
    options.workPath,
    ...SHARED_FLAGS,
    // The new container's cgroup is the engine's; the old one's path and limits are not wanted back.
    '--manage-cgroups-mode',
    'ignore',
    ...(options.consoleSocket === undefined ? [] : ['--console-socket', options.consoleSocket]),
    options.containerId,
  ];
}

/** The environment that `runc restore` needs on top of the caller's. */
export function restoreEnvironment(criuConfigFile: string): Readonly<Record<string, string>> {
  return { [CRIU_CONFIG_VARIABLE]: criuConfigFile };
}

/**
 * The error of a failed dump or restore, with CRIU's own words and the name of a log that is there to be read.
 * @param fallback what runc said, for the case that CRIU wrote no log
 * @param keptLogs where the log is kept when the work directory has gone; without it, the one in the work directory is named
 */
export async function criuError(
  step: 'dump' | 'restore',
  containerId: string,
  workPath: string,
  fallback: string,
  keptLogs?: string,
): Promise<SwarmcutError> {
  const failure = await readCriuFailure(workPath, step === 'dump' ? 'dump.log' : 'restore.log');
  const line = failure.line === '' ? fallback : failure.line;
  const reason = failure.process === undefined ? line : `${failure.process}: ${line}`;
  const time = new Date().toISOString().replaceAll(':', '-');
  const log =
    keptLogs === undefined
      ? failure.path
      : await keepLog(failure.path, keptLogs, `${time}-${step}-${short(containerId)}.log`);
  const hint = log === undefined ? 'CRIU left no log: see that of the agent' : `the full log is ${log}`;
  return new SwarmcutError('failed', `CRIU could not ${step} container ${short(containerId)}: ${reason}`, {
    ...(log === undefined ? {} : { where: { file: log } }),
    advice: failure.advice ?? hint,
  });
}

/**
 * The state directory of the runc that runs a container: `/run/docker/runtime-runc/moby` for most engines, but the name of the runtime
 * and of containerd's namespace are in the path.
 * @throws SwarmcutError `not-found` if no runc knows the container
 */
export async function findRuncRoot(
  containerId: string,
  bases: readonly string[] = ['/run/docker', '/run/containerd'],
): Promise<string> {
  for (const base of bases) {
    for (const runtime of await directories(base)) {
      for (const namespace of await directories(join(base, runtime))) {
        const root = join(base, runtime, namespace);
        if (await exists(join(root, containerId, 'state.json'))) return root;
      }
    }
  }
  throw new SwarmcutError('not-found', `no runc on this node knows container ${short(containerId)}`, {
    advice: `its state should be under ${bases.join(' or ')}`,
  });
}

async function directories(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** runc writes its error as logfmt on stderr: `time="…" level=error msg="…"`, newlines and quotes escaped. */
function runcReason(result: Ended): string {
  const text = result.stderr.trim();
  const messages = [...text.matchAll(/msg=("(?:[^"\\]|\\.)*"|\S+)/g)].map((match) => {
    const word = match[1] ?? '';
    try {
      return word.startsWith('"') ? String(JSON.parse(word)) : word;
    } catch (error) {
      return `${word} (${messageOf(error)})`;
    }
  });
  return messages.at(-1) ?? (text === '' ? `exit code ${result.exitCode}` : text);
}

function short(containerId: string): string {
  return containerId.slice(0, 12);
}
