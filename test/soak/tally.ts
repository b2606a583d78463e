/** What has happened so far, by kind. */
import Table from 'cli-table3';
import type { Outcome } from './operation.ts';
import type { Comparison } from './figures.ts';
import type { Step } from './plan.ts';

type Verdict = Outcome['kind'] | 'failure';
const VERDICTS: readonly Verdict[] = ['done', 'undone', 'carried on', 'restored', 'failure'];

/** Counts steps by what they did, what happened in them, and what came of them. */
export class Tally {
  readonly #counts = new Map<string, Map<Verdict, number>>();
  readonly #wallMs = new Map<string, number[]>();

  add(step: Pick<Step, 'operation' | 'fault' | 'event'>, verdict: Verdict, wallMs: number): void {
    const undisturbed = step.fault === undefined && step.event === undefined;
    const rows = [
      step.operation,
      ...(undisturbed ? [`${step.operation}, undisturbed`] : []),
      ...(step.fault === undefined
        ? []
        : [`${step.operation}, ${step.fault.kind} ${step.fault.kind === 'engine' ? 'restarted' : 'killed'}`]),
      ...(step.event === undefined ? [] : [`any, ${step.event.name}`]),
    ];
    for (const row of rows) {
      const counts = this.#counts.get(row) ?? new Map<Verdict, number>();
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      this.#counts.set(row, counts);
    }
    if (undisturbed) this.#wallMs.set(step.operation, [...(this.#wallMs.get(step.operation) ?? []), wallMs]);
  }

  get steps(): number {
    return (['snapshot', 'restore', 'migrate'] as const).reduce((sum, row) => sum + this.#sum(row), 0);
  }

  /** Restores and migrations. */
  get relocations(): number {
    return this.#sum('restore') + this.#sum('migrate');
  }

  get failures(): number {
    return (['snapshot', 'restore', 'migrate'] as const).reduce(
      (sum, row) => sum + (this.#counts.get(row)?.get('failure') ?? 0),
      0,
    );
  }

  /** Counts by row, then by verdict; and times. */
  toJSON(): { counts: Record<string, Record<string, number>>; times: ReturnType<Tally['times']> } {
    const rows = [...this.#counts].sort().map(([row, counts]) => [row, Object.fromEntries(counts)] as const);
    return { counts: Object.fromEntries(rows), times: this.times() };
  }

  /** Wall time of undisturbed operations: how many, median and longest, milliseconds. */
  times(): Record<string, { count: number; medianMs: number; longestMs: number }> {
    return Object.fromEntries(
      [...this.#wallMs].map(([row, all]) => {
        const sorted = all.toSorted((a, b) => a - b);
        const [median, longest] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
        return [row, { count: all.length, medianMs: Math.round(median ?? 0), longestMs: Math.round(longest ?? 0) }];
      }),
    );
  }

  text(): string {
    const table = new Table({ head: ['operations', 'all', ...VERDICTS], style: { head: [], border: [] } });
    for (const [row, counts] of [...this.#counts].sort())
      table.push([row, this.#sum(row), ...VERDICTS.map((verdict) => counts.get(verdict) ?? 0)]);
    const times = Object.entries(this.times()).map(
      ([row, { count, medianMs, longestMs }]) =>
        `${row} undisturbed: ${count}, median ${medianMs} ms, longest ${longestMs} ms`,
    );
    return [table.toString(), ...times].join('\n');
  }

  #sum(row: string): number {
    return [...(this.#counts.get(row)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  }
}

/** The figures of all nodes beside each other. */
export function figuresText(comparisons: readonly Comparison[]): string {
  const nodes = [...new Set(comparisons.map(({ node }) => node))];
  const table = new Table({
    head: ['after the first minute → at the end', ...nodes],
    style: { head: [], border: [] },
  });
  for (const measure of new Set(comparisons.map((comparison) => comparison.measure))) {
    const cells = nodes.map((node) => {
      const found = comparisons.find((one) => one.node === node && one.measure === measure);
      if (found === undefined) return '';
      return `${found.first} → ${found.last}${found.grown ? ` GROWN (limit ${Math.floor(found.limit)})` : ''}`;
    });
    table.push([`${measure.title}${measure.unit === '' ? '' : `, ${measure.unit}`}`, ...cells]);
  }
  return table.toString();
}

/** Every figure that has grown, in words. */
export function grownText(comparisons: readonly Comparison[]): string[] {
  return comparisons
    .filter(({ grown }) => grown)
    .map(
      ({ node, measure, first, last, limit }) =>
        `${node}: ${measure.title}: ${first} after the first minute, ${last} at the end (limit ${Math.floor(limit)}${measure.unit === '' ? '' : ` ${measure.unit}`})`,
    );
}
