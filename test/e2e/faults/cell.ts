/** One cell of the matrix: one fault, at one step of one operation, under one algorithm; and what must hold afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import { execOn, startKilledHost, waitFor } from '../../../examples/testbed/index.ts';
import type { Step } from '../../../src/model/steps.ts';
import { harmOf, leftoversOf } from '../leftovers.ts';
import { PROVOKED, faultOf, type Fault, type Operation } from './faults.ts';
import { FREEZE_MS, MANAGER, NODES, RELOCATION_MS, type Armed, type Ground, type PairStatus } from './ground.ts';

export interface Cell {
  readonly fault: string;
  readonly operation: Operation;
  readonly step: Step;
  readonly algorithm: string;
}

export type Verdict = 'green' | 'red' | 'not reached';

export interface Outcome {
  readonly verdict: Verdict;
  /** What does not hold. */
  readonly problems: readonly string[];
  /** How the operation ended. */
  readonly exitCode: number;
  /** Until nothing was frozen or blocked any more, from the end of the fault or of the step's hold, whichever was later. Milliseconds. */
  readonly harmMs: number;
  readonly seconds: number;
}

/** What is promised is the deadline plus 2 s; looks themselves take a second or two on a busy machine. Milliseconds. */
const BOUND_MARGIN_MS = 2_000;
const LOOKING_MS = 3_000;

/** Longest time for an operation to end by itself after a fault, for its guardian to have done what it does, and for what is left to go. Milliseconds. */
const END_TIMEOUT_MS = 90_000;
const SETTLE_TIMEOUT_MS = 60_000;
const LEFT_TIMEOUT_MS = 15_000;
/** The same, for old tasks that stand still until Swarm ends them. Milliseconds. */
const MOVED_TIMEOUT_MS = 75_000;

/** What must be known of the stack before a cell. */
export interface Good {
  /** A snapshot in which both programs have done something that one that starts empty has not. */
  readonly id: string;
  readonly connectedSinceMs: number | null;
  readonly n: number;
  /** What others had left on the bed by then: no cell answers for that. */
  readonly left: ReadonlySet<string>;
}

/** Takes the snapshot that all cells restore from. */
export async function takeGood(ground: Ground): Promise<Good> {
  await waitFor('some work of the pair', async () => (await ground.status()).client.n > 300, { timeoutMs: 60_000 });
  const { id } = await ground.stacks.coordinate<{ id: string }>(['snapshot', ground.stack]);
  const { client } = await ground.status();
  const left = new Set(await leftoversOf({ bed: ground.bed }));
  return { id, connectedSinceMs: client.connectedSinceMs, n: client.n - 300, left };
}

/** Runs one cell. @throws when the bed itself does not work */
export async function runCell(ground: Ground, good: Good, cell: Cell): Promise<Outcome> {
  const begun = performance.now();
  const fault = faultOf(cell.fault);
  const before = await situation(ground);
  await fault.before?.(ground);
  const trial = await attempt(ground, good, cell, fault, before);
  const problems = [...trial.problems];
  let harmMs = 0;
  try {
    harmMs = await harmEnds(ground, cell, fault, trial, problems);
    await fault.heal?.(ground, trial.victim).catch(async (error: unknown) => {
      // The engine's socket or the agent's pid may not be there yet.
      await sleep(1_000);
      await fault
        .heal?.(ground, trial.victim)
        .catch(() => problems.push(`the fault cannot be ended: ${String(error)}`));
    });
    await everybodyIsBack(ground, trial.victim);
    problems.push(...(await afterwards(ground, good, cell, fault, before)));
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  const verdict = problems.length > 0 ? 'red' : trial.reached ? 'green' : 'not reached';
  return { verdict, problems, exitCode: trial.exitCode, harmMs, seconds };
}

interface Situation {
  readonly status: PairStatus;
  /** Node of the client. */
  readonly client: string;
  readonly server: string;
  readonly snapshots: ReadonlySet<string>;
}

async function situation(ground: Ground): Promise<Situation> {
  const [status, tasks, snapshots] = await Promise.all([ground.status(), ground.tasks(), snapshotsOf(ground)]);
  const nodeOf = (name: string): string =>
    tasks.find(({ service }) => service === `${ground.stack}_${name}`)?.node ?? '';
  return { status, client: nodeOf('client'), server: nodeOf('server'), snapshots };
}

/** As `coordinator list` has them, without starting it: a manifest is what makes a snapshot. */
async function snapshotsOf(ground: Ground): Promise<ReadonlySet<string>> {
  const script = `cd /var/lib/swarmcut/snapshots 2>/dev/null && grep -l '"stack": "'"$1"'"' */manifest.json 2>/dev/null; true`;
  const files = await ground.sh(MANAGER, script, ground.stack);
  return new Set(
    files
      .split('\n')
      .flatMap((file) => file.split('/')[0] ?? [])
      .filter((id) => id !== ''),
  );
}

interface Trial {
  readonly reached: boolean;
  readonly victim: string;
  readonly exitCode: number;
  /** When the fault, or the hold of the step, ended. */
  readonly overAt: number;
  readonly problems: readonly string[];
}

/** The operation, with the fault in it. */
async function attempt(ground: Ground, good: Good, cell: Cell, fault: Fault, before: Situation): Promise<Trial> {
  const { step } = cell;
  const problems: string[] = [];
  const provoking = PROVOKED[step];
  const provoked = provoking === undefined ? undefined : await ground.arm(provoking, 'error');
  const armed = await ground.arm(step, fault.point ?? 'hold');
  const coordinator = await ground.start(commandOf(ground, good, cell, before));
  let over = false;
  const ended = coordinator.ended.then((answer) => {
    over = true;
    return answer;
  });
  const node = await reachedOrOver(armed, () => over);
  await armed.disarm();
  await provoked?.disarm();
  const victim = node === undefined || step.startsWith('coordinator.') ? before.client : node;
  if (node !== undefined && fault.point === undefined)
    await fault.strike?.({ ground, victim, coordinator, goodId: good.id });
  await sleep(fault.holdsMs ?? 0);
  await armed.goOn();
  if (fault.lastsMs !== undefined && node !== undefined) {
    await sleep(fault.lastsMs);
    if (fault.id === 'stop-coordinator') await coordinator.signal('CONT').catch(() => undefined);
    await fault.heal?.(ground, victim).catch(() => undefined);
  }
  const overAt = performance.now();
  const answer = await Promise.race([ended, sleep(END_TIMEOUT_MS, undefined, { ref: false })]);
  if (answer === undefined) {
    problems.push(`the command had not ended ${END_TIMEOUT_MS / 1000} s after the fault`);
    await coordinator.signal('KILL').catch(() => undefined);
  }
  return { reached: node !== undefined, victim, exitCode: answer?.exitCode ?? -1, overAt, problems };
}

function commandOf(ground: Ground, good: Good, { operation }: Cell, { client, server }: Situation): string[] {
  const { stack } = ground;
  const timeout = ['--timeout', `${RELOCATION_MS}ms`];
  switch (operation) {
    case 'snapshot':
      return ['snapshot', stack];
    case 'restore':
      return ['restore', good.id, '--to', `client=${client}`, '--to', `server=${server}`, ...timeout];
    case 'migrate':
      return ['migrate', `${stack}_client`, '--to', client === 'n2' ? 'n3' : 'n2', ...timeout];
    case 'drain':
      return ['migrate', stack, '--from', client, ...timeout];
  }
}

async function reachedOrOver(armed: Armed, over: () => boolean): Promise<string | undefined> {
  for (;;) {
    const node = armed.reached;
    if (node !== undefined || over()) return armed.reached;
    await sleep(5);
  }
}

/** Nothing stays frozen or blocked beyond its deadline. @returns how long that took */
async function harmEnds(
  ground: Ground,
  { operation }: Cell,
  fault: Fault,
  { overAt, victim }: Trial,
  problems: string[],
): Promise<number> {
  const boundMs = (operation === 'restore' ? RELOCATION_MS : FREEZE_MS) + BOUND_MARGIN_MS + LOOKING_MS;
  const nodes = fault.endsTasks === true ? NODES.filter((node) => node !== victim) : NODES;
  for (;;) {
    const harm = await harmOf({ bed: ground.bed, nodes });
    const harmMs = Math.round(performance.now() - overAt);
    if (harm.length === 0) return harmMs;
    if (harmMs > boundMs) {
      problems.push(`${(harmMs / 1000).toFixed(1)} s after the fault: ${harm.join('; ')}`);
      return harmMs;
    }
    await sleep(200);
  }
}

/** What starts again by itself has: agents, engines, hosts. */
async function everybodyIsBack(ground: Ground, victim: string): Promise<void> {
  await startKilledHost({ name: ground.bed }, victim);
  await waitFor(
    'all engines and nodes',
    async () => {
      const nodes = await ground.sh(MANAGER, "docker node ls --format '{{.Hostname}} {{.Status}}'");
      const there = await execOn({ name: ground.bed }, victim, ['docker', 'ps', '-q'], { timeoutMs: 5_000 });
      return there.exitCode === 0 && nodes.split('\n').every((line) => line.endsWith(' Ready'));
    },
    { timeoutMs: SETTLE_TIMEOUT_MS, intervalMs: 250 },
  );
  await ground.agentsListen();
  // A guardian does in peace what it does.
  await waitFor(
    'the end of the guardian',
    async () => (await ground.sh(MANAGER, 'pgrep -f "[r]esume-after" || true')) === '',
    { timeoutMs: SETTLE_TIMEOUT_MS, intervalMs: 250 },
  );
}

/** What must hold now. @returns what does not */
async function afterwards(
  ground: Ground,
  good: Good,
  cell: Cell,
  fault: Fault,
  before: Situation,
): Promise<readonly string[]> {
  const problems: string[] = [];
  const note = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await note('snapshots', () => wholeOrNotThere(ground, before));
  if (fault.endsTasks === true) await note('the restore afterwards', () => restoreGood(ground, good));
  else await note('the next operation', () => nextOperation(ground));
  await note('checker', () => nothingIsLost(ground, good, cell, fault, before));
  await note('left behind', () => leftNothing(ground, good));
  await note('nodes', () => nodesTakeTasks(ground));
  return problems;
}

/** The snapshot is complete, or it is not there. */
async function wholeOrNotThere(ground: Ground, before: Situation): Promise<void> {
  for (const id of await snapshotsOf(ground)) {
    if (before.snapshots.has(id)) continue;
    const { exitCode, stderr } = await ground.stacks.coordinator(['verify', id]);
    if (exitCode !== 0) throw new Error(`${id} is listed, and verify ends with ${exitCode}: ${stderr}`);
  }
}

/** Nobody has to help. */
async function nextOperation(ground: Ground): Promise<void> {
  await ground.stacks.coordinate(['snapshot', ground.stack]);
}

/** What an engine or a node takes with it comes back from a snapshot. */
async function restoreGood(ground: Ground, good: Good): Promise<void> {
  await ground.stacks.coordinate(['restore', good.id, '--timeout', '60s']);
}

/** The two programs are those that were there, or those of the snapshot; they have all that they had, and go on. */
async function nothingIsLost(ground: Ground, good: Good, cell: Cell, fault: Fault, before: Situation): Promise<void> {
  const now = await waitFor(
    'the pair to go on',
    async () => {
      const first = await ground.status();
      await sleep(300);
      const then = await ground.status();
      return then.client.n > first.client.n && then.server.n > first.server.n && then;
    },
    { timeoutMs: 30_000, intervalMs: 300 },
  );
  const { client, server } = now;
  const reset = fault.endsConnections === true && client.reconnects > 0;
  const restored = cell.operation === 'restore' || fault.endsTasks === true;
  const floor = restored ? Math.min(good.n, before.status.client.n) : before.status.client.n;
  if (client.n < floor) throw new Error(`the client is at ${client.n}, it was at ${floor}`);
  const connections = [before.status.client.connectedSinceMs, good.connectedSinceMs];
  if (!reset && !connections.includes(client.connectedSinceMs))
    throw new Error(
      `the client's connection is not the one that it had: ${client.reconnects} made again, ${client.errorList.join(', ')}`,
    );
  const known = before.status.client.errors + before.status.server.errors;
  const told = [...client.errorList, ...server.errorList];
  const worse = told.filter((line) => !/connection (lost|closed)|ECONNRESET|EPIPE/.test(line));
  if (worse.length > 0) throw new Error(worse.join(', '));
  if (!reset && client.errors + server.errors > known) throw new Error(told.join(', '));
}

/** A relocation keeps nodes free of new tasks for a moment. */
async function nodesTakeTasks(ground: Ground): Promise<void> {
  const nodes = await ground.sh(MANAGER, "docker node ls --format '{{.Hostname}} {{.Availability}}'");
  const paused = nodes.split('\n').filter((line) => !line.endsWith(' Active'));
  if (paused.length > 0) throw new Error(paused.join(', '));
}

async function leftNothing(ground: Ground, good: Good): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const left = (await leftoversOf({ bed: ground.bed })).filter((line) => !good.left.has(line));
    if (left.length === 0) return;
    // What has moved may wait for Swarm; nothing else waits for anybody.
    const waits = left.some((line) => /-moved|frozen|blocked|container|ledger/.test(line));
    if (performance.now() - begun > (waits ? MOVED_TIMEOUT_MS : LEFT_TIMEOUT_MS)) throw new Error(left.join('; '));
    await sleep(500);
  }
}
