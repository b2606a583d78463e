/** Which cells there are, and which are asked for. */
import { STEPS, type Step } from '../../../src/model/steps.ts';
import type { Cell } from './cell.ts';
import { FAULTS, taken, type Operation } from './faults.ts';

/** Those that run on a Swarm. */
export const ALGORITHMS = ['lai-yang', 'chandy-lamport', 'sync'] as const;
export const OPERATIONS: readonly Operation[] = ['snapshot', 'restore', 'migrate', 'drain'];
export const ALL_STEPS = Object.keys(STEPS) as readonly Step[];

/** Name of a cell, in results and for people. */
export function keyOf({ fault, operation, step, algorithm }: Cell): string {
  return `${fault} @ ${operation}:${step} (${algorithm})`;
}

/** Every cell that makes sense. */
export function allCells(): Cell[] {
  return ALGORITHMS.flatMap((algorithm) =>
    OPERATIONS.flatMap((operation) =>
      ALL_STEPS.filter((step) => taken(step, operation, algorithm)).flatMap((step) =>
        FAULTS.filter((fault) => fault.applies(step, operation, algorithm)).map((fault) => ({
          fault: fault.id,
          operation,
          step,
          algorithm,
        })),
      ),
    ),
  );
}

export interface Choice {
  readonly faults?: readonly string[] | undefined;
  readonly steps?: readonly string[] | undefined;
  readonly algorithms?: readonly string[] | undefined;
  readonly operations?: readonly string[] | undefined;
  /** So many of them, chosen by chance. */
  readonly sample?: number | undefined;
  readonly seed: number;
}

/** The cells that are asked for, those of one algorithm together. `kill-*` names several. */
export function chosen(cells: readonly Cell[], choice: Choice): Cell[] {
  const wanted = (names: readonly string[] | undefined, name: string): boolean =>
    names === undefined || names.some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : one === name));
  const found = cells.filter(
    ({ fault, operation, step, algorithm }) =>
      wanted(choice.faults, fault) &&
      wanted(choice.operations, operation) &&
      wanted(choice.steps, step) &&
      wanted(choice.algorithms, algorithm),
  );
  if (choice.sample === undefined) return found;
  const some = new Set(shuffled(found, choice.seed).slice(0, choice.sample));
  return found.filter((cell) => some.has(cell));
}

/** Fisher and Yates, with a seed (mulberry32). */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const out = [...items];
  let state = seed >>> 0;
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  for (let last = out.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [out[last], out[other]] = [out[other] as T, out[last] as T];
  }
  return out;
}
