import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../src/model/errors.ts';
import { didSome } from '../../src/platform/activity.ts';
import { ProgressDeadline, passedText } from '../../src/platform/deadlines.ts';
import { processorTime } from '../../src/platform/processor-time.ts';
import { NODE_ENVIRONMENT, NODE_FLAGS } from './node-flags.ts';

/** A sidecar that starts does nothing for no longer. */
const START_TIMEOUT_MS = 10_000;
const START_LOOK_MS = 1_000;
/** The compiled sidecar. */
const MAIN = fileURLToPath(new URL('../sidecar/main.js', import.meta.url));

/**
 * Starts a process that loads what a sidecar needs and waits to be told whose it is; it ends if it is not told and its parent ends. A quarter
 * of a second of CPU that need not be spent while a task stands still.
 */
export function spawnSidecar(logFile?: string, main = MAIN): ChildProcess {
  const log = logFile === undefined ? 'inherit' : openSync(logFile, 'a', 0o600);
  try {
    const child = spawn(process.execPath, [...NODE_FLAGS, main], {
      stdio: ['pipe', 'pipe', log],
      detached: true,
      cwd: '/',
      env: { ...process.env, ...NODE_ENVIRONMENT },
    });
    child.stdin?.on('error', () => undefined); // its end is seen by who waits for it to be ready
    return child;
  } finally {
    if (typeof log === 'number') closeSync(log);
  }
}

/** What a new sidecar says, or how it ended instead. */
export async function firstWords(child: ChildProcess): Promise<string> {
  using deadline = new ProgressDeadline({
    limitMs: START_TIMEOUT_MS,
    late: (passed) => new Error(`no answer, and ${passedText(passed)}`),
  });
  const { pid } = child;
  const look = setInterval(() => {
    if (pid === undefined) return;
    processorTime(pid).then(
      (time) => {
        const doing = `it has had ${Number(time / 1_000_000n)} ms of a processor`;
        if (deadline.note({ doing, mark: String(time) })) didSome(doing);
      },
      () => undefined,
    );
  }, START_LOOK_MS);
  const { signal } = deadline;
  try {
    const [first] = (await Promise.race([
      child.stdout ? once(child.stdout, 'data', { signal }) : [''],
      once(child, 'exit', { signal }).then(([code]) => [`exit code ${String(code)}`]),
    ])) as [unknown];
    return String(first);
  } catch (error) {
    return messageOf(signal.aborted ? signal.reason : error);
  } finally {
    clearInterval(look);
  }
}

/** Undefined: another process has started it. */
export function hasEnded(child: ChildProcess | undefined): boolean {
  return child !== undefined && (child.exitCode !== null || child.signalCode !== null);
}

/** Nothing is known of one that another process has started. */
export function howItEnded(child: ChildProcess | undefined): string {
  if (child?.signalCode) return child.signalCode;
  return child && child.exitCode !== null ? `exit code ${child.exitCode}` : 'it is gone';
}

/** Sends a signal (0: none). False if there is no such process. */
export function signalled(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
