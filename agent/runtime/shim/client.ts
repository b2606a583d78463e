import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Directories } from '../../../src/model/paths.ts';
import { AgentGone, callAgent } from './call.ts';
import { parseCreate, parseStart } from './command-line.ts';
import type { CreateCommand } from './command-line.ts';
import { SOCKET_NAME } from './protocol.ts';
import type { CreateAnswer, CreateRequest, RestoredAnswer, RestoredRequest } from './protocol.ts';
import { readLabels, runStart } from './start.ts';

/**
 * The shim's slow path (`agent shim <runc's arguments>`): started by shim.sh in place of `runc start` when the container is to have a
 * sidecar (start.ts), and in place of `runc create` when its service is expected. It lives between containerd-shim and runc, so that what runc restores becomes containerd-shim's child.
 *
 * Imports stay few: the engine waits. `process.stdout` and `process.stderr` are never touched: they are the container's own, and Node
 * would make them non-blocking under the application's feet.
 */

/** How long an agent may be away (restart) while a container waits. Milliseconds. */
const PATIENCE_MS = 10_000;

/** How often to look whether containerd-shim, our parent, still lives. Milliseconds. */
const PARENT_CHECK_MS = 500;

export interface ShimClientOptions {
  /** What shim.sh found out: SWARMCUT_RUN, _RUNC, _SERVICE, _DATA_ROOT. Default: the process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default 10 s. */
  readonly patienceMs?: number;
}

/**
 * Runs one `create` or `start` and returns the exit code for the engine. Never throws: every failure goes into runc's log file, where the engine
 * finds it, so that `docker service ps` shows it.
 * @param argv runc's arguments
 */
export async function runShimClient(
  argv: readonly string[],
  directories: Pick<Directories, 'run'>,
  options: ShimClientOptions = {},
): Promise<number> {
  const env = options.env ?? process.env;
  let command: CreateCommand | undefined;
  try {
    const start = parseStart(argv);
    if (start !== undefined) return await runStart(argv, start, directories, { ...options, env });
    command = parseCreate(argv, process.cwd());
    const client = new ShimClient(command, {
      run: env.SWARMCUT_RUN ?? directories.run,
      runc: env.SWARMCUT_RUNC ?? 'runc',
      service: env.SWARMCUT_SERVICE ?? '',
      dataRoot: env.SWARMCUT_DATA_ROOT ?? '/var/lib/docker',
      patienceMs: options.patienceMs ?? PATIENCE_MS,
    });
    return await client.create();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reportFailure(message.startsWith('swarmcut: ') ? message : `swarmcut: ${message}`, command?.log);
    return 1;
  }
}

interface Settings {
  readonly run: string;
  readonly runc: string;
  readonly service: string;
  readonly dataRoot: string;
  readonly patienceMs: number;
}

class ShimClient {
  readonly #command: CreateCommand;
  readonly #settings: Settings;
  readonly #stop = new AbortController();

  constructor(command: CreateCommand, settings: Settings) {
    this.#command = command;
    this.#settings = settings;
  }

  async create(): Promise<number> {
    const release = this.#watchForEnd();
    try {
      const answer = await this.#ask<CreateAnswer>('/create', this.#request());
      switch (answer.action) {
        case 'pass':
          return await this.#runc(['create', ...this.#command.options, this.#command.containerId]);
        case 'fail':
          throw new Error(answer.message);
        case 'restore':
          return await this.#restore(answer);
      }
    } finally {
      release();
    }
  }

  async #restore(answer: Extract<CreateAnswer, { action: 'restore' }>): Promise<number> {
    const { containerId, log } = this.#command;
    try {
      const code = await this.#runc(answer.args, answer.env);
      const report: RestoredRequest = { containerId, code, log: errorLines(log) };
      const verdict = await this.#ask<RestoredAnswer>('/restored', report);
      if (verdict.action === 'fail') throw new Error(verdict.message);
      if (code !== 0) throw new Error(`runc restore ended with code ${code}: ${report.log}`);
      const marks = join(this.#settings.run, 'restored');
      mkdirSync(marks, { recursive: true, mode: 0o700 });
      writeFileSync(join(marks, containerId), '', { mode: 0o600 });
      return 0;
    } catch (error) {
      // Whatever runc left, nothing of it may run on: the engine takes this container for one that was never created.
      await this.#runc(['delete', '--force', containerId], {}, 'ignore').catch(() => undefined);
      throw error;
    }
  }

  #request(): CreateRequest {
    const { containerId, bundle, pidFile, consoleSocket, options, globals } = this.#command;
    const labels = readLabels(this.#settings.dataRoot, containerId);
    return {
      containerId,
      service: this.#settings.service || (labels['com.docker.swarm.service.name'] ?? ''),
      bundle,
      options,
      globals,
      labels,
      ...(pidFile === undefined ? {} : { pidFile }),
      ...(consoleSocket === undefined ? {} : { consoleSocket }),
    };
  }

  async #ask<Answer>(path: string, body: unknown): Promise<Answer> {
    const { run, patienceMs, service } = this.#settings;
    try {
      return await callAgent<Answer>(join(run, SOCKET_NAME), path, body, { patienceMs, signal: this.#stop.signal });
    } catch (error) {
      if (!(error instanceof AgentGone)) throw error;
      throw new Error(
        `the agent does not answer, and this task of service ${service} is to be restored: it is not started empty. ` +
          `See \`systemctl status swarmcut-agent\` on this node (${error.message})`,
        { cause: error },
      );
    }
  }

  /** Runs runc as our child and returns its exit code (128 + signal if one ended it). */
  #runc(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    output: 'inherit' | 'ignore' = 'inherit',
  ): Promise<number> {
    const { runc } = this.#settings;
    return new Promise((resolve, reject) => {
      const child = spawn(runc, [...this.#command.globals, ...args], {
        stdio: ['inherit', output, output],
        env: { ...process.env, ...env },
      });
      child.once('error', (error) => reject(new Error(`cannot run ${runc}: ${error.message}`, { cause: error })));
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  }

  /** Stops waiting when the engine tells us to, or has died. A runc that is under way is let finish: it is undone afterwards. */
  #watchForEnd(): () => void {
    const parent = process.ppid;
    const stop = (why: string): void => this.#stop.abort(new Error(why));
    const onSignal = (signal: NodeJS.Signals): void => stop(`interrupted by ${signal}`);
    const signals: NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
    for (const signal of signals) process.on(signal, onSignal);
    const timer = setInterval(() => {
      if (process.ppid !== parent) stop('the engine has given this container up');
    }, PARENT_CHECK_MS);
    return () => {
      clearInterval(timer);
      for (const signal of signals) process.off(signal, onSignal);
    };
  }
}

/** The last error messages of a runc log in JSON lines; '' if there is none. */
function errorLines(log: string | undefined): string {
  if (log === undefined) return '';
  let text: string;
  try {
    text = readFileSync(log, 'utf8');
  } catch {
    return '';
  }
  const messages: string[] = [];
  for (const line of text.split('\n')) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      if (level === 'error' && msg !== undefined) messages.push(msg);
    } catch {
      // runc writes plain text without --log-format json.
      if (line !== '') messages.push(line);
    }
  }
  return messages.slice(-10).join('\n');
}

function reportFailure(message: string, log: string | undefined): void {
  const line = JSON.stringify({ level: 'error', msg: message, time: new Date().toISOString() });
  try {
    if (log !== undefined) appendFileSync(log, `${line}\n`);
    writeSync(2, `${message}\n`);
  } catch {
    // Nobody is left to be told: the engine still sees the exit code.
  }
}
