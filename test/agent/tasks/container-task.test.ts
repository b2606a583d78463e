import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ContainerTask } from '../../../agent/tasks/container-task.ts';
import type { ContainerTaskOptions } from '../../../agent/tasks/container-task.ts';
import { pause } from '../../../src/platform/deadlines.ts';

let stageDir: string;
beforeEach(() => {
  stageDir = mkdtempSync(join(tmpdir(), 'container-task-'));
});
afterEach(() => rmSync(stageDir, { recursive: true, force: true }));

type Checkpoint = ContainerTaskOptions['runc']['checkpoint'];

const done = (): Promise<void> => Promise.resolve();

/** A task whose dump gets as far as the test says. */
function task(
  deadlineMs = 60_000,
  seen: (options: Parameters<Checkpoint>[1]) => void = () => undefined,
): ContainerTask {
  const checkpoint: Checkpoint = async (_id, options) => {
    const { signal } = options;
    seen(options);
    await pause(600_000, signal).catch(() => undefined);
    throw new Error('it was given up');
  };
  return new ContainerTask({
    facts: { id: 'c1', pid: process.pid, volumes: [], binds: [], shm: {}, upperDir: '/no/such/layer' },
    held: { block: done, freeze: done, thawedByDeadman: () => Promise.resolve(false) },
    runc: { checkpoint },
    stageDir,
    deadlineMs,
    estimatedBytes: 1_130_000_000,
    inotifyPaths: [],
  } as unknown as ContainerTaskOptions);
}

function written(bytes: number, log: string): void {
  writeFileSync(join(stageDir, 'criu', 'pages-1.img'), Buffer.alloc(bytes));
  writeFileSync(join(stageDir, 'work', 'dump.log'), log);
}

it('says how far its dump is, and when it is given up how far it was', async () => {
  const one = task();
  expect(one.interrupted).toBeUndefined();
  await one.block();
  expect(await one.progress()).toMatchObject({ doing: 'it is being blocked' });
  await one.freeze();
  const saving = one.save().catch((error: unknown) => error);
  for (const folder of ['criu', 'work']) mkdirSync(join(stageDir, folder), { recursive: true });
  written(1_000_000, '(00.1) begins\n(00.2) Dumping pages\n');
  const first = await vi.waitUntil(async () => {
    const progress = await one.progress();
    return progress.doing.includes('1.0 MB') && progress;
  });
  expect(first.doing).toBe('CRIU has written 1.0 MB of some 1130.0 MB, its last words: Dumping pages');
  expect(await one.progress()).toEqual(first);
  written(2_000_000, '(00.1) begins\n(00.2) Dumping pages\n');
  expect((await one.progress()).mark).not.toBe(first.mark);
  await one.discard();
  expect(one.interrupted).toMatch(
    /^after [\d.]+ s, CRIU has written 2\.0 MB of some .*, its last words: Dumping pages$/,
  );
  await saving;
});

it.each([
  [5_000, 10],
  [60_000, 48],
])(
  'CRIU may take most of a deadline of %d ms to stop all processes, and as much as it takes by itself',
  async (deadlineMs, expected) => {
    let stopTimeoutS: number | undefined;
    const one = task(deadlineMs, ({ criu }) => (stopTimeoutS = criu?.stopTimeoutS));
    await one.block();
    await one.freeze();
    const saving = one.save().catch((error: unknown) => error);
    await vi.waitUntil(() => stopTimeoutS !== undefined);
    await one.discard();
    await saving;
    expect(stopTimeoutS).toBe(expected);
  },
);
