import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HeldTasks } from '../../../agent/tasks/held-tasks.ts';
import { relocation } from '../../../agent/tasks/holder.ts';
import type { TaskState } from '../../../agent/tasks/held-task.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import { CONTAINER, HeldBed, NOTHING_LEFT, OTHER, RESTORE, ROUND } from './held-bed.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const SUSPENDED = {
  frozen: [CONTAINER],
  blocked: [CONTAINER],
  moved: [],
  journal: [[CONTAINER, RESTORE.id]],
  switches: [CONTAINER],
  still: ['undecided'],
};
const RETIRED = {
  frozen: [CONTAINER],
  blocked: [CONTAINER],
  moved: [CONTAINER],
  journal: [],
  switches: [`${CONTAINER}-moved`],
  still: ['decided'],
};

type Request = (held: HeldTasks) => Promise<unknown>;
const requests = {
  take: (held) => held.take(RESTORE, new HeldBed().container(CONTAINER), { letGo: () => Promise.resolve() }),
  suspend: (held) => held.suspend(RESTORE, CONTAINER, 5_000),
  'take over': (held) => held.takeOver(RESTORE, ROUND, CONTAINER),
  'prepare retirement': (held) => held.prepareRetirement(RESTORE, CONTAINER, 5_000),
  retire: (held) => held.retire(RESTORE, CONTAINER),
  release: (held) => held.release(RESTORE, 'x'),
} satisfies Record<string, Request>;
type Name = keyof typeof requests;

/** What a relocation gets that asks for a task. `ok`: it is done, or there is nothing to do. */
const HELD_BY_A_ROUND: [TaskState, Name, string][] = [
  ['running', 'suspend', 'conflict'],
  ['blocked', 'suspend', 'conflict'],
  ['frozen', 'suspend', 'conflict'],
  ['moved', 'suspend', 'conflict'],
  ['running', 'take over', 'interrupted'],
  ['blocked', 'take over', 'interrupted'],
  ['frozen', 'take over', 'ok'],
  ['moved', 'take over', 'interrupted'],
  ['frozen', 'take', 'conflict'],
  ['frozen', 'prepare retirement', 'interrupted'],
  ['frozen', 'retire', 'ok'],
  ['frozen', 'release', 'ok'],
];

describe('a task that a round holds', () => {
  it('is not frozen any more when its switch has fired: if this agent died then, it would stay so', async () => {
    const bed = new HeldBed();
    const task = await bed.roundTask('blocked');
    for (const deadman of bed.armed) deadman.hasFired = true;
    await expect(task.freeze()).rejects.toMatchObject({ code: 'interrupted' });
    expect(bed.done).not.toContain('freeze');
    await bed.held.release(ROUND, 'it has failed');
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it.each(HELD_BY_A_ROUND)('%s: a relocation that asks to %s gets %s', async (state, name, result) => {
    const bed = new HeldBed();
    const task = await bed.roundTask(state);
    const frozen = bed.frozen.has(CONTAINER);
    const answer = await requests[name](bed.held).then(
      () => 'ok',
      (error: unknown) => (error instanceof SwarmcutError ? error.code : String(error)),
    );
    expect(answer).toBe(result);
    // Whatever was asked: it is the round's, and stands still as before.
    expect(task.state).toBe(state);
    expect(bed.frozen.has(CONTAINER)).toBe(frozen);
  });

  it('is handed over once, and then is the relocation’s alone', async () => {
    const handedOver = vi.fn();
    const bed = new HeldBed();
    await bed.roundTask('frozen', { handedOver });
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    expect(handedOver).toHaveBeenCalledTimes(1);
    await expect(bed.held.takeOver(OTHER, ROUND, CONTAINER)).rejects.toMatchObject({ code: 'interrupted' });
    await expect(bed.held.suspend(OTHER, CONTAINER, 1)).rejects.toMatchObject({
      code: 'conflict',
      message: 'another restore or migration r1 has this task',
    });
    expect(bed.left).toEqual(SUSPENDED);
  });

  it('is let go by its participant when the relocation gives up, and by hand where that fails', async () => {
    for (const letGo of [undefined, () => Promise.resolve()]) {
      const bed = new HeldBed();
      await bed.roundTask('frozen', letGo === undefined ? {} : { letGo });
      await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
      await bed.held.release(RESTORE, 'x');
      expect(bed.left).toEqual(NOTHING_LEFT);
    }
  });

  it('goes on, too, when the round is given up after all: its checkpoints are gone', async () => {
    const bed = new HeldBed();
    await bed.roundTask('frozen');
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    await bed.held.release(ROUND, 'x');
    expect(bed.left).toEqual(NOTHING_LEFT);
    await expect(bed.held.prepareRetirement(RESTORE, CONTAINER, 1)).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('keeps the round’s deadline when it is handed over', async () => {
    const bed = new HeldBed();
    await bed.roundTask('frozen');
    await vi.advanceTimersByTimeAsync(9_000);
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    await vi.advanceTimersByTimeAsync(900);
    expect(bed.left).toEqual(SUSPENDED);
    await vi.advanceTimersByTimeAsync(200);
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it('is not handed over once the dead man’s switch has let it go, though nobody has noticed', async () => {
    const bed = new HeldBed();
    await bed.roundTask('frozen');
    for (const deadman of bed.armed) deadman.hasFired = true;
    await expect(bed.held.takeOver(RESTORE, ROUND, CONTAINER)).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('may be taken again when it has been given back', async () => {
    const bed = new HeldBed();
    const task = await bed.roundTask('running');
    await expect(bed.roundTask('running')).rejects.toMatchObject({ code: 'conflict' });
    await bed.held.giveBack(task);
    expect(bed.left).toEqual(NOTHING_LEFT);
    await bed.held.suspend(RESTORE, CONTAINER, 1_000);
    expect(bed.left).toEqual(SUSPENDED);
  });
});

describe('a task that a relocation suspends', () => {
  it('is blocked before it is frozen, with the dead man’s switch armed before either', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    expect(bed.done).toEqual(['open', 'note', 'block sidecar', 'arm', 'block', 'freeze']);
    expect(bed.left).toEqual(SUSPENDED);
    expect([...bed.armed].map(({ afterMs }) => afterMs)).toEqual([7_000]);
  });

  it('goes on with its connections, which have tried in vain behind the block; not one that runs already', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.release(RESTORE, 'the restore has failed');
    expect(bed.done.slice(6)).toEqual(['unblock', 'prod', 'thaw', 'push', 'release sidecar', 'detach', 'forget']);
    await bed.held.suspend(OTHER, CONTAINER, 5_000);
    for (const deadman of bed.armed) deadman.hasFired = true;
    await bed.held.release(OTHER, 'x');
    expect(bed.done.filter((step) => step === 'prod')).toHaveLength(1);
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it.each(['open', 'note', 'block sidecar', 'arm', 'block', 'freeze'])(
    'runs on when the relocation gives up during: %s',
    async (step) => {
      const bed = new HeldBed();
      const waiting = deferred<undefined>();
      const begun = deferred<undefined>();
      bed.before.set(step, () => {
        begun.resolve(undefined);
        return waiting.promise;
      });
      const suspending = bed.held.suspend(RESTORE, CONTAINER, 120_000);
      await begun.promise;
      const released = bed.held.release(RESTORE, 'the command has ended');
      waiting.resolve(undefined);
      await expect(suspending).rejects.toMatchObject({ code: 'interrupted' });
      await released;
      expect(bed.left).toEqual(NOTHING_LEFT);
    },
  );

  it.each(['note', 'block sidecar', 'arm', 'block', 'freeze'])('runs on when this fails: %s', async (step) => {
    const bed = new HeldBed();
    bed.broken.set(step, new Error(`cannot ${step}`));
    await expect(bed.held.suspend(RESTORE, CONTAINER, 5_000)).rejects.toThrow(`cannot ${step}`);
    expect(bed.left).toEqual(NOTHING_LEFT);
    bed.broken.clear();
    await bed.held.suspend(OTHER, CONTAINER, 5_000);
    expect(bed.frozen.has(CONTAINER)).toBe(true);
  });

  it('is not suspended any more by a relocation that has given up, also not by a request that comes late', async () => {
    const bed = new HeldBed();
    await bed.held.release(RESTORE, 'x');
    await expect(bed.held.suspend(RESTORE, CONTAINER, 1)).rejects.toMatchObject({
      code: 'interrupted',
      message: 'restore or migration r1 was given up',
    });
    await expect(bed.held.takeOver(RESTORE, ROUND, CONTAINER)).rejects.toMatchObject({ code: 'interrupted' });
    expect(bed.done).toEqual([]);
  });

  it('has the engine’s stops wait for as long as the dead man’s switch lets it stand still', async () => {
    const bed = new HeldBed();
    const told = (): unknown => bed.standstills.get(CONTAINER);
    bed.before.set('block', () => {
      expect(told()).toMatchObject({ endsInMs: 7_000, decided: false });
      return Promise.resolve();
    });
    bed.before.set('thaw', () => {
      expect(told()).toBeDefined();
      return Promise.resolve();
    });
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 30_000);
    expect(told()).toMatchObject({ endsInMs: 32_000, decided: false });
    await bed.held.release(RESTORE, 'x');
    expect(told()).toBeUndefined();
  });

  it('is not another restore’s to suspend, and is free when its own is over', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await expect(bed.held.suspend(OTHER, CONTAINER, 5_000)).rejects.toMatchObject({ code: 'conflict' });
    expect(bed.left).toEqual(SUSPENDED);
    await bed.held.release(RESTORE, 'x');
    await bed.held.suspend(OTHER, CONTAINER, 5_000);
    expect(bed.left).toEqual({ ...SUSPENDED, journal: [[CONTAINER, OTHER.id]] });
  });

  it('runs on at its deadline, is free then, and cannot be retired by the one who has slept', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await vi.advanceTimersByTimeAsync(4_900);
    expect(bed.left).toEqual(SUSPENDED);
    await vi.advanceTimersByTimeAsync(200);
    expect(bed.left).toEqual(NOTHING_LEFT);
    await expect(bed.held.prepareRetirement(RESTORE, CONTAINER, 1)).rejects.toMatchObject({ code: 'interrupted' });
    await bed.held.suspend(OTHER, CONTAINER, 5_000);
    expect(bed.frozen.has(CONTAINER)).toBe(true);
  });

  it('stands still for longer when it is suspended again', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await vi.advanceTimersByTimeAsync(4_000);
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(bed.left).toEqual(SUSPENDED);
    expect(bed.done.filter((step) => step === 'freeze')).toHaveLength(1);
  });

  it('is not called frozen once the dead man’s switch has let it go', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    for (const deadman of bed.armed) deadman.hasFired = true;
    const frozen = bed.done.length;
    await expect(bed.held.suspend(RESTORE, CONTAINER, 5_000)).rejects.toMatchObject({ code: 'interrupted' });
    await expect(bed.held.prepareRetirement(RESTORE, CONTAINER, 1)).rejects.toMatchObject({ code: 'interrupted' });
    // It must not be blocked again behind its back.
    expect(bed.done.slice(frozen)).not.toContain('renew block');
    expect(bed.moved.size).toBe(0);
  });

  it('is tried again when it cannot be let go, and belongs to nobody else until then', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 60_000);
    bed.broken.set('thaw', new Error('runc is broken'));
    await bed.held.release(RESTORE, 'x');
    expect(bed.errors).toEqual(['cannot let go of a task']);
    expect(bed.armed.size).toBe(1);
    await expect(bed.held.suspend(OTHER, CONTAINER, 1)).rejects.toMatchObject({ code: 'conflict' });
    bed.broken.clear();
    await vi.advanceTimersByTimeAsync(5_100);
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it('needs no thaw when it has ended', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 60_000);
    bed.broken.set('thaw', new SwarmcutError('not-found', 'runc resume: container does not exist'));
    await bed.held.release(RESTORE, 'x');
    expect(bed.left).toEqual({ ...NOTHING_LEFT, frozen: [CONTAINER] });
  });

  it('is let go with all others of its relocation, and with no one else’s', async () => {
    const bed = new HeldBed();
    const own = ['a', 'b', 'c'];
    await Promise.all(own.map((id) => bed.held.suspend(RESTORE, id, 5_000)));
    await bed.held.suspend(OTHER, 'd', 5_000);
    await bed.held.release(RESTORE, 'x');
    expect([...bed.frozen]).toEqual(['d']);
  });
});

describe('a task whose successor is about to run', () => {
  it('is ended by the engine’s next kill, stands still for as long as that takes, and never goes on', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 30_000);
    expect(bed.left).toEqual({ ...SUSPENDED, moved: [CONTAINER] });
    await vi.advanceTimersByTimeAsync(20_000);
    await bed.held.retire(RESTORE, CONTAINER);
    await bed.held.retire(RESTORE, CONTAINER);
    expect(bed.left).toEqual(RETIRED);
    await bed.held.release(RESTORE, 'x');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(bed.left).toEqual(RETIRED);
    expect(bed.done.filter((step) => step === 'end sidecar')).toHaveLength(1);
  });

  it('is left to Swarm for as long as its successor’s health check may take for its first verdict', async () => {
    const bed = new HeldBed();
    bed.health = { args: ['x'], unhealthy: false, timeoutMs: 3_000, verdictMs: 150_000 };
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 30_000);
    await bed.held.retire(RESTORE, CONTAINER);
    expect([...bed.armed].map(({ afterMs }) => afterMs)).toEqual([210_000]);
    expect(bed.standstills.get(CONTAINER)).toMatchObject({ endsInMs: 210_000, decided: true, health: bed.health });
    // Nobody else gets it meanwhile.
    await vi.advanceTimersByTimeAsync(209_000);
    await expect(bed.held.suspend(OTHER, CONTAINER, 1)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('goes on when the relocation fails after all', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 30_000);
    await bed.held.release(RESTORE, 'x');
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it('is still ended when its peers cannot be kept from it', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 30_000);
    bed.broken.set('renew block', new Error('there is no block'));
    await expect(bed.held.retire(RESTORE, CONTAINER)).rejects.toThrow('there is no block');
    expect(bed.left).toEqual(RETIRED);
  });

  it('stands still again if it was let go since the decision', async () => {
    const bed = new HeldBed();
    const task = await bed.roundTask('frozen');
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 30_000);
    // Its sidecar has died: the participant lets it go.
    await task.unblock();
    await task.thaw();
    await bed.held.retire(RESTORE, CONTAINER);
    expect(bed.left).toEqual(RETIRED);
  });

  it('is touched by nobody when it has moved', async () => {
    const bed = new HeldBed();
    const task = await bed.roundTask('frozen');
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    await bed.held.retire(RESTORE, CONTAINER);
    const done = [...bed.done];
    await task.unblock();
    await task.thaw();
    await task.advance(2);
    expect(bed.done).toEqual(done);
  });

  it('is not retired by one who does not have it', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.retire(relocation('somebody'), CONTAINER);
    expect(bed.left).toEqual(SUSPENDED);
  });
});

it('a task that has moved leaves no marks when it must have ended: a killed engine ends it without the shim', async () => {
  vi.useFakeTimers();
  try {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.retire(RESTORE, CONTAINER);
    expect([[...bed.moved], [...bed.standstills.keys()]]).toEqual([[CONTAINER], [CONTAINER]]);
    await vi.advanceTimersByTimeAsync(61_000);
    expect([[...bed.moved], [...bed.standstills.keys()]]).toEqual([[], []]);
  } finally {
    vi.useRealTimers();
  }
});
