import { appendFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Directories } from '../../../src/model/paths.ts';
import { ProgressDeadline, seconds } from '../../../src/platform/deadlines.ts';
import { readDiskConfig } from '../docker/disk-config.ts';
import { callAgent } from './call.ts';
import type { StartCommand } from './command-line.ts';
import { SOCKET_NAME } from './protocol.ts';
import type { StartRequest } from './protocol.ts';

/**
 * `agent shim <runc's arguments>` for `runc start` of a container that is to have a sidecar: between `create` and `start` its namespace
 * has its interfaces, and none of its instructions has run. Whatever happens, the container starts: a sidecar is worth a wait, not
 * a task.
 */

/** The engine waits, too: not longer than this without a word of the agent that it is at it. Milliseconds. */
const SIDECAR_TIMEOUT_MS = 10_000;

/** And not longer than this in all. Milliseconds. */
const LONGEST_MS = 120_000;

/** How long an agent may be away (restart). One that is not running at all should not slow every start down. Milliseconds. */
const PATIENCE_MS = 3_000;

export interface StartOptions {
  /** What shim.sh found out: SWARMCUT_RUN, _RUNC, _SERVICE, _DATA_ROOT. */
  readonly env: NodeJS.ProcessEnv;
  readonly patienceMs?: number;
  readonly timeoutMs?: number;
}

/** Gets the container its sidecar, if that can be had, and runs runc. @returns the exit code for the engine */
export async function runStart(
  argv: readonly string[],
  command: StartCommand,
  directories: Pick<Directories, 'run'>,
  options: StartOptions,
): Promise<number> {
  const { env, patienceMs = PATIENCE_MS, timeoutMs = SIDECAR_TIMEOUT_MS } = options;
  const { containerId } = command;
  try {
    const request: StartRequest = {
      containerId,
      service: env.SWARMCUT_SERVICE ?? '',
      labels: readLabels(env.SWARMCUT_DATA_ROOT ?? '/var/lib/docker', containerId),
    };
    const socket = join(env.SWARMCUT_RUN ?? directories.run, SOCKET_NAME);
    using deadline = new ProgressDeadline({
      limitMs: timeoutMs,
      late: ({ forMs }) => new Error(`the agent has not started one within ${seconds(forMs)}`),
    });
    const signal = AbortSignal.any([deadline.signal, AbortSignal.timeout(LONGEST_MS)]);
    await callAgent(socket, '/start', request, { patienceMs, signal, alive: () => deadline.touch() });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    warn(`swarmcut: container ${containerId.slice(0, 12)} starts without a sidecar: ${reason}`, command.log);
  }
  return run(env.SWARMCUT_RUNC ?? 'runc', argv);
}

/** The engine writes them before it calls the runtime; they are not in the bundle. */
export function readLabels(dataRoot: string, containerId: string): Record<string, string> {
  const config = readDiskConfig(dataRoot, containerId) as { Config?: { Labels?: Record<string, string> | null } };
  return config.Config?.Labels ?? {};
}

function run(runc: string, argv: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(runc, argv, { stdio: 'inherit' });
    child.once('error', (error) => reject(new Error(`cannot run ${runc}: ${error.message}`, { cause: error })));
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

/** Into runc's log, beside what runc itself has to say. Not as an error: the engine takes those for its answer. */
function warn(message: string, log: string | undefined): void {
  if (log === undefined) return;
  try {
    appendFileSync(log, `${JSON.stringify({ level: 'warning', msg: message, time: new Date().toISOString() })}\n`);
  } catch {
    // The agent logs it too, once it is there.
  }
}
