/** One operation on the bank, with what happens meanwhile, and the judgement on what came of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../examples/testbed/index.ts';
import type { BankCheck, RunningTask, Stacks } from '../../examples/demo/stacks.ts';
import { STACK, allTasks, audit, statusOf } from './bank.ts';
import { aim, moment, startCoordinator } from './commands.ts';
import type { Ended } from './commands.ts';
import { EVENTS } from './events.ts';
import { Lost, Stuck, Unexpected } from './failures.ts';
import { pick } from './plan.ts';
import type { Step } from './plan.ts';

/** After an operation that was disturbed, everything gets so long to be as it shall be. Milliseconds. */
const SETTLE_MS = 90_000;

/** What may be said of an operation that something happened to (docs/cli.md): it was in the way of another, could not reach somebody, failed, or was cut short. */
const ANNOUNCED = new Set(['conflict', 'unreachable', 'failed', 'interrupted', 'not-found']);

/** That it cannot be done now, only where a node, or what runs on it, is away: what an operation before has left must never be in the way of the next one. */
function mayBeRefused({ fault, event }: Step): boolean {
  return fault?.kind === 'engine' || event?.name.startsWith('node ') === true;
}

/** A snapshot that exists, and a look at the bank from before it was taken. */
export interface Kept {
  readonly id: string;
  readonly before: BankCheck;
}

export interface World {
  readonly stacks: Stacks;
  /** The snapshots that there are, the newest last. */
  kept: Kept[];
  /** Whose agent is never killed, so that one is there whose memory shows whether it grows. */
  readonly spared: string;
  readonly signal: AbortSignal;
}

/** What came of an operation. */
export interface Outcome {
  /** `done`: it said so. `undone`: it failed or was cut short, and what was there before goes on. `carried on`: it was cut short and finished all the same. `restored`: connections were lost, as announced, and a snapshot brought the bank back. */
  readonly kind: 'done' | 'undone' | 'carried on' | 'restored';
  readonly detail: string;
  readonly after: BankCheck;
}

/** Carries out a step, and checks the bank. @throws SoakFailure */
export async function carryOut(world: World, step: Step): Promise<Outcome> {
  const { stacks, signal } = world;
  const tasksBefore = await allTasks(stacks);
  const before = await statusOf(stacks);
  const snapshot = step.operation === 'restore' ? pick(step.random, world.kept) : undefined;
  const args = argumentsOf(world, step, snapshot, tasksBefore);
  const hit = await faultOf(world, step, tasksBefore);
  const running = await startCoordinator(stacks, args, signal);
  const event = eventOf(world, step, tasksBefore);
  const fault = (async () => {
    if (step.fault === undefined) return;
    await moment(stacks, step.fault.at, running);
    if (step.fault.kind === 'coordinator') running.kill();
    else hit?.();
  })();
  const ended = await running.ended;
  const [trouble] = await Promise.all([event, fault]);
  signal.throwIfAborted();
  const disturbed = step.fault !== undefined || step.event !== undefined;
  judgeAnswer(step, ended, disturbed);
  if (disturbed) await settled(stacks);
  if (step.operation === 'snapshot' && ended.exitCode === 0)
    world.kept.push({ id: (ended.result as { id: string }).id, before });
  if (disturbed || step.operation === 'snapshot') await prune(world);

  const detail = [args.slice(1).join(' '), trouble, sentence(ended)].filter(Boolean).join('; ');
  const deadly = step.fault?.kind === 'engine' || (step.fault?.kind === 'sidecar' && hit !== undefined);
  if (deadly) return { kind: 'restored', detail, after: await bringBack(world, before) };
  const tasks = await allTasks(stacks);
  const moved = step.operation === 'migrate';
  const replaced = moved ? 'some' : whichAre(tasksBefore, tasks);
  // A migration loses nothing, whichever tasks go on. A restore goes back to its snapshot, or not at all.
  const notBefore = replaced === 'all' && snapshot !== undefined ? snapshot.before : before;
  if (step.operation !== 'migrate' && replaced === 'some')
    throw new Lost(`some tasks were replaced and others were not: ${names(tasksBefore)} before, ${names(tasks)} now`);
  if (step.operation === 'snapshot' && replaced !== 'none') throw new Lost('a snapshot replaced the tasks');
  if (step.operation === 'restore' && ended.exitCode === 0 && replaced !== 'all')
    throw new Lost('the restore says that it is done, and the tasks are the old ones');
  const after = await audit(stacks, notBefore);
  const same = names(tasksBefore) === names(tasks);
  const kind = ended.exitCode === 0 ? 'done' : same ? 'undone' : 'carried on';
  return { kind, detail, after };
}

/** What is asked of the coordinator. */
function argumentsOf(
  { stacks }: World,
  step: Step,
  snapshot: Kept | undefined,
  tasks: readonly RunningTask[],
): readonly string[] {
  const { random, operation } = step;
  if (operation === 'snapshot') return ['snapshot', STACK];
  const node = pick(random, stacks.nodes) ?? 'n1';
  if (operation === 'restore') {
    if (snapshot === undefined) throw new Unexpected('there is no snapshot to go back to');
    const where = pick(random, ['anywhere', 'where it is', 'one node']);
    const inPlace = tasks
      .filter(({ service }, index) => tasks.findIndex((task) => task.service === service) === index)
      .flatMap((task) => ['--to', `${task.service.slice(STACK.length + 1)}=${task.node}`]);
    return [
      'restore',
      snapshot.id,
      ...(where === 'one node' ? ['--to', node] : where === 'where it is' ? inPlace : []),
    ];
  }
  const mover = pick(random, tasks);
  if (mover === undefined) throw new Lost('no task runs');
  const to =
    pick(
      random,
      stacks.nodes.filter((name) => name !== mover.node),
    ) ?? 'n1';
  return pick(random, ['service', 'service', 'node']) === 'node'
    ? ['migrate', STACK, '--from', mover.node]
    : ['migrate', mover.service, '--to', to];
}

async function faultOf(
  { stacks, spared }: World,
  { fault, random }: Step,
  tasks: readonly RunningTask[],
): Promise<(() => void) | undefined> {
  if (fault === undefined || fault.kind === 'coordinator') return undefined;
  const nodes = {
    agent: stacks.nodes.filter((node) => node !== spared),
    engine: stacks.nodes,
    sidecar: stacks.nodes.filter((node) => tasks.some((task) => task.node === node)),
  }[fault.kind];
  return aim(stacks, fault.kind, pick(random, nodes) ?? 'n1');
}

/** @returns what went wrong with it, if something did: that is told, and no failure of ours */
async function eventOf(
  { stacks }: World,
  { event: planned, random }: Step,
  tasks: readonly RunningTask[],
): Promise<string> {
  const event = EVENTS.find(({ name }) => name === planned?.name);
  if (event === undefined || planned === undefined) return '';
  await sleep(planned.afterMs);
  const idle = stacks.nodes.filter((node) => !tasks.some((task) => task.node === node));
  try {
    await event.run({ stacks, random, idle });
    return '';
  } catch (error) {
    return `(the event: ${error instanceof Error ? error.message : String(error)})`;
  }
}

/** @throws Unexpected */
function judgeAnswer(step: Step, { exitCode, error, stderr }: Ended, disturbed: boolean): void {
  if (exitCode === 0) return;
  if (exitCode === 137 && step.fault?.kind === 'coordinator') return;
  if (error === undefined) throw new Unexpected(`exit code ${exitCode} without an error: ${stderr.slice(-500)}`);
  const text = `${error.code}: ${error.message} ${JSON.stringify(error.where)} ${error.why ?? ''}`;
  const announced = ANNOUNCED.has(error.code) || (error.code === 'precondition' && mayBeRefused(step));
  if (!disturbed || !announced) throw new Unexpected(text);
}

function sentence({ exitCode, error }: Ended): string {
  if (exitCode === 0) return '';
  return error === undefined ? `exit code ${exitCode}` : `${error.code}: ${error.message}`;
}

/** Names of the configs in which an operation is noted that is not over (docs/swarm.md). */
const JOURNALS = `docker config ls -q -f name=swarmcut-stack- | xargs -r docker config inspect -f '{{if index .Spec.Labels "swarmcut.journal"}}{{.Spec.Name}}{{end}}'`;

/**
 * Waits until all nodes are ready, all agents answer, and nobody is at work on the bank any more.
 * @throws Stuck naming what is not as it shall be
 */
async function settled(stacks: Stacks): Promise<void> {
  const left = async (): Promise<string[]> => {
    const nodes = await stacks.must('n1', [
      'docker',
      'node',
      'ls',
      '--format',
      '{{.Hostname}} {{.Status}} {{.Availability}}',
    ]);
    const bad = nodes.split('\n').filter((line) => !line.endsWith(' Ready Active'));
    const { result } = await stacks.coordinator<({ node: string } & ({ error: string } | object))[]>(['check']);
    const silent = (result ?? []).flatMap((node) => ('error' in node ? [`${node.node}: ${node.error}`] : []));
    const journals = await stacks.must('n1', ['sh', '-c', JOURNALS]);
    const open = journals.split('\n').filter((line) => line !== '');
    return [
      ...bad,
      ...silent,
      ...open.map((name) => `journal in ${name}`),
      ...(result === undefined ? ['no check'] : []),
    ];
  };
  let last: string[] = ['nothing was seen'];
  await waitFor(
    'the end of what was disturbed',
    async () => {
      last = await left();
      return last.length === 0;
    },
    { timeoutMs: SETTLE_MS, intervalMs: 500 },
  ).catch((error: unknown) => {
    throw new Stuck(`after ${SETTLE_MS / 1000} s there is still: ${last.join(', ')}`, { cause: error });
  });
}

/** Connections were reset or tasks ended, as is announced: the newest snapshot brings the bank back. */
async function bringBack(world: World, before: BankCheck): Promise<BankCheck> {
  const newest = world.kept.at(-1);
  if (newest === undefined) throw new Unexpected('there is no snapshot to go back to');
  // A snapshot that was taken in the step itself may have the lost connection in it.
  const snapshot = newest.before === before ? (world.kept.at(-2) ?? newest) : newest;
  world.kept = world.kept.filter(
    (kept) => kept === snapshot || world.kept.indexOf(kept) < world.kept.indexOf(snapshot),
  );
  const answer = await world.stacks.coordinator(['restore', snapshot.id]);
  world.signal.throwIfAborted();
  if (answer.exitCode !== 0)
    throw new Unexpected(
      `the bank cannot be brought back: ${answer.error?.code ?? ''} ${answer.error?.message ?? answer.stderr}`,
    );
  await allTasks(world.stacks);
  return audit(world.stacks, snapshot.before);
}

/** So many snapshots are kept. */
const KEPT = 3;

/** Removes all other snapshots: older ones, and what a coordinator has finished that was killed before it could say so. */
export async function prune(world: World): Promise<void> {
  world.kept = world.kept.slice(-KEPT);
  const wanted = new Set(world.kept.map(({ id }) => id));
  const listed = await world.stacks.coordinate<{ id: string }[]>(['list', STACK]);
  const others = listed.map(({ id }) => id).filter((id) => !wanted.has(id));
  if (others.length > 0) await world.stacks.coordinate(['rm', ...others]);
}

function whichAre(before: readonly RunningTask[], now: readonly RunningTask[]): 'none' | 'some' | 'all' {
  const old = new Set(before.map(({ containerId }) => containerId));
  const left = now.filter(({ containerId }) => old.has(containerId)).length;
  return left === now.length ? 'none' : left === 0 ? 'all' : 'some';
}

function names(tasks: readonly RunningTask[]): string {
  return tasks
    .map(({ service, slot, node, containerId }) => `${service}.${slot} ${containerId.slice(0, 12)} on ${node}`)
    .join(', ');
}
