import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CHANNELS_FILE } from '../../../src/storage/channel-records.ts';
import { LONG, LONGER, ResumeBed, checked, plansFor } from './proxy-resume-bed.ts';
import type { Kinds, SavedTask } from './proxy-resume-bed.ts';
import type { AppEnd } from '../network/raw-app.ts';

/** Tasks, and where each one comes back: in other namespaces, with other addresses. */
const FIRST = { a: '10.95.0.1', b: '10.95.0.2', c: '10.95.0.3' };
const NEXT: Readonly<Record<string, string>> = { a: 'a2', b: 'b2', c: 'c2' };
const THEN: Readonly<Record<string, string>> = { a2: 'a3', b2: 'b3', c2: 'c3' };
const SECOND = { a2: '10.95.0.11', b2: '10.95.0.12', c2: '10.95.0.13' };
const ADDRESSES = { ...FIRST, ...SECOND, a3: '10.95.0.21', b3: '10.95.0.22', c3: '10.95.0.23' };
const TASKS = Object.keys(FIRST);

/** Bytes that the sidecars between have room for, and more than that: then the application's kernel keeps some, and the end behind them. */
const LITTLE = 2_500_000;
const MUCH = 6_000_000;

/** What each port's server does, and what its client does. */
const KINDS: Kinds = {
  7000: { server: {}, client: {} },
  /** Readers that are slower than writers, on either side. */
  7001: { server: { readAtOnce: 2_000 }, client: { sendAtOnce: 5_000 } },
  7002: { server: {}, client: { readAtOnce: 2_000 } },
  /** One direction has ended long before the cut. */
  7003: { server: {}, client: { sendBytes: 10_000 } },
  7004: { server: { sendBytes: 10_000 }, client: {} },
  /** … and its end has not got through to a slow reader. */
  7005: { server: { readAtOnce: 1_000 }, client: { sendBytes: LITTLE } },
  7006: { server: { sendBytes: MUCH }, client: { readAtOnce: 1_000 } },
};

let bed: ResumeBed;

beforeEach(async () => {
  bed = await ResumeBed.make(ADDRESSES);
});
afterEach(() => bed.close());

const endsOf = (tasks: readonly string[]): AppEnd[] => tasks.flatMap((task) => bed.app(task).ends);

/** All tasks vanish, and come back elsewhere from what was saved. */
async function replaceAll(saved: ReadonlyMap<string, SavedTask>, epoch: number, next: typeof NEXT): Promise<string[]> {
  const present = new Map([...saved.keys()].map((task) => [task, bed.proxies.address(next[task] ?? '')]));
  const plans = plansFor(saved, present);
  for (const task of saved.keys()) await bed.kill(task);
  const release: (() => Promise<void>)[] = [];
  for (const [task, kept] of saved)
    release.push(await bed.restore(next[task] ?? '', epoch, kept, plans.get(task) ?? []));
  await Promise.all(release.map((go) => go()));
  const tasks = [...saved.keys()].map((task) => next[task] ?? '');
  await bed.introduce(tasks);
  return tasks;
}

test('three loaded tasks come back in other namespaces, and every connection goes on where it was', async () => {
  await bed.connectAll(KINDS, TASKS, [7000, 7001, 7002]);
  await expect.poll(() => endsOf(TASKS).length).toBe(2 * 18);
  await bed.flows(TASKS);
  await bed.stuffed(TASKS);
  const { saved, rounds } = await bed.snapshot(1, TASKS);
  expect(checked(saved)).toBeGreaterThan(0);
  await bed.flows(TASKS);
  for (const round of rounds.values()) await round.finish();
  const tasks = await replaceAll(saved, 1, NEXT);
  expect(endsOf(tasks).length).toBe(2 * 18);
  await bed.flows(tasks);
  await bed.flows(tasks);
});

test('half-closed connections come back half-closed, in every combination', LONGER, async () => {
  await bed.connectAll(KINDS, TASKS, [7003, 7004, 7005, 7006]);
  await expect.poll(() => endsOf(TASKS).length).toBe(2 * 24);
  await bed.flows(TASKS);
  // Ends that have got through, ends on their way, and ends not yet sent.
  let living: readonly string[] = TASKS;
  const count = (which: (end: AppEnd) => boolean): number => endsOf(living).filter(which).length;
  await expect.poll(() => count(({ finGot }) => finGot), LONG).toBe(12);
  await expect.poll(() => count(({ finSent }) => finSent), LONG).toBe(24);
  const { saved, rounds } = await bed.snapshot(1, TASKS, ['b']);
  expect(checked(saved)).toBeGreaterThan(0);
  const cuts = [...saved.values()].flatMap(({ record }) => record.streams);
  expect(cuts.filter(({ finDelivered }) => finDelivered).length).toBeGreaterThanOrEqual(12);
  for (const round of rounds.values()) await round.finish();
  const tasks = (living = await replaceAll(saved, 1, NEXT));
  await bed.flows(tasks);
  // The slow ones hurry up; everything comes, and then its end.
  for (const end of endsOf(tasks)) if (end.manners.readAtOnce) end.manners.readAtOnce = 100_000;
  await expect.poll(() => count(({ got, finGot }) => finGot && got === LITTLE), LONG).toBe(6);
  await expect.poll(() => count(({ got, finGot }) => finGot && got === MUCH), LONG).toBe(6);
  await bed.flows(tasks);
  // The other direction ends, too.
  for (const end of endsOf(tasks)) end.manners.sendBytes ??= end.sent;
  await expect.poll(() => count(({ fd }) => fd >= 0), LONG).toBe(0);
  for (const task of tasks) await expect.poll(async () => (await bed.proxies.status(task)).streams, LONG).toBe(0);
  bed.fine(tasks);
});

test('what has come back can be saved again, and comes back again', LONGER, async () => {
  await bed.connectAll(KINDS, TASKS, [7000, 7002, 7003, 7005, 7006]);
  await bed.flows(TASKS);
  const first = await bed.snapshot(1, TASKS, ['a']);
  for (const round of first.rounds.values()) await round.finish();
  let tasks = await replaceAll(first.saved, 1, NEXT);
  await bed.flows(tasks);
  await bed.stuffed(tasks);
  const second = await bed.snapshot(2, tasks, ['a2', 'c2']);
  expect(checked(second.saved)).toBeGreaterThan(0);
  for (const round of second.rounds.values()) await round.finish();
  tasks = await replaceAll(second.saved, 2, THEN);
  expect(endsOf(tasks).length).toBe(2 * 30);
  await bed.flows(tasks);
  for (const end of endsOf(tasks)) if (end.manners.readAtOnce) end.manners.readAtOnce = 100_000;
  await bed.flows(tasks);
  for (const end of endsOf(tasks)) end.manners.sendBytes ??= end.sent;
  await expect.poll(() => endsOf(tasks).filter(({ fd }) => fd >= 0).length, LONG).toBe(0);
  bed.fine(tasks);
});

test('five hundred connections of one task come back', LONGER, async () => {
  await bed.connectAll(KINDS, ['a', 'b'], [7000], 0);
  const b = { address: bed.proxies.address('b'), port: 7000 };
  for (let n = 0; n < 500; n++) bed.app('a').connect(b, { sendAtOnce: 500 + n });
  for (const end of endsOf(['b'])) end.manners.sendAtOnce = 1000;
  await expect.poll(() => endsOf(['a', 'b']).length, LONG).toBe(1000);
  await bed.flows(['a', 'b']);
  const { saved, rounds } = await bed.snapshot(1, ['a', 'b'], ['b']);
  expect(checked(saved)).toBeGreaterThan(0);
  for (const round of rounds.values()) await round.finish();
  const tasks = await replaceAll(saved, 1, NEXT);
  expect(endsOf(tasks).length).toBe(1000);
  await bed.flows(tasks);
});

test('what was connected but not yet accepted is accepted by the restored task', LONGER, async () => {
  await bed.connectAll(KINDS, ['a', 'b'], [7000], 0);
  const b = bed.app('b');
  b.accepting = false;
  const at = { address: bed.proxies.address('b'), port: 7000 };
  const manners = [{ sendBytes: 30_000 }, { sendBytes: 30_000, stay: true }, { sendBytes: 0, stay: true }];
  for (const each of manners) bed.app('a').connect(at, each);
  // All has got through to the kernel of the application that does not look at it.
  const channels = async (): Promise<{ received: number; undelivered: number }[]> =>
    (await bed.proxies.call('b', 'channels')) as { received: number; undelivered: number }[];
  await expect
    .poll(async () => (await channels()).map(({ received }) => received).toSorted(), LONG)
    .toEqual([0, 30_000, 30_000]);
  const { saved, rounds } = await bed.snapshot(1, ['a', 'b'], ['a']);
  expect(checked(saved)).toBe(60_000);
  b.accepting = true;
  await expect.poll(() => b.ends.map(({ got }) => got).toSorted(), LONG).toEqual([0, 30_000, 30_000]);
  for (const round of rounds.values()) await round.finish();
  bed.app('b2').listenAs(b);
  await replaceAll(saved, 1, NEXT);
  const { ends } = bed.app('b2');
  await expect.poll(() => ends.map(({ got }) => got).toSorted(), LONG).toEqual([0, 30_000, 30_000]);
  await expect.poll(() => ends.filter(({ finGot }) => finGot).length, LONG).toBe(1);
  await bed.flows(['a2']);
  // In both directions, to the end.
  for (const end of endsOf(['a2', 'b2'])) {
    end.manners.stay = false;
    end.manners.sendBytes ??= end.sent;
  }
  await expect.poll(() => endsOf(['a2', 'b2']).filter(({ fd }) => fd >= 0).length, LONG).toBe(0);
  bed.fine(['a2', 'b2']);
});

test('a connection whose ends do not fit is reset, and the others go on', LONGER, async () => {
  await bed.connectAll(KINDS, ['a', 'b'], [7000, 7002]);
  await bed.flows(['a', 'b']);
  const { saved, rounds } = await bed.snapshot(1, ['a', 'b']);
  for (const round of rounds.values()) await round.finish();
  const kept = saved.get('a');
  const damaged = kept?.record.streams.find(({ role, server }) => role === 'opener' && server.port === 7000);
  if (!kept || !damaged) throw new Error('no such stream');
  damaged.sent += 1;
  await writeFile(join(kept.folder, CHANNELS_FILE), JSON.stringify(kept.record));
  const tasks = await replaceAll(saved, 1, NEXT);
  await expect.poll(() => tasks.map((task) => bed.app(task).errors.length), LONG).toEqual([1, 1]);
  expect(tasks.flatMap((task) => bed.app(task).errors).every((error) => error.startsWith('ECONNRESET'))).toBe(true);
  for (const task of tasks) await expect.poll(async () => (await bed.proxies.status(task)).streams, LONG).toBe(3);
  const sound = endsOf(tasks).filter(({ error }) => error === undefined);
  const before = sound.map(({ got }) => got);
  await expect.poll(() => sound.every(({ got }, n) => got > (before[n] ?? 0)), LONG).toBe(true);
});
