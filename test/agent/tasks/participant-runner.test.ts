import { describe, expect, it } from 'vitest';
import { ParticipantRunner } from '../../../agent/tasks/participant-runner.ts';
import { algorithms } from '../../../src/algorithms/index.ts';
import type { TaskHandle } from '../../../src/execution/real-time-executor.ts';
import { deferred } from '../../../src/platform/deferred.ts';

/** A task that writes down what is done to it; `fail` makes steps fail, `saving` decides when the save ends. */
function recordedTask(options: { fail?: readonly string[]; saving?: Promise<void> } = {}): {
  task: TaskHandle;
  done: string[];
} {
  const done: string[] = [];
  const step = (name: string) => (): Promise<void> => {
    done.push(name);
    return options.fail?.includes(name) === true ? Promise.reject(new Error(`${name} is broken`)) : Promise.resolve();
  };
  const task: TaskHandle = {
    block: step('block'),
    freeze: step('freeze'),
    save: async () => {
      await step('save')();
      await options.saving;
    },
    advance: step('advance'),
    unblock: step('unblock'),
    thaw: step('thaw'),
    discard: step('discard'),
  };
  return { task, done };
}

function runner(
  algorithm: string,
  task: TaskHandle,
  options: { keepFrozen?: boolean; deadlineMs?: number } = {},
): ParticipantRunner {
  const participant = algorithms[algorithm]?.participant({
    process: 'p',
    epoch: 0,
    deadlineMs: options.deadlineMs ?? 60_000,
    keepFrozen: options.keepFrozen ?? false,
  });
  if (participant === undefined) throw new Error(algorithm);
  return new ParticipantRunner(participant, task, () => undefined);
}

describe('a participant on a real task', () => {
  it('blocks before it freezes, saves while frozen, and advances before it thaws', async () => {
    const { task, done } = recordedTask();
    const participant = runner('lai-yang', task);
    expect(await participant.cut(1)).toEqual({ kind: 'saved', epoch: 1 });
    participant.close();
    expect(done).toEqual(['block', 'freeze', 'save', 'advance', 'thaw']);
  });

  it('stays blocked and frozen under sync until it is released', async () => {
    const { task, done } = recordedTask();
    const participant = runner('sync', task);
    await participant.cut(1);
    expect(done).toEqual(['block', 'freeze', 'save']);
    await participant.feed({ kind: 'release' });
    participant.close();
    expect(done).toEqual(['block', 'freeze', 'save', 'advance', 'thaw']);
  });

  it.each(['block', 'freeze', 'save', 'advance', 'thaw'])(
    'lets the task go when %s fails, and says why',
    async (broken) => {
      const { task, done } = recordedTask({ fail: [broken] });
      const participant = runner('lai-yang', task);
      const outcome = await participant.cut(1);
      participant.close();
      expect(outcome).toMatchObject({ kind: 'aborted', reason: `${broken} failed: ${broken} is broken` });
      expect(done.slice(-3)).toEqual(['discard', 'unblock', 'thaw']);
    },
  );

  it('goes on undoing when undoing itself meets an error', async () => {
    const { task, done } = recordedTask({ fail: ['save', 'discard', 'unblock'] });
    const participant = runner('sync', task);
    expect(await participant.cut(1)).toMatchObject({ kind: 'aborted' });
    participant.close();
    expect(done.at(-1)).toBe('thaw');
  });

  it('aborts by itself at its deadline, while the save still hangs', async () => {
    const saving = deferred<undefined>();
    const { task, done } = recordedTask({ saving: saving.promise });
    const participant = runner('lai-yang', task, { deadlineMs: 50 });
    expect(await participant.cut(1)).toMatchObject({ kind: 'aborted', reason: 'the deadline has passed' });
    saving.resolve(undefined);
    participant.close();
    expect(done).toEqual(['block', 'freeze', 'save', 'discard', 'unblock', 'thaw']);
  });

  it('takes its checkpoint once, however often it is told to', async () => {
    const { task, done } = recordedTask();
    const participant = runner('lai-yang', task);
    await Promise.all([participant.cut(1), participant.cut(1)]);
    expect(await participant.cut(1)).toEqual({ kind: 'saved', epoch: 1 });
    participant.close();
    expect(done.filter((step) => step === 'freeze')).toHaveLength(1);
  });

  it('keeps a task that is to move frozen, whatever the algorithm', async () => {
    const { task, done } = recordedTask();
    const participant = runner('lai-yang', task, { keepFrozen: true });
    await participant.cut(1);
    participant.close();
    expect(done).not.toContain('thaw');
  });
});
