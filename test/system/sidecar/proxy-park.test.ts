import { afterEach, beforeEach, expect, test } from 'vitest';
import { LONG, LONGER, ResumeBed, checked, plansFor } from './proxy-resume-bed.ts';
import type { Kinds, SavedTask } from './proxy-resume-bed.ts';
import type { StayingTask } from '../../../src/model/proxy-plan.ts';
import type { AppEnd } from '../network/raw-app.ts';

/** `m` and `n` move to `m2` and `n2`; `a` and `b` stay, and nobody tells them anything. */
const ADDRESSES = {
  a: '10.96.0.1',
  b: '10.96.0.2',
  m: '10.96.0.3',
  n: '10.96.0.4',
  m2: '10.96.0.13',
  n2: '10.96.0.14',
};

const KINDS: Kinds = {
  7000: { server: {}, client: {} },
  7001: { server: {}, client: { readAtOnce: 2_000 } },
  7002: { server: { readAtOnce: 2_000 }, client: {} },
  7003: { server: {}, client: { sendBytes: 10_000 } },
  7004: { server: { sendBytes: 10_000 }, client: {} },
};
const PORTS = [7000, 7001, 7002, 7003, 7004];

let bed: ResumeBed;

beforeEach(async () => {
  bed = await ResumeBed.make(ADDRESSES);
});
afterEach(() => bed.close());

const endsOf = (tasks: readonly string[]): AppEnd[] => tasks.flatMap((task) => bed.app(task).ends);

/** How many connections of a task wait for somebody who moves. */
async function awaiting(task: string): Promise<number> {
  return ((await bed.proxies.call(task, 'status')) as { awaiting: number }).awaiting;
}

function stayingTask(task: string): StayingTask {
  const addresses = [{ address: bed.proxies.address(task), network: 'bed' }];
  return { key: task, aliases: [], addresses, connections: bed.app(task).connections };
}

/** Moved tasks come back while the old ones still stand there; these go only when the new ones run. */
async function move(saved: ReadonlyMap<string, SavedTask>, staying: readonly string[]): Promise<void> {
  const present = new Map([...saved.keys()].map((task) => [task, bed.proxies.address(`${task}2`)]));
  const plans = plansFor(saved, present, staying.map(stayingTask));
  const release: (() => Promise<void>)[] = [];
  for (const [task, kept] of saved) release.push(await bed.restore(`${task}2`, 1, kept, plans.get(task) ?? []));
  await Promise.all(release.map((go) => go()));
  for (const task of saved.keys()) await bed.kill(task);
}

test('a task moves; those it talks with stay, and every connection goes on', LONGER, async () => {
  await bed.connectAll(KINDS, ['a', 'b', 'm'], PORTS);
  await bed.flows(['a', 'b', 'm']);
  await bed.stuffed(['m']);
  const { saved } = await bed.snapshot(1, ['m'], ['m'], { keepFrozen: true });
  expect(checked(saved, true)).toBeGreaterThan(0);
  expect(await awaiting('a')).toBe(10);
  expect(await awaiting('b')).toBe(10);
  await move(saved, ['a', 'b']);
  await expect.poll(() => awaiting('a'), LONG).toBe(0);
  await expect.poll(() => awaiting('b'), LONG).toBe(0);
  await bed.flows(['a', 'b', 'm2']);
  await bed.introduce(['a', 'b', 'm2']);
  await bed.flows(['a', 'b', 'm2']);
  // And they can be saved like all others.
  const next = await bed.snapshot(2, ['a', 'b', 'm2'], ['a']);
  checked(next.saved);
  await bed.flows(['a', 'b', 'm2']);
});

test('two tasks move at once, with connections between them and with one that stays', LONGER, async () => {
  await bed.connectAll(KINDS, ['a', 'm', 'n'], PORTS);
  await bed.flows(['a', 'm', 'n']);
  const { saved } = await bed.snapshot(1, ['m', 'n'], ['n'], { keepFrozen: true });
  checked(saved, true);
  expect(await awaiting('a')).toBe(20);
  await move(saved, ['a']);
  await bed.flows(['a', 'm2', 'n2']);
  expect(await awaiting('a')).toBe(0);
});

test('a move is given up: the connections go on over their old tunnels', LONGER, async () => {
  await bed.connectAll(KINDS, ['a', 'b', 'm'], PORTS);
  await bed.flows(['a', 'b', 'm']);
  const { rounds } = await bed.snapshot(1, ['m'], ['m'], { keepFrozen: true });
  expect(await awaiting('a')).toBe(10);
  await rounds.get('m')?.control?.call('abort', { reason: 'changed our minds' });
  await expect.poll(() => awaiting('a'), LONG).toBe(0);
  await bed.flows(['a', 'b', 'm']);
  await rounds.get('m')?.finish();
  // The same again, but let go.
  const again = await bed.snapshot(2, ['m'], ['m'], { keepFrozen: true });
  expect(await awaiting('b')).toBe(10);
  await again.rounds.get('m')?.control?.call('releaseRound', { epoch: 2 });
  await expect.poll(() => awaiting('b'), LONG).toBe(0);
  await bed.flows(['a', 'b', 'm']);
  // Tunnels may break again, and that is the end then; who reads slowly would hear of it late.
  for (const end of endsOf(['a', 'b'])) delete end.manners.readAtOnce;
  await bed.kill('m');
  for (const task of ['a', 'b']) await expect.poll(async () => (await bed.proxies.status(task)).streams, LONG).toBe(10);
  expect(endsOf(['a', 'b']).filter(({ error }) => error?.startsWith('ECONNRESET')).length).toBeGreaterThan(0);
});

test(
  'a connection to a task that stands still is taken by the sidecar that comes after the present one',
  LONGER,
  async () => {
    await bed.connectAll(KINDS, ['a', 'm'], [7000]);
    await bed.flows(['a', 'm']);
    await bed.snapshot(1, ['m'], ['m'], { keepFrozen: true });
    const added = bed.app('a').connect({ address: bed.proxies.address('m'), port: 7000 }, {});
    await expect.poll(() => added.sent, LONG).toBeGreaterThan(0);
    await bed.kernel('m').unblock();
    bed.app('m').frozen = false;
    process.kill(bed.proxies.interceptor('m').pid ?? Number.NaN, 'SIGKILL');
    await expect.poll(() => added.got, LONG).toBeGreaterThan(0);
    expect(added.error).toBeUndefined();
  },
);
