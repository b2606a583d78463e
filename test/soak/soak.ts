/** The soak of one algorithm: step after step until the time is up or enough has been done. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stacks } from '../../examples/demo/stacks.ts';
import { STACK, deployBank, statusOf } from './bank.ts';
import { EVENTS, deployBystander, BYSTANDER } from './events.ts';
import { SoakFailure } from './failures.ts';
import { logEnds, saveLogs } from './failure-logs.ts';
import { compare, least, look } from './figures.ts';
import type { Comparison, Figures } from './figures.ts';
import { carryOut, prune } from './operation.ts';
import type { World } from './operation.ts';
import type { AlgorithmName, SoakOptions } from './options.ts';
import { describeStep, stepAt } from './plan.ts';
import type { PlanOptions, Step } from './plan.ts';
import { Tally, grownText } from './tally.ts';

/** The first figures are taken after this long. Milliseconds. */
const FIRST_FIGURES_MS = 60_000;

/** Between two operations, for the bank to be at work. Milliseconds. */
const PAUSE_MS = 1_500;

/** Before figures are taken: what was done last comes to its end. Milliseconds. */
const QUIET_MS = 30_000;

/** Without them a first look at what the nodes are like says nothing: each kind of operation has been there once. */
const QUIET_STEPS = 4;

export interface SoakReport {
  readonly algorithm: AlgorithmName;
  readonly seed: number;
  readonly wallMs: number;
  readonly tally: Tally;
  readonly comparisons: readonly Comparison[];
  /** Why it did not pass; empty: it did. */
  readonly reasons: readonly string[];
}

export interface SoakContext {
  readonly stacks: Stacks;
  readonly options: SoakOptions;
  readonly algorithm: AlgorithmName;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What has come of it so far. */
interface Progress {
  readonly tally: Tally;
  readonly reasons: string[];
  comparisons: readonly Comparison[];
}

/** Whatever ends it, what there is until then is reported. */
export async function soak(context: SoakContext): Promise<SoakReport> {
  const { options, algorithm, signal } = context;
  const begun = performance.now();
  const progress: Progress = { tally: new Tally(), reasons: [], comparisons: [] };
  try {
    await play(context, progress);
  } catch (error) {
    progress.reasons.push(signal.aborted ? 'interrupted before its end' : ((error as Error).stack ?? String(error)));
  }
  return { algorithm, seed: options.seed, wallMs: performance.now() - begun, ...progress };
}

/** @throws the signal's reason */
async function play(context: SoakContext, progress: Progress): Promise<void> {
  const { options, algorithm, stacks, signal } = context;
  const { tally, reasons } = progress;
  const begun = performance.now();
  // What the engines keep of tasks that have ended is no leak of ours: it would grow until they keep as many as they may.
  await stacks.must('n1', ['docker', 'swarm', 'update', '--task-history-limit', '1']);
  await deployBystander(stacks);
  const world: World = { stacks, kept: [], spared: 'n2', signal };
  const plan: PlanOptions = {
    seed: options.seed,
    mode: options.operations === undefined ? 'time' : 'operations',
    sidecars: algorithm === 'chandy-lamport',
    events: EVENTS.map(({ name }) => name),
    quietSteps: QUIET_STEPS,
  };
  await deployBank(stacks, algorithm, options.rate);
  let first: Figures | undefined;
  const enough = (): boolean =>
    options.operations === undefined
      ? performance.now() - begun >= (options.milliseconds ?? 0)
      : tally.relocations >= options.operations;
  for (let index = 0; !(enough() && first !== undefined); index++) {
    const failed = await attempt(context, world, stepAt(index, plan), tally);
    if (failed !== undefined) {
      reasons.push(failed);
      if (!options.goOn) return;
      await anew(context, world);
    }
    if (first === undefined && index + 1 >= QUIET_STEPS && performance.now() - begun >= FIRST_FIGURES_MS) {
      const seen = await figuresNow(context, world);
      if (typeof seen === 'string') {
        reasons.push(seen);
        return;
      }
      first = seen;
    }
    await sleep(PAUSE_MS, undefined, { signal });
  }
  const last = await figuresNow(context, world);
  if (typeof last === 'string') {
    reasons.push(last);
    return;
  }
  progress.comparisons = compare(first, last);
  const grown = grownText(progress.comparisons);
  reasons.push(...grown);
  if (grown.length > 0)
    await saveLogs(stacks, path.join(options.logs, `${algorithm}-grown`), grown.join('\n'), await logEnds(stacks));
  // For the next algorithm.
  await stacks.remove(STACK, { volumes: true });
  await stacks.must('n1', ['docker', 'service', 'rm', BYSTANDER]);
  for (const { id } of world.kept) await stacks.coordinate(['rm', id]);
}

/** One step, with its line. @returns why it failed */
async function attempt(context: SoakContext, world: World, step: Step, tally: Tally): Promise<string | undefined> {
  const { stacks, options, algorithm, say, signal } = context;
  const ends = await logEnds(stacks);
  const begun = performance.now();
  const took = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  const what = `#${step.index} ${describeStep(step)}`;
  try {
    const { kind, detail, after } = await carryOut(world, step);
    tally.add(step, kind, performance.now() - begun);
    say(`${what}: ${kind} in ${took()} (${detail}); ${after.transfers} transfers, none lost`);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    tally.add(step, 'failure', performance.now() - begun);
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const reason = `${algorithm}, seed ${options.seed}, ${what}: ${message}`;
    const directory = path.join(options.logs, `${algorithm}-${step.index}`);
    await saveLogs(
      stacks,
      directory,
      error instanceof SoakFailure ? reason : `${reason}\n${(error as Error).stack ?? ''}`,
      ends,
    );
    say(`${what}: FAILED after ${took()}: ${message}\n    logs: ${directory}`);
    return reason;
  }
}

/** A bank without a past, for a run that goes on after a failure. */
async function anew({ stacks, options, algorithm, say }: SoakContext, world: World): Promise<void> {
  say('a new bank is deployed');
  await stacks.remove(STACK, { volumes: true });
  for (const { id } of world.kept) await stacks.coordinator(['rm', id]);
  world.kept = [];
  await deployBank(stacks, algorithm, options.rate);
  world.kept.push(await snapshotNow(stacks));
}

async function snapshotNow(stacks: Stacks): Promise<World['kept'][number]> {
  const before = await statusOf(stacks);
  const { id } = await stacks.coordinate<{ id: string }>(['snapshot', STACK]);
  return { id, before };
}

/** Where the bank's services are when figures are taken: on every node there is something. */
const PLACES = ['branch-a=n1', 'branch-b=n2', 'branch-c=n3'].flatMap((place) => ['--to', place]);

/**
 * Figures of a bank that has just been restored in whole, each time to the same nodes, with one snapshot that was taken there, so that both times the same
 * is there; the least of a few looks, since heaps grow until they are collected.
 * @returns what went wrong, if something did
 */
async function figuresNow({ stacks, algorithm, say, signal }: SoakContext, world: World): Promise<Figures | string> {
  const sidecars = algorithm === 'chandy-lamport' ? 1 : 0;
  try {
    const { id } = world.kept.at(-1) ?? (await snapshotNow(stacks));
    // Twice: engines keep the containers of the generation before, too, and they are there where that one was.
    for (let generation = 0; generation < 2; generation++) await stacks.coordinate(['restore', id, ...PLACES]);
    world.kept = [await snapshotNow(stacks)];
    await prune(world);
    const until = performance.now() + QUIET_MS;
    let seen = await look(stacks, sidecars);
    while (seen.busy.length > 0 && performance.now() < until) {
      await sleep(1000, undefined, { signal });
      seen = await look(stacks, sidecars);
    }
    if (seen.busy.length > 0) say(`still there: ${seen.busy.join('; ')}`);
    let { figures } = seen;
    for (let again = 0; again < 4; again++) {
      await sleep(2000, undefined, { signal });
      figures = least(figures, (await look(stacks, sidecars)).figures);
    }
    say(
      `figures: ${stacks.nodes.map((node) => `${node} agent ${Math.round((figures[node]?.agentRss ?? 0) / 1024)} MB`).join(', ')}`,
    );
    return figures;
  } catch (error) {
    signal.throwIfAborted();
    return `figures cannot be taken: ${error instanceof Error ? error.message : String(error)}`;
  }
}
