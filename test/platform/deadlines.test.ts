import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { ProgressDeadline, passedText, pause, poll, within, type Passed } from '../../src/platform/deadlines.ts';

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

  it('takes an answer that has come while this process had no processor', async () => {
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => port2.once('message', resolve));
    const waiting = within(answer, 20, () => new Error('late'));
    port1.postMessage('in time');
    stall(60);
    expect(await waiting).toBe('in time');
    port1.close();
  });
});

describe('a deadline of progress', () => {
  const late = (passed: Passed): Error => new Error(passedText(passed));

  it('does not pass while something is done, however long it takes, and says what was last done when it passes', async () => {
    vi.useFakeTimers();
    try {
      using deadline = new ProgressDeadline({ limitMs: 10_000, late });
      const work = deadline.guard(new Promise(() => undefined));
      work.catch(() => undefined);
      for (let mark = 1; mark <= 20; mark++) {
        await vi.advanceTimersByTimeAsync(9_000);
        expect(deadline.note({ doing: `page ${mark}`, mark: String(mark) })).toBe(true);
        expect(deadline.note({ doing: `page ${mark}`, mark: String(mark) })).toBe(false);
      }
      expect(deadline.signal.aborted).toBe(false);
      await vi.advanceTimersByTimeAsync(11_000);
      await expect(work).rejects.toThrow(/^no progress for 1[01] s, after 19[01] s in all; last heard: page 20$/);
      expect(() => deadline.check()).toThrow('page 20');
      await expect(deadline.guard(Promise.resolve(1))).rejects.toThrow('page 20');
    } finally {
      vi.useRealTimers();
    }
  });

  it('counts nothing but what is told: the same mark is no progress', async () => {
    using deadline = new ProgressDeadline({ limitMs: 60, late });
    const work = deadline.guard(new Promise(() => undefined));
    const noting = setInterval(() => deadline.note({ doing: 'the same', mark: '7' }), 5);
    await expect(work).rejects.toThrow('last heard: the same');
    clearInterval(noting);
  });

  it('hardly counts time in which this process had no processor itself', async () => {
    using deadline = new ProgressDeadline({ limitMs: 400, late });
    for (let times = 0; times < 3; times++) {
      stall(300);
      await pause(1);
    }
    expect(deadline.signal.aborted).toBe(false);
  });

  it('passes no more when it is disposed of', async () => {
    const deadline = new ProgressDeadline({ limitMs: 5, late });
    deadline[Symbol.dispose]();
    await pause(30);
    expect(deadline.signal.aborted).toBe(false);
  });
});

/** Nothing of this process gets on for so long. */
function stall(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
