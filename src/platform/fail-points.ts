import { spawn } from 'node:child_process';
import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SwarmcutError } from '../model/errors.ts';
import type { Step } from '../model/steps.ts';
import { pause } from './deadlines.ts';

/**
 * Fail points, after FreeBSD's fail(9), etcd's gofail and tikv's fail-rs: places at which a test makes a step go wrong. There is one at every step
 * (src/model/steps.ts).
 *
 * They are off unless the program was started with `SWARMCUT_FAILPOINTS=<folder>`, a folder of root's that nobody else may write to. Nothing that comes over
 * the network, and no option, switches them on; without the variable a fail point is a call of an empty function.
 *
 * When they are on, a step looks for `<folder>/<step>`. The file's text says what is to be done there, once; the first that gets there takes it, by renaming it to
 * `<step>.reached`: by that a test sees that the step was reached.
 *
 * - `hold`: waits until `<step>.reached` is gone. Meanwhile the test does to the world what it likes
 * - `kill`: this process kills itself with SIGKILL
 * - `stop 5000`: it stops itself with SIGSTOP, for so many milliseconds
 * - `delay 5000`: the step waits for so long
 * - `error`: it fails
 * - `enospc`: it fails as a write to a full disk does
 */
const VARIABLE = 'SWARMCUT_FAILPOINTS';

/** How often a step that is held looks whether it may go on. Milliseconds. */
const LOOK_MS = 5;

const NOTHING: Promise<void> = Promise.resolve();

/**
 * Passes the fail point of a step. Does nothing, unless a test wants something.
 * @throws what the test wants
 */
export const failPoint: (step: Step) => Promise<void> = made(process.env[VARIABLE]);

/** @param folder undefined: all fail points are off */
export function made(folder: string | undefined): (step: Step) => Promise<void> {
  if (folder === undefined || folder === '') return () => NOTHING;
  requireOwn(folder);
  return (step) => pass(folder, step);
}

/** Whoever may write there can end the agent, which is root's. */
function requireOwn(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return;
  throw new SwarmcutError('usage', `${VARIABLE} must name a folder that only this user can write to, not ${folder}`, {
    where: { file: folder },
    advice: 'fail points are for tests: unset it',
  });
}

async function pass(folder: string, step: Step): Promise<void> {
  const reached = join(folder, `${step}.reached`);
  try {
    renameSync(join(folder, step), reached);
  } catch {
    // Nothing is wanted here, or another process has taken it.
    return;
  }
  await act(step, readFileSync(reached, 'utf8').trim(), reached);
}

async function act(step: Step, text: string, reached: string): Promise<void> {
  const [verb, argument = ''] = text.split(' ');
  switch (verb) {
    case 'hold':
      while (existsSync(reached)) await pause(LOOK_MS);
      return;
    case 'kill':
      return end();
    case 'stop':
      return stop(milliseconds(step, text, argument));
    case 'delay':
      return pause(milliseconds(step, text, argument));
    case 'error':
      throw new SwarmcutError('failed', `fail point ${step}`);
    case 'enospc':
      throw Object.assign(new Error(`ENOSPC: no space left on device (fail point ${step})`), { code: 'ENOSPC' });
    default:
      throw new SwarmcutError('usage', `"${text}" is nothing that fail point ${step} can do`);
  }
}

/** Not one more line of this process runs. */
function end(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => undefined);
}

async function stop(ms: number): Promise<void> {
  const script = 'sleep "$1"; kill -CONT "$2"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', (ms / 1000).toFixed(3), String(process.pid)], {
    detached: true,
    stdio: 'ignore',
  });
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  process.kill(process.pid, 'SIGSTOP');
}

function milliseconds(step: Step, text: string, argument: string): number {
  const ms = Number(argument);
  if (argument !== '' && Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new SwarmcutError('usage', `"${text}" at fail point ${step}: a time in milliseconds is missing`);
}
