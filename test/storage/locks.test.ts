import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { acquireStackLock, readStackLocks } from '../../src/storage/locks.ts';
import { BuiltCoordinator } from '../coordinator/built.ts';

let run: string;
// Each run is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let built: BuiltCoordinator;
let holder: string;

beforeAll(() => {
  built = new BuiltCoordinator();
  // Takes the lock, says so, and keeps it until it is told to go on or killed.
  holder = built.add(
    'holder.ts',
    `import { acquireStackLock } from './src/storage/locks.ts';
     const [run, id] = process.argv.slice(2);
     try {
       const lock = await acquireStackLock(run, 'bank', { command: 'snapshot', id });
       process.stdout.write('held\\n');
       await new Promise((resolve) => process.stdin.once('data', resolve));
       await lock.release();
     } catch (error) {
       process.stdout.write(error.code + '\\n');
     }
     process.stdin.destroy();`,
  );
});
afterAll(() => built.remove());
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'swarmcut-locks-'));
});
afterEach(() => rmSync(run, { recursive: true, force: true }));

async function startHolder(id: string) {
  const process = built.start(holder, run, id);
  const [first] = (await once(process.stdout, 'data')) as [Buffer];
  return { process, answer: first.toString().trim() };
}

const work = { command: 'restore', id: '2rg8000000', now: new Date('2026-11-22T10:00:00Z') };

test('a second command on the stack is refused, by name, until the first has ended', async () => {
  const lock = await acquireStackLock(run, 'bank', work);
  await expect(acquireStackLock(run, 'bank', work)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringMatching(
      /^a restore \(id 2rg8000000\) of stack bank has been running since 2026-11-22T10:00:00.000Z/,
    ) as string,
  });
  await lock.release();
  await lock.release();
  await (await acquireStackLock(run, 'bank', work)).release();
});

test('stacks do not get into each other’s way', async () => {
  const lock = await acquireStackLock(run, 'bank', work);
  await (await acquireStackLock(run, 'pair', work)).release();
  await (await acquireStackLock(run, '../bank', work)).release();
  await lock.release();
});

test('a lock that another live process holds is refused, and taken over when that was killed', async () => {
  const { process, answer } = await startHolder('2rh1000000');
  expect(answer).toBe('held');
  await expect(acquireStackLock(run, 'bank', work)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('2rh1000000') as string,
  });
  process.kill('SIGKILL');
  await process;
  // The file still names the dead one: that must not count.
  expect(readFileSync(join(run, 'locks', 'bank.lock'), 'utf8')).toContain('2rh1000000');
  await (await acquireStackLock(run, 'bank', work)).release();
});

test('of two processes that race for a stale lock, one gets it', async () => {
  await (await acquireStackLock(run, 'bank', work)).release();
  writeFileSync(join(run, 'locks', 'bank.lock'), '{"pid":999999,"command":"snapshot","id":"x","since":"never"}');
  const racers = await Promise.all(['2ra0000000', '2rb0000000', '2rc0000000'].map(startHolder));
  expect(racers.map(({ answer }) => answer).sort()).toEqual(['conflict', 'conflict', 'held']);
  for (const { process } of racers) process.stdin.end('go\n');
  await Promise.all(racers.map(({ process }) => process));
});

test('a lock can be held for a block', async () => {
  {
    await using _lock = await acquireStackLock(run, 'bank', work);
    await expect(acquireStackLock(run, 'bank', work)).rejects.toMatchObject({ code: 'conflict' });
  }
  await (await acquireStackLock(run, 'bank', work)).release();
});

test('looked at from outside: who has a lock, and which was left by somebody who is no more', async () => {
  expect(await readStackLocks(run)).toEqual([]);
  const lock = await acquireStackLock(run, 'bank', work);
  await (await acquireStackLock(run, 'given-back', work)).release();
  const left = { pid: 1, command: 'migrate', id: 'm1', since: '2026-11-22T10:00:00.000Z' };
  writeFileSync(join(run, 'locks', 'left.lock'), JSON.stringify(left));
  expect(await readStackLocks(run)).toMatchObject([
    { stack: 'bank', held: true, holder: { command: 'restore', id: '2rg8000000', pid: process.pid } },
    { stack: 'left', held: false, holder: left },
  ]);
  await lock.release();
  expect(await readStackLocks(run)).toMatchObject([{ stack: 'left' }]);
});
