import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { Spawns } from '../../../agent/linux/spawns.ts';
import { passesByItself } from '../../../src/model/obstacles.ts';
import { HeldBed } from './held-bed.ts';

it('a task in which a lookup has begun between block and freeze runs on until that has ended', async () => {
  const bed = new HeldBed();
  bed.pid = process.pid;
  const lookup = createSocket('udp4');
  bed.before.set('freeze', async () => {
    bed.before.delete('freeze');
    await new Promise<void>((resolve) => lookup.connect(53, '127.0.0.11', resolve));
  });
  bed.before.set('thaw', () => {
    bed.before.delete('thaw');
    lookup.close();
    return Promise.resolve();
  });
  const task = await bed.roundTask('frozen');
  expect(task.state).toBe('frozen');
  expect(bed.done.filter((step) => step === 'freeze' || step === 'thaw')).toEqual(['freeze', 'thaw', 'freeze']);
});

it('one in which there is always a lookup is frozen at last', async () => {
  const bed = new HeldBed();
  bed.pid = process.pid;
  let lookup = createSocket('udp4');
  bed.before.set('freeze', async () => {
    lookup.close();
    lookup = createSocket('udp4');
    await new Promise<void>((resolve) => lookup.connect(53, '127.0.0.11', resolve));
  });
  await bed.roundTask('frozen');
  lookup.close();
  expect(bed.frozen.size).toBe(1);
});

/** A process that waits for its child, which opens a FIFO before it begins its program. */
const SPAWNING = `
import os, sys
os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 3, sys.argv[1], os.O_RDONLY, 0)])
`;

interface Spawning {
  readonly bed: HeldBed;
  /** The child begins. */
  readonly begin: () => void;
  readonly ended: Promise<unknown>;
}

async function spawning(): Promise<Spawning> {
  const bed = new HeldBed();
  const folder = mkdtempSync(join(tmpdir(), 'swarmcut-spawn-'));
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const program = spawn('python3', ['-c', SPAWNING, fifo], { stdio: 'inherit' });
  bed.pid = program.pid ?? 0;
  const ended = new Promise((resolve) => program.once('exit', resolve)).finally(() =>
    rmSync(folder, { recursive: true }),
  );
  await vi.waitUntil(() => new Spawns(bed.pid).underWay(), { timeout: 30_000 });
  return { bed, begin: () => writeFileSync(fifo, ''), ended };
}

it('a task in which a program is being started runs on until that has begun', async () => {
  const { bed, begin, ended } = await spawning();
  bed.before.set('thaw', () => {
    bed.before.delete('thaw');
    begin();
    return Promise.resolve();
  });
  expect((await bed.roundTask('frozen')).state).toBe('frozen');
  // More turns than this if the child, which nobody really freezes, gets no processor for long.
  const steps = bed.done.filter((step) => step === 'freeze' || step === 'thaw');
  expect(steps.slice(0, 3)).toEqual(['freeze', 'thaw', 'freeze']);
  expect(steps.at(-1)).toBe('freeze');
  await ended;
});

it('one in which there is always one is not frozen, and that is worth another round', async () => {
  const { bed, begin, ended } = await spawning();
  vi.spyOn(Spawns.prototype, 'end').mockResolvedValue();
  const failure = await bed.roundTask('frozen').catch((error: unknown) => error as Error);
  vi.restoreAllMocks();
  begin();
  await ended;
  expect((failure as Error).message).toMatch(/^process \d+ \(python3\S*\) waits for a child/);
  expect(passesByItself((failure as Error).message)).toBe(true);
  expect(bed.frozen.size).toBe(0);
});
