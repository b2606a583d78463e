/** What a bench item has, and the arithmetic of its figures. */
import type { Stacks } from '../demo/stacks.ts';

/** One figure of the table. */
export interface Figure {
  /** What was measured, e.g. `gap of pair, lai-yang, median of 10`. */
  readonly what: string;
  readonly value: number;
  readonly unit: 'µs' | 'ms' | 's' | 'MB' | 'Gbit/s' | '1/s' | 's/GB' | '×';
  /** What it should be at most (or, with `atLeast`, at least), in the same unit. */
  readonly aim?: number;
  readonly atLeast?: boolean;
  /** All single values, in the order in which they were measured. */
  readonly samples?: readonly number[];
}

export interface BenchContext {
  readonly stacks: Stacks;
  /** Says what is being done. */
  readonly say: (text: string) => void;
  /** Aborted by Ctrl-C. An item that does not look at it is waited for. */
  readonly signal: AbortSignal;
}

/** One part of the bench; runs alone with `npm run bench -- NAME`. */
export interface BenchItem {
  readonly name: string;
  readonly title: string;
  /** It needs no test bed: no stacks, no hosts. */
  readonly withoutBed?: boolean;
  /** Deploys what it needs and removes it again. */
  run(context: BenchContext): Promise<Figure[]>;
}

/** Middle value; the mean of the two middle ones of an even number. @throws RangeError if there is none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('the median of nothing');
  return (lower + upper) / 2;
}

/** Whether a figure is what it should be; undefined if nothing is wanted of it. */
export function reached({ value, aim, atLeast }: Figure): boolean | undefined {
  if (aim === undefined) return undefined;
  return atLeast === true ? value >= aim : value <= aim;
}

/** Three significant digits are more than these measurements are good for. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
