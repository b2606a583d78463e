import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Doubts, signOf } from '../../../agent/sidecar/peers/doubts.ts';
import type { DialResult } from '../../../agent/sidecar/peers/peer-link.ts';

const ADDRESS = '10.0.0.2';
const SILENCE: DialResult = { kind: 'silent', reason: 'no answer', connected: false, local: false };
const SLOW: DialResult = { ...SILENCE, connected: true };
const NOBODY: DialResult = { kind: 'non-peer', reason: 'ECONNREFUSED', nobody: true };
const BUSY: DialResult = { kind: 'busy' };

/** Somebody whose link is in this state, whose calls have these results (the last one again and again), each after a second if it is silent. */
function doubts(link: boolean | undefined, results: readonly DialResult[], vouchedFor = false) {
  const seen: string[] = [];
  const state = { link, vouchedFor };
  let calls = 0;
  const made = new Doubts({
    acknowledged: async (_address, withinMs) => {
      if (state.link === false) await new Promise((resolve) => setTimeout(resolve, withinMs));
      return state.link;
    },
    dial: async () => {
      const result = results[Math.min(calls++, results.length - 1)] ?? SILENCE;
      if (result.kind === 'silent' && !result.local) await new Promise((resolve) => setTimeout(resolve, 1_000));
      return result;
    },
    vouchedFor: () => state.vouchedFor,
    alive: (address) => seen.push(`${address} is alive`),
    gone: (address, _beforeMs, reason) => seen.push(`${address} is gone: ${reason}`),
  });
  return { made, seen, state, calls: () => calls };
}

describe('whether a sidecar that may be gone is', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is known without a call when its link answers', async () => {
    const { made, seen, calls } = doubts(true, [SILENCE]);
    await expect(made.check([ADDRESS], 1_000)).resolves.toEqual([]);
    expect([seen, calls()]).toEqual([[], 0]);
  });

  it.each([
    ['its kernel refuses a call', [NOBODY], 'nobody listens there any more'],
    ['it is silent twice', [SILENCE, SILENCE], 'no answer'],
    [
      'it is silent twice, but for a call that could not be made',
      [SILENCE, { ...SILENCE, local: true }, SILENCE, SILENCE],
      'no answer',
    ],
  ] as const)('it is when no link stands and %s', async (_what, results, reason) => {
    const { made, seen, calls } = doubts(undefined, results);
    const known = made.raise(ADDRESS);
    await vi.advanceTimersByTimeAsync(10_000);
    await known;
    expect(seen).toEqual([`${ADDRESS} is gone: ${reason}`]);
    expect(calls()).toBe(results.length);
  });

  it.each([
    ['it answers after a while', [SILENCE, BUSY]],
    ['a process that stands still takes calls, and answers in the end', [SILENCE, SLOW, SLOW, SILENCE, SLOW, BUSY]],
    ['somebody else answers: the kernel there knows what he has', [{ ...NOBODY, nobody: false }]],
  ] as const)('it is not when %s', async (_what, results) => {
    const { made, seen } = doubts(undefined, results);
    const known = made.raise(ADDRESS);
    await vi.advanceTimersByTimeAsync(10_000);
    await known;
    expect(seen).toEqual([`${ADDRESS} is alive`]);
  });

  it('is left open while its link stands and the agent names it: a node may be busy', async () => {
    const { made, seen, state } = doubts(false, [SILENCE], true);
    const checked = made.check([ADDRESS], 10_000);
    await vi.advanceTimersByTimeAsync(10_000);
    await expect(checked).resolves.toEqual([ADDRESS]);
    expect(seen).toEqual([]);
    state.vouchedFor = false; // the agent does not name it any more, or the link has timed out
    await vi.advanceTimersByTimeAsync(2_000);
    expect(seen).toEqual([`${ADDRESS} is gone: no answer`]);
  });

  it('is found out once, however many want to know', async () => {
    const { made, seen, calls } = doubts(undefined, [SILENCE]);
    const known = Promise.all([made.raise(ADDRESS), made.raise(ADDRESS), made.check([ADDRESS], 5_000)]);
    await vi.advanceTimersByTimeAsync(5_000);
    await known;
    expect([seen.length, calls()]).toEqual([1, 2]);
  });
});

it('an answer with the stack’s key, or that it is not ready, is a sign of life', () => {
  expect(signOf(BUSY)).toEqual({ kind: 'alive' });
  expect(signOf({ ...NOBODY, reason: 'refused', nobody: false })).toEqual({ kind: 'alive' });
});
