import { describe, expect, it } from 'vitest';
import { kooTouegRules, KooTouegRound } from '../../../src/algorithms/coordinated/koo-toueg.ts';

const now = 0;
const labels = (entries: Readonly<Record<string, number>>): Map<string, number> => new Map(Object.entries(entries));
const newRound = (keepFrozen = false): KooTouegRound =>
  new KooTouegRound({ processes: ['a', 'b', 'c', 'd'], epoch: 1, deadlineMs: 100, keepFrozen });

/** A round whose initiator `a` has been told to cut. */
function started(): KooTouegRound {
  const round = newRound();
  round.step({ kind: 'begin', now });
  round.step({ kind: 'prepared', process: 'a', now });
  return round;
}

/** `process` answers everything up to its save, and depends on these. */
function cut(round: KooTouegRound, process: string, cohort: Readonly<Record<string, number>> = {}): unknown[] {
  return [
    ...round.step({ kind: 'prepared', process, now }),
    ...round.requested(process, labels(cohort)),
    ...round.step({ kind: 'saved', process, now }),
  ];
}

describe('the rules of Koo & Toueg', () => {
  it('ask those from whom something came since the last checkpoint', () => {
    expect(kooTouegRules.cohort(labels({ b: 3, c: 2, d: 0 }), labels({ b: 2, c: 2 }))).toEqual(labels({ b: 3 }));
  });

  it('bind those who sent it since their own last checkpoint', () => {
    expect(kooTouegRules.mustFollow(labels({ a: 3 }), labels({ a: 2 }))).toBe(true);
    expect(kooTouegRules.mustFollow(labels({ a: 2 }), labels({ a: 2 }))).toBe(false);
    expect(kooTouegRules.mustFollow(labels({ a: 2, c: 1 }), labels({ a: 2 }))).toBe(true);
  });
});

describe('KooTouegRound', () => {
  it('begins with the initiator alone, and ends with it if it depends on nobody', () => {
    const round = newRound();
    expect(round.step({ kind: 'begin', now })).toEqual([{ kind: 'prepare', processes: ['a'], epoch: 1 }]);
    expect(cut(round, 'a')).toEqual([
      { kind: 'start', processes: ['a'], epoch: 1 },
      { kind: 'release', processes: ['a'] },
    ]);
    expect(round.step({ kind: 'released', process: 'a', now })).toEqual([{ kind: 'collect', processes: ['a'] }]);
    expect(round.step({ kind: 'collected', process: 'a', now })).toEqual([{ kind: 'commit' }]);
    expect(round.step({ kind: 'committed', now })).toEqual([{ kind: 'finish', processes: ['a'] }]);
    expect(round.phase).toBe('committed');
  });

  it('goes on to those whom the participants depend upon', () => {
    const round = started();
    expect(round.requested('a', labels({ b: 2 }))).toEqual([{ kind: 'prepare', processes: ['b'], epoch: 1 }]);
    expect(round.requestsTo('b')).toEqual(labels({ a: 2 }));
    round.step({ kind: 'saved', process: 'a', now });
    expect(cut(round, 'b', { a: 1, c: 7 })).toContainEqual({ kind: 'prepare', processes: ['c'], epoch: 1 });
    expect(cut(round, 'c')).toContainEqual({ kind: 'release', processes: ['a', 'b', 'c'] });
  });

  it('does not release before it is known whom a saved process depends upon', () => {
    const round = started();
    expect(round.step({ kind: 'saved', process: 'a', now })).toEqual([]);
    expect(round.requested('a', labels({}))).toEqual([{ kind: 'release', processes: ['a'] }]);
  });

  it('does without those who decline', () => {
    const round = started();
    cut(round, 'a', { b: 2 });
    expect(round.declined('b')).toEqual([{ kind: 'release', processes: ['a'] }]);
    expect(round.participants).toEqual(['a']);
  });

  it('asks again who has declined, or is about to, when another depends on it', () => {
    const round = started();
    round.requested('a', labels({ b: 2, c: 1, d: 1 }));
    round.step({ kind: 'saved', process: 'a', now });
    round.declined('b');
    expect(cut(round, 'c', { b: 5, d: 5 })).toContainEqual({ kind: 'prepare', processes: ['b'], epoch: 1 });
    expect(round.requestsTo('b')).toEqual(labels({ a: 2, c: 5 }));
    // d's answer is to the first question.
    expect(round.declined('d')).toEqual([{ kind: 'prepare', processes: ['d'], epoch: 1 }]);
    expect(round.declined('d')).toEqual([]);
    expect(cut(round, 'b')).toContainEqual({ kind: 'release', processes: ['a', 'b', 'c'] });
  });

  it('aborts at those who take part or have not answered, and nowhere else', () => {
    const round = started();
    cut(round, 'a', { b: 2, c: 2 });
    round.declined('b');
    expect(round.step({ kind: 'tick', now: 100 })).toEqual([
      { kind: 'abort', processes: ['a', 'c'], reason: 'nothing has got on for 0.1 s while cutting; no answer from c' },
    ]);
    expect(round.phase).toBe('aborted');
    expect(cut(round, 'c')).toEqual([]);
  });

  it('leaves everybody frozen for a migration', () => {
    const round = newRound(true);
    round.step({ kind: 'begin', now });
    expect(cut(round, 'a')).toContainEqual({ kind: 'collect', processes: ['a'] });
    expect(round.step({ kind: 'collected', process: 'a', now })).toEqual([{ kind: 'hand-over', processes: ['a'] }]);
    expect(round.phase).toBe('handed-over');
    expect(round.step({ kind: 'cancel', reason: 'x', now })).toEqual([]);
  });
});
