import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { PrepareOptions, RoundSessionOptions } from '../../../agent/tasks/round-session.ts';
import { Rounds, type RoundsOptions } from '../../../agent/tasks/rounds.ts';
import { round, type Keeper } from '../../../agent/tasks/holder.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import { CONTAINER, HeldBed, NOTHING_LEFT, OTHER, RESTORE } from './held-bed.ts';

/** Sessions without containers: what `openRoundSession` makes is decided here. */
const opening = vi.hoisted(() => ({
  openRoundSession: (_round: unknown, _options: unknown, _keeper: unknown): Promise<unknown> =>
    Promise.reject(new Error('?')),
}));
vi.mock('../../../agent/tasks/round-session.ts', () => ({
  openRoundSession: (...all: [unknown, unknown, unknown]) => opening.openRoundSession(...all),
}));

const TASK = { service: 'bank_a', slot: '1', taskId: 't', containerId: CONTAINER };
const SNAPSHOT = 's1';

function prepare(snapshotId = SNAPSHOT): PrepareOptions {
  const rest = { stack: 'bank', algorithm: 'sync', epoch: 1, subnets: [], deadlineMs: 10_000, aliases: [] };
  return { stageInMemory: false, snapshotId, task: TASK, keepFrozen: true, ...rest };
}

let bed: HeldBed;
let rounds: Rounds;
let ledger: string[];
let told: string[];
/** How the next cut comes to nothing. */
let failed: { readonly reason: string; readonly failure: unknown } | undefined;
/** A prepare waits for it. */
let ready: Promise<void>;

beforeEach(() => {
  bed = new HeldBed();
  ledger = [];
  failed = undefined;
  told = [];
  ready = Promise.resolve();
  opening.openRoundSession = async (made, options, keeper): Promise<unknown> => {
    const { snapshotId, task } = made as PrepareOptions;
    await ready;
    const { held: owner } = options as RoundSessionOptions;
    const held = await owner.take(round(snapshotId), bed.container(task.containerId), keeper as Keeper);
    const runner = {
      cut: async () => {
        if (failed !== undefined) return { kind: 'aborted', epoch: 1, reason: failed.reason };
        await held.block(10_000);
        await held.freeze();
        return { kind: 'saved', epoch: 1 };
      },
      feed: async ({ kind }: { kind: string }) => {
        told.push(kind);
        await held.unblock();
        await held.thaw();
      },
      finish: () => Promise.resolve(void told.push('finish')),
      close: () => void told.push('close'),
    };
    const session = {
      snapshotId,
      ref: task,
      held,
      runner,
      aliases: [],
      stageDir: '/nowhere/stage',
      task: {
        times: {},
        get failure() {
          return failed?.failure;
        },
      },
    };
    return {
      ...session,
      collected: undefined,
    };
  };
  const noted = (name: string) => (id: string) => Promise.resolve(void ledger.push(`${name} ${id}`));
  const get = (): { state: string } => ({ state: ledger.includes('permanent s1') ? 'permanent' : 'open' });
  const fake = { has: () => true, get, setState: noted('permanent'), release: noted('unpin'), remove: noted('remove') };
  rounds = new Rounds({ held: bed.held, ledger: fake } as unknown as RoundsOptions);
});

describe('the rounds of a node', () => {
  it('have a task until they are finished', async () => {
    await rounds.prepare(prepare());
    await rounds.prepare(prepare());
    await expect(rounds.prepare(prepare('s2'))).rejects.toMatchObject({
      code: 'conflict',
      message: 'another round s1 has this task',
      where: { service: 'bank_a', slot: '1' },
    });
    await rounds.finish(SNAPSHOT);
    expect(bed.left).toEqual(NOTHING_LEFT);
    expect(ledger).toEqual(['permanent s1']);
    await rounds.prepare(prepare('s2'));
  });

  it('do not begin for a task that a restore has suspended', async () => {
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await expect(rounds.prepare(prepare())).rejects.toMatchObject({ code: 'conflict' });
  });

  it('let their tasks go when they are given up', async () => {
    await rounds.prepare(prepare());
    await rounds.cut(SNAPSHOT, TASK, 1);
    expect(bed.frozen.has(CONTAINER)).toBe(true);
    await rounds.abort(SNAPSHOT, 'x');
    expect(bed.left).toEqual(NOTHING_LEFT);
    expect(told).toEqual(['abort', 'finish', 'close']);
    expect(ledger).toEqual(['unpin s1/bank_a.1', 'remove s1']);
    await expect(rounds.cut(SNAPSHOT, TASK, 1)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('say what is known about a dump that failed, and that the task runs on', async () => {
    await rounds.prepare(prepare());
    const failure = new SwarmcutError('failed', 'CRIU could not dump it: Unsupported proto 262', {
      advice: 'use plain TCP',
      where: { file: '/kept/dump.log' },
    });
    failed = { reason: 'the dump failed: CRIU could not dump it: Unsupported proto 262', failure };
    await expect(rounds.cut(SNAPSHOT, TASK, 1)).rejects.toMatchObject({
      message: failed.reason,
      advice: 'use plain TCP; the task runs on; nothing was kept',
      where: { service: 'bank_a', slot: '1', file: '/kept/dump.log' },
    });
    // Another task's reason is not this one's.
    failed = { reason: 'a peer gave up', failure };
    await expect(rounds.cut(SNAPSHOT, TASK, 1)).rejects.toMatchObject({ advice: 'the task runs on; nothing was kept' });
  });

  it('keep what is permanent, whoever gives them up afterwards', async () => {
    await rounds.prepare(prepare());
    await rounds.finish(SNAPSHOT);
    await rounds.abort(SNAPSHOT, 'said by a coordinator that knows of no commit');
    expect(ledger).toEqual(['permanent s1']);
  });

  it('are not prepared any more when they were given up, not even by a prepare that is under way', async () => {
    const waiting = deferred<undefined>();
    ready = waiting.promise;
    const preparing = rounds.prepare(prepare());
    const aborting = rounds.abort(SNAPSHOT, 'x');
    waiting.resolve(undefined);
    await expect(preparing).rejects.toMatchObject({ code: 'interrupted', message: 'round s1 was given up' });
    await aborting;
    await expect(rounds.prepare(prepare())).rejects.toMatchObject({ code: 'interrupted' });
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it('watch no longer over a task that a relocation has taken over, and what is permanent of it stays', async () => {
    await rounds.prepare(prepare());
    await rounds.cut(SNAPSHOT, TASK, 1);
    await bed.held.takeOver(RESTORE, round(SNAPSHOT), CONTAINER);
    expect(told).toEqual(['close']);
    await rounds.finish(SNAPSHOT);
    expect(bed.frozen.has(CONTAINER)).toBe(true);
    await bed.held.release(RESTORE, 'its coordinator is gone');
    expect(bed.left).toEqual(NOTHING_LEFT);
    expect(told).toEqual(['close', 'abort', 'finish']);
    expect(ledger).not.toContain('remove s1');
  });

  it('let a task go that was taken over when they are given up themselves, unless it has moved', async () => {
    await rounds.prepare(prepare());
    await rounds.cut(SNAPSHOT, TASK, 1);
    await bed.held.takeOver(RESTORE, round(SNAPSHOT), CONTAINER);
    await rounds.abort(SNAPSHOT, 'left behind');
    expect(bed.left).toEqual(NOTHING_LEFT);

    await rounds.prepare(prepare('s2'));
    await rounds.cut('s2', TASK, 1);
    await bed.held.takeOver(OTHER, round('s2'), CONTAINER);
    await bed.held.retire(OTHER, CONTAINER);
    await rounds.abort('s2', 'x');
    expect(bed.frozen.has(CONTAINER)).toBe(true);
  });
});
