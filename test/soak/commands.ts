/** Coordinator commands that something happens to, and the killing of processes on hosts. */
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathInHost, waitFor } from '../../examples/testbed/index.ts';
import type { CoordinatorError, Stacks } from '../../examples/demo/stacks.ts';
import { outerPid } from '../e2e/hosts/outer-pid.ts';
import type { FaultKind, Moment } from './plan.ts';

/** A command that was started. */
export interface Running {
  readonly ended: Promise<Ended>;
  readonly over: () => boolean;
  kill(): void;
}

export interface Ended {
  readonly exitCode: number;
  readonly result: unknown;
  readonly error: CoordinatorError | undefined;
  readonly stderr: string;
}

const PID_FILE = '/run/testbed/soak.pid';

/** Starts a coordinator command whose process can be killed at any time. @param signal aborted: the command is killed */
export async function startCoordinator(stacks: Stacks, args: readonly string[], signal: AbortSignal): Promise<Running> {
  await stacks.must('n1', ['rm', '-f', PID_FILE]);
  // exec: the pid in the file is then the coordinator's own.
  const script = `echo $$ > ${PID_FILE}; exec node /opt/swarmcut/dist/coordinator/main.js "$@" --json`;
  let over = false;
  const ended = stacks
    .run('n1', ['sh', '-c', script, 'sh', ...args], { signal })
    .then(({ exitCode, stdout, stderr }) => {
      over = true;
      return { exitCode, result: parsed(stdout), error: errorIn(stderr), stderr };
    });
  ended.catch(() => undefined); // told to whoever awaits it
  const pid = await waitFor('the coordinator', () => outerPid(stacks.bed, 'n1', PID_FILE), {
    timeoutMs: 30_000,
    intervalMs: 5,
  }).catch((error: unknown) => {
    // It may have ended before it was looked for.
    if (over) return undefined;
    throw error;
  });
  const kill = (): void => {
    if (pid !== undefined && !over) killPid(pid);
  };
  return { ended, over: () => over, kill };
}

/** Waits for a moment of a command; if the command is over before, until then. */
export async function moment(stacks: Stacks, at: Moment, running: Pick<Running, 'over'>): Promise<void> {
  if (at.from === 'freeze') await firstFreeze(stacks, running);
  for (let waited = 0; waited < at.afterMs && !running.over(); waited += 10) await sleep(10);
}

/** A dead man's switch is armed on some node that was not before. */
async function firstFreeze(stacks: Stacks, { over }: Pick<Running, 'over'>): Promise<void> {
  const dirs = await Promise.all(stacks.nodes.map((node) => pathInHost(stacks.bed, node, '/run/swarmcut/deadman')));
  const armed = async (): Promise<string[]> =>
    (await Promise.all(dirs.map((dir) => readdir(dir).catch(() => []))))
      .flat()
      .filter((name) => name.endsWith('.json') && !name.includes('-moved'));
  const before = new Set(await armed());
  while (!over() && !(await armed()).some((name) => !before.has(name))) await sleep(3);
}

/** Gets ready to do something to a node, so that the doing itself takes no time. @returns undefined when there is nothing to do it to */
export async function aim(
  stacks: Stacks,
  kind: Exclude<FaultKind, 'coordinator'>,
  node: string,
): Promise<(() => void) | undefined> {
  if (kind === 'agent' || kind === 'engine') {
    const pid = await outerPid(stacks.bed, node, `/run/testbed/${kind}.pid`);
    return () => killPid(pid, kind === 'engine' ? 'SIGTERM' : 'SIGKILL');
  }
  // A process in the host, which waits for a line, since pids are the host's.
  const script =
    'pgrep -f "agent/sidecar/main[.]js" | head -n 1 > /run/testbed/soak-victim.pid; cat /run/testbed/soak-victim.pid';
  if ((await stacks.must(node, ['sh', '-c', script])) === '') return undefined;
  const pid = await outerPid(stacks.bed, node, '/run/testbed/soak-victim.pid');
  return () => killPid(pid);
}

function killPid(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorIn(stderr: string): CoordinatorError | undefined {
  for (const line of stderr.split('\n').reverse()) {
    const found = (parsed(line) as { error?: CoordinatorError } | undefined)?.error;
    if (found !== undefined) return found;
  }
  return undefined;
}
