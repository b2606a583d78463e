import { describe, expect, it } from 'vitest';
import { pause, poll, within } from '../../src/platform/deadlines.ts';

describe('poll', () => {
  it('looks at once, and again until something is there', async () => {
    let looks = 0;
    const seen = await poll(() => (++looks === 3 ? 'there' : undefined), { timeoutMs: 10_000, intervalMs: 1 });
    expect([seen, looks]).toEqual(['there', 3]);
  });

  it('gives up when the time is up, having looked at least once', async () => {
    let looks = 0;
    const look = (): Promise<string | undefined> => {
      looks += 1;
      return Promise.resolve(undefined);
    };
    expect(await poll(look, { timeoutMs: 0, intervalMs: 1 })).toBeUndefined();
    expect(looks).toBe(1);
    expect(await poll(look, { timeoutMs: 20, intervalMs: 1 })).toBeUndefined();
    expect(looks).toBeGreaterThan(2);
  });

  it('ends with the reason of the signal, also while it waits', async () => {
    const abort = new AbortController();
    const polling = poll(() => undefined, { timeoutMs: 60_000, intervalMs: 60_000, signal: abort.signal });
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(polling).rejects.toBe(reason);
    await expect(pause(60_000, abort.signal)).rejects.toBe(reason);
  });

  it('throws what the look throws', async () => {
    const look = (): never => {
      throw new Error('blind');
    };
    await expect(poll(look, { timeoutMs: 1_000, intervalMs: 1 })).rejects.toThrow('blind');
  });
});

describe('within', () => {
  it('hands on an answer, and a failure', async () => {
    const late = (): Error => new Error('late');
    expect(await within(Promise.resolve(1), 60_000, late)).toBe(1);
    await expect(within(Promise.reject(new Error('no')), 60_000, late)).rejects.toThrow('no');
  });

  it('fails an answer that comes too late', async () => {
    await expect(within(new Promise(() => undefined), 5, () => new Error('late'))).rejects.toThrow('late');
  });
});
