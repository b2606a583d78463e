import Table from 'cli-table3';
import type { StudyRow } from '../../../src/simulator/study.ts';

export interface Column {
  readonly head: string;
  readonly cell: (row: StudyRow) => string | number;
}

/** What it costs while all is well. */
export const COSTS: readonly Column[] = [
  {
    head: 'rounds',
    cell: ({ rounds, roundsAborted }) => (roundsAborted > 0 ? `${rounds} (-${roundsAborted})` : rounds),
  },
  {
    head: 'took part',
    cell: ({ participantsPerRound }) => (participantsPerRound === 0 ? '' : participantsPerRound.toFixed(1)),
  },
  { head: 'round', cell: ({ roundMs }) => (roundMs === 0 ? '' : milliseconds(roundMs)) },
  { head: 'gap', cell: ({ gapMs }) => (gapMs === 0 ? '' : milliseconds(gapMs)) },
  { head: 'ckpts', cell: ({ checkpoints }) => checkpoints },
  { head: 'forced', cell: ({ forcedCheckpoints }) => forcedCheckpoints },
  { head: 'useless', cell: ({ uselessCheckpoints }) => (uselessCheckpoints < 0 ? '?' : uselessCheckpoints) },
  { head: 'control', cell: ({ controlMessages, controlBytes }) => `${controlMessages} / ${size(controlBytes)}` },
  { head: 'piggyb./msg', cell: ({ piggybackBytesPerMessage }) => `${piggybackBytesPerMessage.toFixed(1)} B` },
  { head: 'logged', cell: ({ loggedBytes }) => size(loggedBytes) },
  { head: 'in transit', cell: ({ recordedBytes }) => size(recordedBytes) },
  { head: 'storage', cell: ({ peakStorageBytes }) => size(peakStorageBytes) },
  { head: 'blocked', cell: ({ blockedMeanMs }) => milliseconds(blockedMeanMs) },
  { head: 'p99', cell: ({ blockedP99Ms }) => milliseconds(blockedP99Ms) },
];

/** What a failure costs. */
export const FAILURES: readonly Column[] = [
  { head: 'crashes', cell: ({ crashes }) => crashes },
  { head: 'went back', cell: ({ rolledBackPerFailure }) => rolledBackPerFailure.toFixed(1) },
  {
    head: 'distance (max)',
    cell: ({ rollbackCheckpointsMean, rollbackCheckpointsMax }) =>
      `${rollbackCheckpointsMean.toFixed(1)} (${rollbackCheckpointsMax})`,
  },
  { head: 'lost work', cell: ({ lostWorkMsPerFailure }) => milliseconds(lostWorkMsPerFailure) },
  { head: 'recovery', cell: ({ recoveryMs }) => milliseconds(recoveryMs) },
];

/** The comparison as people read it, with a second table if something crashed. What the columns mean: docs/overhead.md. */
export function studyTable(rows: readonly StudyRow[]): string {
  const costs = table(COSTS, rows);
  return rows.some(({ crashes }) => crashes > 0) ? `${costs}\nPer failure:\n${table(FAILURES, rows)}` : costs;
}

function table(columns: readonly Column[], rows: readonly StudyRow[]): string {
  const head = ['algorithm', ...columns.map((column) => column.head)];
  const shown = new Table({ head, style: { head: [], border: [], compact: true } });
  for (const row of rows) shown.push([nameOf(row), ...columns.map(({ cell }) => cell(row))]);
  return shown.toString();
}

/** The algorithm, and how far its run came if it was interrupted. */
export function nameOf({ algorithm, done }: StudyRow): string {
  return done < 1 ? `${algorithm} (stopped at ${Math.floor(done * 100)} %)` : algorithm;
}

/** `1.2 MB` */
export function size(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  for (const [unit, factor] of [
    ['kB', 1e3],
    ['MB', 1e6],
    ['GB', 1e9],
  ] as const) {
    if (bytes < factor * 1000) return `${(bytes / factor).toFixed(1)} ${unit}`;
  }
  return `${(bytes / 1e12).toFixed(1)} TB`;
}

/** `183 ms`, `1.20 s` */
export function milliseconds(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(0)} ms`;
}
