/** What comes next: drawn from a seed, step by step, so that a run can be repeated. */
import { combine, nextBelow, nextFraction, prng } from '../../src/simulator/world/prng.ts';
import type { Prng } from '../../src/simulator/world/prng.ts';

export type OperationKind = 'snapshot' | 'restore' | 'migrate';

/**
 * - `coordinator`, `agent`, `sidecar`: SIGKILL.
 * - `engine`: SIGTERM, upon which it is started again. Its containers end, as they do without swarmcut.
 */
export type FaultKind = 'coordinator' | 'agent' | 'sidecar' | 'engine';

/** When something happens in an operation: so long after its beginning, or after the first task was about to be frozen. */
export interface Moment {
  readonly from: 'beginning' | 'freeze';
  readonly afterMs: number;
}

export interface Step {
  readonly index: number;
  readonly operation: OperationKind;
  readonly fault?: { readonly kind: FaultKind; readonly at: Moment };
  /** Name of a Swarm event (events.ts). */
  readonly event?: { readonly name: string; readonly afterMs: number };
  /** For whatever else is to be chosen when the step is carried out, from what is there then. Always the same for seed and step. */
  readonly random: Prng;
}

export interface PlanOptions {
  readonly seed: number;
  /** `time`: mostly snapshots. `operations`: restores and migrations, none undisturbed. */
  readonly mode: 'time' | 'operations';
  /** Sidecars to be killed. */
  readonly sidecars: boolean;
  readonly events: readonly string[];
  /** The first steps have no fault: until then it is found out what there is when all is well. */
  readonly quietSteps: number;
}

/** Latest moment of a fault or event: what an operation takes, and some more. Milliseconds. */
const LATEST_MS = 3_000;

/** After the freeze things go quicker. Milliseconds. */
const LATEST_AFTER_FREEZE_MS = 600;

/** @param index from 0 */
export function stepAt(index: number, options: PlanOptions): Step {
  const random = prng(combine(options.seed, index));
  const operation = drawOperation(random, index, options);
  const quiet = index < options.quietSteps;
  const dice = nextFraction(random);
  const disturbed = options.mode === 'operations' && operation !== 'snapshot';
  const withFault = !quiet && dice < (disturbed ? 0.6 : 0.2);
  const withEvent = disturbed ? dice > 0.4 : nextFraction(random) < 0.3;
  const fault = drawFault(random, options);
  const event = { name: pick(random, options.events) ?? '', afterMs: nextBelow(random, LATEST_MS / 2) };
  return {
    index,
    operation,
    ...(withFault ? { fault } : {}),
    ...(!quiet && withEvent && event.name !== '' ? { event } : {}),
    random,
  };
}

/** The first ones are the same in every run, so that each kind has been there when the first figures are taken. */
function drawOperation(random: Prng, index: number, { mode }: PlanOptions): OperationKind {
  const first = (['snapshot', 'restore', 'snapshot', 'migrate'] as const)[index];
  if (first !== undefined) return first;
  const dice = nextFraction(random);
  if (mode === 'operations') return dice < 0.2 ? 'snapshot' : dice < 0.6 ? 'restore' : 'migrate';
  return dice < 0.6 ? 'snapshot' : dice < 0.8 ? 'restore' : 'migrate';
}

function drawFault(random: Prng, { sidecars }: PlanOptions): { kind: FaultKind; at: Moment } {
  const dice = nextFraction(random);
  const kind = dice < 0.45 ? 'coordinator' : dice < 0.85 ? 'agent' : dice < 0.94 && sidecars ? 'sidecar' : 'engine';
  const at: Moment =
    nextFraction(random) < 0.5
      ? { from: 'beginning', afterMs: nextBelow(random, LATEST_MS) }
      : { from: 'freeze', afterMs: nextBelow(random, LATEST_AFTER_FREEZE_MS) };
  return { kind, at };
}

/** One of them; undefined if there is none. */
export function pick<T>(random: Prng, from: readonly T[]): T | undefined {
  const chosen = nextBelow(random, Math.max(1, from.length));
  return from[chosen];
}

/** In words, for the line of the step. */
export function describeStep({ operation, fault, event }: Step): string {
  const parts: string[] = [operation];
  if (fault !== undefined) {
    const { kind, at } = fault;
    parts.push(`${kind} ${kind === 'engine' ? 'restarted' : 'killed'} ${at.afterMs} ms after the ${at.from}`);
  }
  if (event !== undefined) parts.push(`${event.name} after ${event.afterMs} ms`);
  return parts.join(', ');
}
