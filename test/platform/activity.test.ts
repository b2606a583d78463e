import { expect, it } from 'vitest';
import { Activity, didSome, followed, inActivity } from '../../src/platform/activity.ts';
import { run } from '../../src/platform/processes.ts';

it('says what a call is at, told from deep inside its work and from nowhere else', async () => {
  const [one, other] = [new Activity(), new Activity()];
  didSome('nobody waits for this');
  const before = await one.progress();
  await inActivity(one, async () => {
    await Promise.resolve();
    didSome('hashing');
  });
  expect(await one.progress()).toMatchObject({ doing: 'hashing' });
  expect((await one.progress()).mark).not.toBe(before.mark);
  expect(await other.progress()).toEqual(before);
});

it('looks where it is told to until that is over, and takes no harm from what cannot be seen', async () => {
  const activity = new Activity();
  let bytes = 1;
  await inActivity(activity, async () => {
    using _dump = followed(() => Promise.resolve({ doing: `${bytes} bytes`, mark: String(bytes) }));
    using _broken = followed(() => Promise.reject(new Error('gone')));
    const first = await activity.progress();
    expect(first.doing).toBe('1 bytes');
    expect(await activity.progress()).toEqual(first);
    bytes = 2;
    expect((await activity.progress()).mark).not.toBe(first.mark);
  });
  expect((await activity.progress()).doing).toBe('');
});

it('sees a program get on that the call has started', async () => {
  const activity = new Activity();
  const marks = new Set<string>();
  const busy = inActivity(activity, () => run(['sh', '-c', 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done']));
  let ended = false;
  void busy.then(() => (ended = true));
  while (!isTrue(ended)) {
    marks.add((await activity.progress()).mark);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(marks.size).toBeGreaterThan(3);
});

/** The compiler does not know that it changes meanwhile. */
function isTrue(value: boolean): boolean {
  return value;
}
