/** The bank's invariants, as a pure function of what all branches reported. */
import type { BranchReport, ChannelReport } from '../report.ts';

/** The bank as a whole. */
export interface Totals {
  readonly accounts: number;
  /** Sum of all balances. */
  readonly total: number;
  /** Money made at the start. */
  readonly initial: number;
  /** Transfers sent so far. */
  readonly transfers: number;
  /** Transfers sent and not received. */
  readonly inFlight: number;
  readonly missing: number;
  readonly duplicate: number;
}

type Counter = 'sentCount' | 'sentSum' | 'receivedCount' | 'receivedSum';
const COUNTERS: readonly Counter[] = ['sentCount', 'sentSum', 'receivedCount', 'receivedSum'];

/** Adds everything up. */
export function totals(reports: readonly BranchReport[]): Totals {
  const channels = reports.flatMap((report) => report.channels);
  const sum = <T>(items: readonly T[], value: (item: T) => number): number =>
    items.reduce((total, item) => total + value(item), 0);
  const transfers = sum(channels, (channel) => channel.sentCount);
  return {
    accounts: reports.length,
    total: sum(reports, (report) => report.balance),
    initial: sum(reports, (report) => report.initial),
    transfers,
    inFlight: transfers - sum(channels, (channel) => channel.receivedCount),
    missing: sum(channels, (channel) => channel.missing),
    duplicate: sum(channels, (channel) => channel.duplicate),
  };
}

/** Where a directed channel stands: what its sender booked and what its receiver did. */
export interface Direction {
  readonly name: string;
  readonly sent: ChannelReport;
  readonly received: ChannelReport;
}

/** All channels whose two ends have reported. */
export function directions(reports: readonly BranchReport[]): Direction[] {
  const byId = new Map(reports.map((report) => [report.id, report]));
  return reports.flatMap((report) =>
    report.channels.flatMap((sent) => {
      const received = byId.get(sent.peer)?.channels.find(({ peer }) => peer === report.id);
      return received === undefined ? [] : [{ name: `${report.id} -> ${sent.peer}`, sent, received }];
    }),
  );
}

/** Identities that somebody knows as a peer and that did not report. */
export function absent(reports: readonly BranchReport[]): string[] {
  const present = new Set(reports.map(({ id }) => id));
  const known = reports.flatMap((report) => report.channels.map(({ peer }) => peer));
  return [...new Set(known)].filter((id) => !present.has(id));
}

/** Errors that a branch has recorded itself, and connections it has lost: wrong whatever the others say. */
export function ownErrors(reports: readonly BranchReport[]): string[] {
  return reports.flatMap((report) => {
    const who = `${report.service} ${report.id}`;
    const found = report.errors.map((text) => `${who}: ${text}`);
    if (report.errorCount > report.errors.length) {
      found.push(`${who}: and ${report.errorCount - report.errors.length} more errors`);
    }
    for (const { peer, open } of report.channels) {
      if (!open) found.push(`${who}: the connection to ${peer} is closed`);
    }
    return found.concat((report.fileProblems ?? []).map((problem) => `${who}: ${problem}`));
  });
}

/**
 * What is wrong with a bank at rest: transfers stopped everywhere, nothing under way. Empty if all is well.
 * Conditions: the total is what was made; per channel, what was sent was received, by number and by sum; each balance
 * follows from its books; every pair has its connection, still open; no branch has seen an error.
 */
export function judgeAtRest(reports: readonly BranchReport[]): string[] {
  const found = ownErrors(reports);
  const sums = totals(reports);
  if (sums.total !== sums.initial) {
    found.push(`the balances add up to ${sums.total}, ${sums.initial} was made at the start`);
  }
  for (const { name, sent, received } of directions(reports)) {
    if (sent.sentCount !== received.receivedCount || sent.sentSum !== received.receivedSum) {
      found.push(
        `${name}: sent ${sent.sentCount} transfers, sum ${sent.sentSum}; received ${received.receivedCount}, sum ${received.receivedSum}`,
      );
    }
  }
  for (const report of reports) {
    const books = report.channels.reduce(
      (sum, { receivedSum, sentSum }) => sum + receivedSum - sentSum,
      report.initial,
    );
    if (books !== report.balance) found.push(`${report.id}: balance ${report.balance}, its books say ${books}`);
    const silent = report.channels.filter(({ peer }) => {
      const other = reports.find(({ id }) => id === peer);
      return other !== undefined && !other.channels.some((channel) => channel.peer === report.id);
    });
    for (const { peer } of silent) found.push(`${peer} does not know of its connection to ${report.id}`);
    if (report.channels.length < report.expectedPeers) {
      found.push(`${report.id}: ${report.channels.length} of ${report.expectedPeers} peers are connected`);
    }
  }
  for (const id of absent(reports)) found.push(`${id} is a peer of the others but did not report`);
  return found;
}

/** Counters that are lower in `after` than in `before`, and branches of `before` that are gone. Empty if none. */
export function wentBack(before: readonly BranchReport[], after: readonly BranchReport[]): string[] {
  const found: string[] = [];
  for (const old of before) {
    const now = after.find(({ id }) => id === old.id);
    if (now === undefined) found.push(`${old.service} ${old.id} is gone`);
    for (const was of now === undefined ? [] : old.channels) {
      const is = now?.channels.find(({ peer }) => peer === was.peer);
      for (const counter of COUNTERS) {
        const value = is?.[counter] ?? 0;
        if (value < was[counter]) {
          found.push(`${old.id}, channel to ${was.peer}: ${counter} went back from ${was[counter]} to ${value}`);
        }
      }
    }
  }
  return found;
}
