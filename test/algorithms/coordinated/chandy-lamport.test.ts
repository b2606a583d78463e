import { describe, expect, it } from 'vitest';
import { ChandyLamportParticipant } from '../../../src/algorithms/coordinated/chandy-lamport.ts';
import type { ParticipantEffect } from '../../../src/algorithms/contract.ts';

function participant(channels: { in?: string[]; out?: string[] } = {}, limit?: number): ChandyLamportParticipant {
  const made = new ChandyLamportParticipant({
    process: 'p',
    epoch: 0,
    deadlineMs: 1000,
    keepFrozen: false,
    ...(limit === undefined ? {} : { recordLimitBytes: limit }),
  });
  for (const channel of channels.in ?? []) made.step({ kind: 'opened', channel, direction: 'in', epoch: 0 });
  for (const channel of channels.out ?? []) made.step({ kind: 'opened', channel, direction: 'out', epoch: 0 });
  return made;
}

/** `freeze`, `send-marker x` … */
function text(effects: readonly ParticipantEffect[]): string[] {
  return effects.map((effect) => {
    if ('channel' in effect) return `${effect.kind} ${effect.channel}`;
    if (effect.kind !== 'report') return effect.kind;
    return effect.outcome.kind === 'saved'
      ? `saved ${effect.outcome.epoch}`
      : `aborted ${effect.outcome.epoch}: ${effect.outcome.reason}`;
  });
}

describe('ChandyLamportParticipant', () => {
  it('freezes, then sends markers before anything else, then records every incoming channel', () => {
    const p = participant({ in: ['a', 'b'], out: ['x', 'y'] });
    expect(text(p.step({ kind: 'start', epoch: 1, now: 0 }))).toEqual([
      'block',
      'freeze',
      'send-marker x',
      'send-marker y',
      'start-recording a',
      'start-recording b',
      'save',
    ]);
    expect(text(p.step({ kind: 'marker', channel: 'a', epoch: 1, now: 1 }))).toEqual(['stop-recording a']);
    expect(text(p.step({ kind: 'saved', now: 2 }))).toEqual(['advance', 'thaw']);
    expect(p.busy).toBe(true);
    expect(text(p.step({ kind: 'marker', channel: 'b', epoch: 1, now: 3 }))).toEqual(['stop-recording b', 'saved 1']);
    expect(p.busy).toBe(false);
  });

  it('cuts at the first marker, whose channel keeps only what was not delivered yet', () => {
    const p = participant({ in: ['a', 'b'], out: ['x'] });
    expect(text(p.step({ kind: 'marker', channel: 'b', epoch: 1, now: 0 }))).toEqual([
      'block',
      'freeze',
      'send-marker x',
      'start-recording a',
      'start-recording b',
      'save',
      'stop-recording b',
    ]);
    expect(p.awaited).toEqual(['a']);
  });

  it('merges initiators of one epoch, and ignores duplicate and stale markers', () => {
    const p = participant({ in: ['a', 'b'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(p.step({ kind: 'start', epoch: 1, now: 1 })).toEqual([]);
    p.step({ kind: 'marker', channel: 'a', epoch: 1, now: 1 });
    expect(p.step({ kind: 'marker', channel: 'a', epoch: 1, now: 1 })).toEqual([]);
    expect(p.step({ kind: 'marker', channel: 'b', epoch: 0, now: 1 })).toEqual([]);
    p.step({ kind: 'marker', channel: 'b', epoch: 1, now: 1 });
    p.step({ kind: 'saved', now: 2 });
    expect(p.step({ kind: 'marker', channel: 'b', epoch: 1, now: 3 })).toEqual([]);
    expect(p.busy).toBe(false);
  });

  it('refuses an overlapping epoch and goes on with the open one', () => {
    const p = participant({ in: ['a'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(text(p.step({ kind: 'marker', channel: 'a', epoch: 2, now: 1 }))).toEqual([
      'aborted 2: round 1 is still open at p',
    ]);
    p.step({ kind: 'saved', now: 2 });
    expect(text(p.step({ kind: 'marker', channel: 'a', epoch: 1, now: 3 }))).toEqual(['stop-recording a', 'saved 1']);
  });

  it('names the channel whose marker did not come, and puts everything back', () => {
    const p = participant({ in: ['a', 'b'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    p.step({ kind: 'marker', channel: 'a', epoch: 1, now: 1 });
    expect(p.step({ kind: 'tick', now: 999 })).toEqual([]);
    expect(text(p.step({ kind: 'tick', now: 1000 }))).toEqual([
      'stop-recording b',
      'discard',
      'unblock',
      'thaw',
      'aborted 1: the checkpoint was not saved in time, and no marker came in time on channel b',
    ]);
    expect(p.busy).toBe(false);
    expect(p.step({ kind: 'marker', channel: 'b', epoch: 1, now: 1001 })).toEqual([]);
  });

  it('names a few of many channels without a marker, and says how many more there are', () => {
    const p = participant({ in: Array.from({ length: 500 }, (_, index) => `c${index}`) });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    p.step({ kind: 'saved', now: 900 });
    expect(p.step({ kind: 'tick', now: 950 })).toEqual([]);
    const said = text(p.step({ kind: 'tick', now: 10_000 })).at(-1);
    expect(said).toBe('aborted 1: no marker came in time on channel c0, c1, c2, c3, c4 and 495 more');
  });

  it('waits for markers of slow peers for as long as some come, once the process runs again', () => {
    const p = participant({ in: ['a', 'b', 'c'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    p.step({ kind: 'saved', now: 900 });
    for (const now of [950, 1900]) expect(p.step({ kind: 'tick', now })).toEqual([]);
    p.step({ kind: 'marker', channel: 'a', epoch: 1, now: 1900 });
    for (const now of [1950, 2900]) expect(p.step({ kind: 'tick', now })).toEqual([]);
    expect(text(p.step({ kind: 'tick', now: 2950 }))).toEqual([
      'stop-recording b',
      'stop-recording c',
      'discard',
      'aborted 1: no marker came in time on channel b, c',
    ]);
  });

  it('puts no deadline off while a process stands still for the round, or a channel', () => {
    const frozen = participant({ in: ['a', 'b'] });
    frozen.step({ kind: 'start', epoch: 1, now: 0 });
    frozen.step({ kind: 'marker', channel: 'a', epoch: 1, now: 900 });
    expect(frozen.step({ kind: 'tick', now: 1000 })).not.toEqual([]);
    const full = participant({ in: ['a', 'b'] }, 100);
    full.step({ kind: 'start', epoch: 1, now: 0 });
    full.step({ kind: 'recorded', channel: 'b', bytes: 100, now: 1 });
    full.step({ kind: 'saved', now: 500 });
    full.step({ kind: 'marker', channel: 'a', epoch: 1, now: 900 });
    expect(full.step({ kind: 'tick', now: 1000 })).not.toEqual([]);
  });

  it('does not thaw again when it aborts after the thaw', () => {
    const p = participant({ in: ['a'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    p.step({ kind: 'saved', now: 1 });
    expect(text(p.step({ kind: 'abort', reason: 'asked to', now: 2 }))).toEqual([
      'stop-recording a',
      'discard',
      'aborted 1: asked to',
    ]);
  });

  it('takes a channel opened by a peer that has cut as a marker, and records nothing on it', () => {
    const p = participant({ in: ['a'], out: ['x'] });
    expect(text(p.step({ kind: 'opened', channel: 'n', direction: 'in', epoch: 1 }))).toEqual([
      'block',
      'freeze',
      'send-marker x',
      'start-recording a',
      'save',
    ]);
    // The input carried no time: the deadline counts from the next tick.
    expect(p.step({ kind: 'tick', now: 5000 })).toEqual([]);
    expect(text(p.step({ kind: 'tick', now: 6000 }))).toContain(
      'aborted 1: the checkpoint was not saved in time, and no marker came in time on channel a',
    );
  });

  it('does not wait for channels opened after its cut, nor for ended ones', () => {
    const p = participant({ in: ['a'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(p.step({ kind: 'opened', channel: 'n', direction: 'in', epoch: 1 })).toEqual([]);
    expect(p.awaited).toEqual(['a']);
    p.step({ kind: 'saved', now: 1 });
    expect(text(p.step({ kind: 'closed', channel: 'a', now: 2 }))).toEqual(['stop-recording a', 'saved 1']);
  });

  it('aborts and names the channel when a peer is lost before its marker', () => {
    const p = participant({ in: ['a'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(text(p.step({ kind: 'peer-lost', channel: 'a', now: 1 })).at(-1)).toBe(
      'aborted 1: the peer of channel a was lost before its marker came',
    );
  });

  it('turns a full recording into back-pressure, and resumes the channel whatever happens', () => {
    const p = participant({ in: ['a', 'b'] }, 100);
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(p.step({ kind: 'recorded', channel: 'a', bytes: 99, now: 1 })).toEqual([]);
    expect(text(p.step({ kind: 'recorded', channel: 'a', bytes: 100, now: 1 }))).toEqual(['pause-channel a']);
    expect(p.step({ kind: 'recorded', channel: 'a', bytes: 120, now: 1 })).toEqual([]);
    p.step({ kind: 'recorded', channel: 'b', bytes: 100, now: 1 });
    expect(text(p.step({ kind: 'marker', channel: 'b', epoch: 1, now: 2 }))).toEqual([
      'stop-recording b',
      'resume-channel b',
    ]);
    const effects = text(p.step({ kind: 'tick', now: 1000 }));
    expect(effects.slice(0, 2)).toEqual(['stop-recording a', 'resume-channel a']);
    expect(effects.at(-1)).toBe(
      'aborted 1: the checkpoint was not saved in time, and no marker came in time on channel a; recording limit reached on a',
    );
  });

  it('takes only markers of the round that was announced, and drops what an earlier one left', () => {
    const p = participant({ in: ['a'] });
    p.step({ kind: 'start', epoch: 9, now: 0 });
    expect(text(p.step({ kind: 'prepare', epoch: 4, now: 1 })).at(-1)).toBe('aborted 9: round 4 begins');
    expect(p.step({ kind: 'marker', channel: 'a', epoch: 11, now: 2 })).toEqual([]);
    expect(p.step({ kind: 'start', epoch: 3, now: 2 })).toEqual([]);
    expect(text(p.step({ kind: 'start', epoch: 4, now: 3 }))).toContain('freeze');
  });

  it('stays frozen until the release when the task is to move', () => {
    const p = new ChandyLamportParticipant({ process: 'p', epoch: 0, deadlineMs: 1000, keepFrozen: true });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(text(p.step({ kind: 'saved', now: 1 }))).toEqual(['saved 1']);
    expect(p.busy).toBe(true);
    expect(text(p.step({ kind: 'release', now: 2 }))).toEqual(['advance', 'thaw']);
    expect(p.busy).toBe(false);
  });

  it('undoes the cut when an effect fails', () => {
    const p = participant({ in: ['a'] });
    p.step({ kind: 'start', epoch: 1, now: 0 });
    expect(text(p.step({ kind: 'failed', effect: 'save', reason: 'disk full', now: 1 })).at(-1)).toBe(
      'aborted 1: save failed: disk full',
    );
  });
});
