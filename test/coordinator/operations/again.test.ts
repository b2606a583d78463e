import { beforeEach, expect, test, vi } from 'vitest';
import { untilItPasses } from '../../../coordinator/operations/rounds/again.ts';

const PASSES = 'CRIU could not dump it: sk unix: Non-empty write queue on an in-flight socket';
const ctx = { emit: vi.fn(), signal: new AbortController().signal };

beforeEach(() => {
  ctx.emit.mockClear();
});

/** Rounds that end like this, one after the other; the ids that they had. */
function rounds(...endings: readonly string[]) {
  const ids: string[] = [];
  const round = (id: string): Promise<string> => {
    ids.push(id);
    const ending = endings[ids.length - 1] ?? 'done';
    return ending === 'done' ? Promise.resolve(id) : Promise.reject(new Error(ending));
  };
  return { ids, round };
}

test('a round in whose way something is that passes is made again, under another id', async () => {
  const { ids, round } = rounds(PASSES, 'done');
  const made = await untilItPasses(ctx, 'first', round);
  expect(ids).toEqual(['first', made]);
  expect(made).not.toBe('first');
  expect(ctx.emit).toHaveBeenCalledTimes(1);
});

test('any other failure is final', async () => {
  const { ids, round } = rounds('Unsupported proto 262');
  await expect(untilItPasses(ctx, 'first', round)).rejects.toThrow('262');
  expect(ids).toEqual(['first']);
});

test('what does not pass is told in the end', async () => {
  vi.useFakeTimers();
  const { ids, round } = rounds(PASSES, PASSES, PASSES, PASSES, PASSES);
  const failed = expect(untilItPasses(ctx, 'first', round)).rejects.toThrow('Non-empty write queue');
  await vi.runAllTimersAsync();
  await failed;
  expect(ids).toHaveLength(4);
  vi.useRealTimers();
});
