import { describe, expect, it } from 'vitest';
import { runRound, type RoundExecutor } from '../../../../coordinator/operations/rounds/round-driver.ts';
import { algorithms } from '../../../../src/algorithms/index.ts';
import type { Round } from '../../../../src/algorithms/index.ts';
import { SwarmcutError } from '../../../../src/model/errors.ts';

function round(algorithm: string, processes: readonly string[], keepFrozen = false): Round {
  const made = algorithms[algorithm]?.round({ processes, epoch: 1, deadlineMs: 60_000, keepFrozen });
  if (made === undefined) throw new Error(algorithm);
  return made;
}

/** An executor that writes down what it is asked; `broken` calls fail, `stuck` ones never answer. */
function executor(options: { broken?: string; stuck?: string } = {}): { calls: string[]; executor: RoundExecutor } {
  const calls: string[] = [];
  const call = (name: string): Promise<void> => {
    calls.push(name);
    if (name === options.broken) return Promise.reject(new SwarmcutError('precondition', `${name} is broken`));
    return name === options.stuck ? new Promise(() => undefined) : Promise.resolve();
  };
  return {
    calls,
    executor: {
      prepare: (process) => call(`prepare ${process}`),
      start: (process) => call(`start ${process}`),
      release: (process) => call(`release ${process}`),
      collect: (process) => call(`collect ${process}`),
      commit: () => call('commit'),
      finish: () => call('finish'),
      handOver: () => call('hand over'),
      abort: (_processes, reason) => call(`abort ${reason}`),
    },
  };
}

const never = new AbortController().signal;

describe('a round', () => {
  it('commits only when every checkpoint is collected', async () => {
    const { calls, executor: executes } = executor();
    await runRound(round('lai-yang', ['a', 'b']), executes, never);
    expect(calls).toEqual([
      'prepare a',
      'prepare b',
      'start a',
      'start b',
      'collect a',
      'collect b',
      'commit',
      'finish',
    ]);
  });

  it('releases all together under sync, after the last has saved', async () => {
    const { calls, executor: executes } = executor();
    await runRound(round('sync', ['a', 'b']), executes, never);
    expect(calls.indexOf('release a')).toBeGreaterThan(calls.indexOf('start b'));
    expect(calls).toContain('release b');
  });

  it.each(['lai-yang', 'sync', 'chandy-lamport'])(
    'that keeps its tasks frozen hands them over at its end: %s',
    async (name) => {
      const { calls, executor: executes } = executor();
      await runRound(round(name, ['a', 'b'], true), executes, never);
      expect(calls.slice(-3)).toEqual(['collect a', 'collect b', 'hand over']);
      expect(calls.filter((call) => /release|commit|finish|abort/.test(call))).toEqual([]);
    },
  );

  it('says so when nobody takes the frozen tasks, and leaves them to whoever was to do so', async () => {
    const { calls, executor: executes } = executor({ broken: 'hand over' });
    await expect(runRound(round('sync', ['a'], true), executes, never)).rejects.toThrow('hand over is broken');
    expect(calls.at(-1)).toBe('hand over');
  });

  it.each(['prepare b', 'start b', 'collect b', 'commit'])(
    'aborts everywhere when %s fails, and throws that error',
    async (broken) => {
      const { calls, executor: executes } = executor({ broken });
      await expect(runRound(round('lai-yang', ['a', 'b']), executes, never)).rejects.toMatchObject({
        code: 'precondition',
        message: `${broken} is broken`,
      });
      expect(calls.filter((name) => name.startsWith('abort'))).toHaveLength(1);
      expect(calls).not.toContain('finish');
    },
  );

  it('aborts when the user gives up, while an agent does not answer', async () => {
    const { calls, executor: executes } = executor({ stuck: 'start b' });
    const user = new AbortController();
    const running = runRound(round('lai-yang', ['a', 'b']), executes, user.signal);
    user.abort();
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
    expect(calls.some((name) => name.startsWith('abort'))).toBe(true);
  });
});
