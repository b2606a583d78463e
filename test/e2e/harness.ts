/** What the end-to-end tests have in common: the stacks of the bed under test, and a look behind the scenes of its nodes. */
import { readFile, readdir } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { pathInHost, waitFor } from '../../examples/testbed/index.ts';
import { Stacks, bankRate } from '../../examples/demo/stacks.ts';
import type { BankCheck, ProgramStatus, RunningTask } from '../../examples/demo/stacks.ts';
import type { MigrateReport, RestoreReport, VerifyReport } from '../../coordinator/operations/index.ts';
import type { Manifest } from '../../src/model/checkpoint.ts';
import { bedUnderTest } from './bed.ts';
import { outerPid } from './hosts/outer-pid.ts';

export type { BankCheck, Manifest, MigrateReport, ProgramStatus, RestoreReport, RunningTask, VerifyReport };
export { waitFor };

/** The stacks of the bed under test. */
export const stacks = new Stacks(bedUnderTest());

/** Longest time for something that happens by itself, milliseconds. On a busy machine it may take some. */
export const PATIENCE_MS = 180_000;

/** The algorithms that run on a Swarm. */
export const ALGORITHMS = ['lai-yang', 'sync'] as const;

export async function snapshot(stack: string, ...args: string[]): Promise<{ id: string; tasks: { node: string }[] }> {
  return stacks.coordinate(['snapshot', stack, ...args]);
}

export async function restore(id: string, ...args: string[]): Promise<RestoreReport> {
  return stacks.coordinate(['restore', id, ...args]);
}

export async function migrate(what: string, ...args: string[]): Promise<MigrateReport> {
  return stacks.coordinate(['migrate', what, ...args]);
}

/** Node of each task, by `service.slot` without the stack's name. */
export async function placement(stack: string): Promise<Record<string, string>> {
  const tasks = await stacks.tasks(stack);
  return Object.fromEntries(tasks.map((task) => [`${task.service.slice(stack.length + 1)}.${task.slot}`, task.node]));
}

/** The other nodes. */
export function others(node: string): [string, string] {
  const [first, second] = stacks.nodes.filter((name) => name !== node);
  if (first === undefined || second === undefined) throw new Error('the bed has less than three nodes');
  return [first, second];
}

/** A full audit that must find everything in order; its figures. */
export async function expectSoundBank(stack = 'bank', notBefore?: BankCheck): Promise<BankCheck> {
  const check = await stacks.checkBank(stack, ['--timeout', '30000'], notBefore === undefined ? {} : { notBefore });
  expect(check.violations, check.unreachable).toEqual([]);
  expect(check).toMatchObject({ exitCode: 0, ok: true, total: 4_000_000, accounts: 4, missing: 0, duplicate: 0 });
  return check;
}

/**
 * Transfers a second that each of the bank's four tasks begins. Always some in flight, but the load is not what these tests are about: at the 2000 of the compose
 * file, two cores do little else. `SWARMCUT_BANK_RATE` for another one.
 */
const BANK_RATE = Number(process.env.SWARMCUT_BANK_RATE ?? 200);

/** Deploys the bank, and waits until it has made so many transfers. */
export async function deployBank(algorithm: string, transfers: number): Promise<void> {
  await stacks.deploy('bank', { algorithm, change: bankRate(BANK_RATE) });
  await bankAt(transfers);
}

/** Waits until the bank has made at least this many transfers; without stopping it. */
export async function bankAt(transfers: number, stack = 'bank'): Promise<BankCheck> {
  return waitFor(
    `${transfers} transfers`,
    async () => {
      const status = await stacks.checkBank(stack, ['--status', '--timeout', '5000']);
      expect(status.violations).toEqual([]);
      return status.transfers >= transfers && status;
    },
    { timeoutMs: PATIENCE_MS },
  );
}

/** The bank goes on from where it is, and nothing of what it was before is lost. */
export async function goOnAndCheck(stack: string, before: BankCheck): Promise<void> {
  const [task] = await stacks.tasks(stack);
  if (task === undefined) throw new Error(`${stack} has no running task`);
  const status = (): Promise<BankCheck> => stacks.checkBank(stack, ['--status', '--timeout', '30000'], { task });
  const { transfers } = await status();
  await waitFor('new transfers', async () => (await status()).transfers > transfers + 500, { timeoutMs: PATIENCE_MS });
  await expectSoundBank(stack, before);
}

/** What a snapshot's channels held at the cut. `recordedBytes`: by sidecars. */
export async function inFlight(id: string): Promise<{ channels: number; bytes: number; recordedBytes: number }> {
  const { channels } = await stacks.coordinate<{ channels: { inFlightBytes: number | null; recorded: boolean }[] }>([
    'inspect',
    id,
    '--channels',
  ]);
  const sum = (some: typeof channels): number =>
    some.reduce((bytes, { inFlightBytes }) => bytes + (inFlightBytes ?? 0), 0);
  return {
    channels: channels.length,
    bytes: sum(channels),
    recordedBytes: sum(channels.filter(({ recorded }) => recorded)),
  };
}

/** Waits until a program of pair or redis has got further than it is, on the connection that it had. Its status then. */
export async function expectGoesOn(stack: string, service = 'client', steps = 100): Promise<ProgramStatus> {
  const before = await stacks.status(stack, service);
  return waitFor(
    `${service} of ${stack} to go on from ${before.n}`,
    async () => {
      const now = await stacks.status(stack, service);
      expect(now.errorList).toEqual([]);
      return now.n >= before.n + steps && now;
    },
    { timeoutMs: PATIENCE_MS },
  );
}

/**
 * What rounds have left in a task: empty when it is neither blocked nor frozen, and nothing of a round is attached. The rewriting of
 * restored connections stays for as long as they do, and is no trace.
 */
export async function tracesIn(task: RunningTask): Promise<string[]> {
  const script = `
    pid=$(docker inspect -f '{{.State.Pid}}' "$1") || exit 1
    runc --root /run/docker/runtime-runc/moby state "$1" | grep -o '"status": "[a-z]*"'
    inside() { nsenter --net=/proc/$pid/ns/net "$@"; }
    inside nft list ruleset | grep -oE 'chain (block_out|block_in|colour_in|colour_out)'
    for set in blocked_out blocked_in coming_in; do inside nft list set inet swarmcut $set 2>/dev/null | sed -n "s/.*elements/$set/p"; done
    inside ip route | grep rto_min
    ls /run/swarmcut/deadman 2>/dev/null | grep -F "$1" | grep '[.]json$'
    true`;
  const text = await stacks.must(task.node, ['sh', '-c', script, 'sh', task.containerId]);
  return text.split('\n').filter((line) => line !== '' && line !== '"status": "running"');
}

/**
 * As {@link tracesIn}, less what does no harm to a task whose agent is dead: rules that hold nothing, the quicker TCP, and the refusal of a
 * colour in a task that was prepared and not yet frozen (it expires by itself, and nobody has the colour once the round was given up).
 */
export async function harmIn(task: RunningTask): Promise<string[]> {
  const harmless = (line: string): boolean =>
    line.startsWith('chain') || line.startsWith('coming') || line.includes('rto_min');
  return (await tracesIn(task)).filter((line) => !harmless(line));
}

/** Waits until no task of the stack bears any trace of a round. */
export async function expectNoTraces(stack: string, look = tracesIn): Promise<void> {
  const tasks = await stacks.tasks(stack);
  expect(tasks).not.toEqual([]);
  let last: string[] = [];
  await waitFor(
    `an end of all traces of rounds in ${stack}`,
    async () => {
      last = (await Promise.all(tasks.map(look))).flat();
      if (last.length > 0) throw new Error(last.join('; '));
      return true;
    },
    { timeoutMs: PATIENCE_MS, intervalMs: 250 },
  );
}

/** Settles as soon as a task on this node is about to be frozen: its dead man's switch is armed. */
export async function freezeOn(node: string): Promise<void> {
  const dir = await pathInHost(stacks.bed, node, '/run/swarmcut/deadman');
  // Tasks that have moved keep theirs until they have ended.
  const switches = (): Promise<string[]> =>
    readdir(dir).catch((error: unknown) => {
      // On a node that has never frozen a task there is no such directory yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    });
  const before = new Set(await switches());
  const armed = async (): Promise<boolean> =>
    (await switches()).some((name) => name.endsWith('.json') && !name.includes('-moved') && !before.has(name));
  await waitFor(`a freeze on ${node}`, armed, { timeoutMs: PATIENCE_MS, intervalMs: 2 });
}

/**
 * Gets ready to kill a service of a host, so that the killing itself takes no time: a round is over in less than it takes to start a
 * process in a host. With `keepDown`, its supervisor does not start it again until {@link bringBack}.
 */
export async function killer(
  node: string,
  service: 'agent' | 'engine',
  options: { keepDown?: boolean } = {},
): Promise<() => void> {
  const pid = await outerPid(stacks.bed, node, `/run/testbed/${service}.pid`);
  if (options.keepDown === true) await stacks.must(node, ['touch', `/run/testbed/${service}.down`]);
  return () => process.kill(pid, 'SIGKILL');
}

/** Kills a service of a host. */
export async function killService(...of: Parameters<typeof killer>): Promise<void> {
  (await killer(...of))();
}

/** Lets a service's supervisor start it again, and waits until the coordinator reaches the agents. */
export async function bringBack(node: string, service: 'agent' | 'engine' = 'agent'): Promise<void> {
  await stacks.must(node, ['rm', '-f', `/run/testbed/${service}.down`]);
  await agentsAnswer();
}

export async function agentsAnswer(): Promise<void> {
  await waitFor(
    'the agents',
    async () => {
      const { result } = await stacks.coordinator<({ node: string } & ({ error: string } | object))[]>(['check']);
      return result?.every((node) => !('error' in node)) === true;
    },
    { timeoutMs: PATIENCE_MS },
  );
}

/** A service's spec as Swarm has it. */
export async function specOf(service: string): Promise<unknown> {
  const [found] = JSON.parse(await stacks.must('n1', ['docker', 'service', 'inspect', service])) as { Spec: unknown }[];
  return found?.Spec;
}

/** Starts a coordinator command whose process can be killed at any time. @param node a manager */
export async function startCoordinator(
  args: readonly string[],
  node = 'n1',
): Promise<{
  readonly ended: Promise<{ exitCode: number; stderr: string }>;
  kill(signal?: NodeJS.Signals): void;
}> {
  const file = `/run/testbed/e2e-${process.pid}.pid`;
  await stacks.must(node, ['rm', '-f', file]);
  // exec: the pid in the file is then the coordinator's own.
  const script = `echo $$ > ${file}; exec node /opt/swarmcut/dist/coordinator/main.js "$@" --json`;
  const ended = stacks.run(node, ['sh', '-c', script, 'sh', ...args]);
  const pid = await waitFor('the coordinator', () => outerPid(stacks.bed, node, file), {
    timeoutMs: PATIENCE_MS,
    intervalMs: 5,
  });
  const [, parent] = /^PPid:\t(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  const kill = (signal: NodeJS.Signals = 'SIGKILL'): void => {
    process.kill(pid, signal);
    // nsenter, by which it was started, stops with its child, and would not notice its end.
    if (signal === 'SIGCONT') process.kill(Number(parent), signal);
  };
  return { ended, kill };
}

/**
 * What is written, in Swarm's own state, of a restore or migration that is not over; undefined if there is none.
 * @param node a manager
 */
export async function journalOf(stack: string, node = 'n1'): Promise<{ readonly phase: string } | undefined> {
  const engine = await stacks.engines.on(node);
  const found: unknown = await engine
    .getConfig(`swarmcut-stack-${stack}`)
    .inspect()
    .catch((error: unknown) => {
      if ((error as { statusCode?: number }).statusCode === 404) return undefined;
      throw error;
    });
  const labels = (found as { Spec: { Labels?: Record<string, string> } } | undefined)?.Spec.Labels ?? {};
  const packed = labels['swarmcut.journal'];
  if (packed === undefined) return undefined;
  return JSON.parse(gunzipSync(Buffer.from(packed, 'base64')).toString('utf8')) as { phase: string };
}

/** Lets a service of a host stand still, and go on. */
export async function halter(
  node: string,
  service: 'agent' | 'engine',
): Promise<{ readonly halt: () => void; readonly goOn: () => void }> {
  const pid = await outerPid(stacks.bed, node, `/run/testbed/${service}.pid`);
  return { halt: () => void process.kill(pid, 'SIGSTOP'), goOn: () => void process.kill(pid, 'SIGCONT') };
}
