import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStreams, pairStreams, streamChannelText } from '../../src/model/stream-cut.ts';
import { ResumeBed, plansFor } from './proxy-resume-bed.ts';
import type { SavedTask } from './proxy-resume-bed.ts';
import type { AppEnd, Manners } from './raw-app.ts';

/** Tasks, and where each one comes back: in other namespaces, with other addresses. */
const FIRST = { a: '10.95.0.1', b: '10.95.0.2', c: '10.95.0.3' };
const NEXT: Readonly<Record<string, string>> = { a: 'a2', b: 'b2', c: 'c2' };
const THEN: Readonly<Record<string, string>> = { a2: 'a3', b2: 'b3', c2: 'c3' };
const SECOND = { a2: '10.95.0.11', b2: '10.95.0.12', c2: '10.95.0.13' };
const ADDRESSES = { ...FIRST, ...SECOND, a3: '10.95.0.21', b3: '10.95.0.22', c3: '10.95.0.23' };
const TASKS = Object.keys(FIRST);

const LONG = { timeout: 20_000 };
const LONGER = { timeout: 120_000 };

/** Bytes that the sidecars between have room for, and more than that: then the application's kernel keeps some, and the end behind them. */
const LITTLE = 2_500_000;
const MUCH = 6_000_000;

/** What each port's server does, and what its client does. */
const KINDS: Readonly<Record<number, { readonly server: Manners; readonly client: Manners }>> = {
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

/** Sidecars of these tasks, who know each other and what listens. */
async function connectAll(tasks: readonly string[], ports: readonly number[], times = 1): Promise<void> {
  for (const task of tasks) for (const port of ports) bed.app(task).listen(port, KINDS[port]?.server ?? {});
  await bed.proxies.attach(...tasks);
  await introduce(tasks);
  for (const task of tasks)
    for (const other of tasks)
      if (other !== task)
        await expect.poll(() => bed.proxies.set(task, 'listening'), LONG).toContain(bed.proxies.address(other));
  for (const task of tasks)
    for (const other of tasks) {
      if (other === task) continue;
      for (const port of ports)
        for (let time = 0; time < times; time++)
          bed.app(task).connect({ address: bed.proxies.address(other), port }, { ...KINDS[port]?.client });
    }
}

async function introduce(tasks: readonly string[]): Promise<void> {
  const own = tasks.map((task) => ({ address: bed.proxies.address(task), service: task, own: true }));
  await bed.proxies.introduce({ subnets: [bed.proxies.subnet], tasks: own, vips: [], strangers: [] });
}

const endsOf = (tasks: readonly string[]): AppEnd[] => tasks.flatMap((task) => bed.app(task).ends);

/** Every end that has something to get gets something more, and all that it gets is right. */
async function flows(tasks: readonly string[]): Promise<void> {
  const before = new Map(endsOf(tasks).map((end) => [end, end.got]));
  await expect
    .poll(() => endsOf(tasks).filter((end) => end.fd >= 0 && !end.finGot && end.got === before.get(end)).length, LONG)
    .toBe(0);
  fine(tasks);
}

/** The ways of slow readers are full up to their writers. */
async function stuffed(tasks: readonly string[]): Promise<void> {
  await expect
    .poll(async () => {
      const channels = (await Promise.all(tasks.map((task) => bed.proxies.call(task, 'channels')))).flat();
      return (channels as { undelivered: number }[]).some(({ undelivered }) => undelivered > 0);
    }, LONG)
    .toBe(true);
}

function fine(tasks: readonly string[]): void {
  for (const task of tasks) expect({ task, errors: bed.app(task).errors }).toEqual({ task, errors: [] });
  expect(bed.proxies.crashes).toEqual([]);
}

/** The condition of a consistent cut. @returns bytes recorded */
function checked(saved: ReadonlyMap<string, SavedTask>): number {
  const tasks = [...saved].map(([key, { record }]) => ({ key, streams: record.streams }));
  const wrong = checkStreams(pairStreams(tasks)).filter(({ ok }) => !ok);
  expect(wrong.map((check) => `${streamChannelText(check)}: ${check.reason}`)).toEqual([]);
  return tasks.flatMap(({ streams }) => streams).reduce((sum, { recorded }) => sum + recorded, 0);
}

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
  await introduce(tasks);
  return tasks;
}

test('three loaded tasks come back in other namespaces, and every connection goes on where it was', async () => {
  await connectAll(TASKS, [7000, 7001, 7002]);
  await expect.poll(() => endsOf(TASKS).length).toBe(2 * 18);
  await flows(TASKS);
  await stuffed(TASKS);
  const { saved, rounds } = await bed.snapshot(1, TASKS);
  expect(checked(saved)).toBeGreaterThan(0);
  await flows(TASKS);
  for (const round of rounds.values()) await round.finish();
  const tasks = await replaceAll(saved, 1, NEXT);
  expect(endsOf(tasks).length).toBe(2 * 18);
  await flows(tasks);
  await flows(tasks);
});

test('half-closed connections come back half-closed, in every combination', LONGER, async () => {
  await connectAll(TASKS, [7003, 7004, 7005, 7006]);
  await expect.poll(() => endsOf(TASKS).length).toBe(2 * 24);
  await flows(TASKS);
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
  await flows(tasks);
  // The slow ones hurry up; everything comes, and then its end.
  for (const end of endsOf(tasks)) if (end.manners.readAtOnce) end.manners.readAtOnce = 100_000;
  await expect.poll(() => count(({ got, finGot }) => finGot && got === LITTLE), LONG).toBe(6);
  await expect.poll(() => count(({ got, finGot }) => finGot && got === MUCH), LONG).toBe(6);
  await flows(tasks);
  // The other direction ends, too.
  for (const end of endsOf(tasks)) end.manners.sendBytes ??= end.sent;
  await expect.poll(() => count(({ fd }) => fd >= 0), LONG).toBe(0);
  for (const task of tasks) await expect.poll(async () => (await bed.proxies.status(task)).streams, LONG).toBe(0);
  fine(tasks);
});

test('what has come back can be saved again, and comes back again', LONGER, async () => {
  await connectAll(TASKS, [7000, 7002, 7003, 7005, 7006]);
  await flows(TASKS);
  const first = await bed.snapshot(1, TASKS, ['a']);
  for (const round of first.rounds.values()) await round.finish();
  let tasks = await replaceAll(first.saved, 1, NEXT);
  await flows(tasks);
  await stuffed(tasks);
  const second = await bed.snapshot(2, tasks, ['a2', 'c2']);
  expect(checked(second.saved)).toBeGreaterThan(0);
  for (const round of second.rounds.values()) await round.finish();
  tasks = await replaceAll(second.saved, 2, THEN);
  expect(endsOf(tasks).length).toBe(2 * 30);
  await flows(tasks);
  for (const end of endsOf(tasks)) if (end.manners.readAtOnce) end.manners.readAtOnce = 100_000;
  await flows(tasks);
  for (const end of endsOf(tasks)) end.manners.sendBytes ??= end.sent;
  await expect.poll(() => endsOf(tasks).filter(({ fd }) => fd >= 0).length, LONG).toBe(0);
  fine(tasks);
});

test('five hundred connections of one task come back', LONGER, async () => {
  await connectAll(['a', 'b'], [7000], 0);
  const b = { address: bed.proxies.address('b'), port: 7000 };
  for (let n = 0; n < 500; n++) bed.app('a').connect(b, { sendAtOnce: 500 + n });
  for (const end of endsOf(['b'])) end.manners.sendAtOnce = 1000;
  await expect.poll(() => endsOf(['a', 'b']).length, LONG).toBe(1000);
  await flows(['a', 'b']);
  const { saved, rounds } = await bed.snapshot(1, ['a', 'b'], ['b']);
  expect(checked(saved)).toBeGreaterThan(0);
  for (const round of rounds.values()) await round.finish();
  const tasks = await replaceAll(saved, 1, NEXT);
  expect(endsOf(tasks).length).toBe(1000);
  await flows(tasks);
});
