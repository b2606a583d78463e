/** Real file systems that are full: small ones in memory. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PartStore } from '../../../agent/checkpoints/store/index.ts';
import { Journal } from '../../../agent/tasks/journal.ts';
import { DiskFullError } from '../../../src/platform/disk-full.ts';
import { hashedCatalogue, manifestOf } from '../../storage/manifest.ts';

let base: string;
let disk: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-full-'));
  disk = join(base, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=100', 'swarmcut-test', disk]);
});
afterEach(() => {
  execFileSync('umount', [disk]);
  rmSync(base, { recursive: true });
});

async function failure(work: Promise<unknown>): Promise<DiskFullError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DiskFullError);
  return error as DiskFullError;
}

test('a manifest: the message says where, how much is free, and what to do', async () => {
  const state = join(disk, 'state');
  const error = await failure(hashedCatalogue(state).write(manifestOf({ algorithm: 'x'.repeat(100_000) })));
  expect(error).toMatchObject({ code: 'precondition', exitCode: 6 });
  expect(error.message).toMatch(
    /no room on the file system of .*\(mounted at .*\/disk\): 0(\.\d)? MB of 0\.1 MB are free/,
  );
  expect(error.advice).toContain('lies in memory');
  expect(await hashedCatalogue(state).ids()).toEqual([]);
});

test('inodes that have run out are called so', async () => {
  mkdirSync(join(disk, 'state', 'snapshots'), { recursive: true });
  const names = Array.from({ length: 200 }, (_, index) => join(disk, String(index)));
  expect(() => names.forEach((name) => writeFileSync(name, ''))).toThrow('ENOSPC');
  const error = await failure(hashedCatalogue(join(disk, 'state')).write(manifestOf()));
  expect(error.message).toContain('none of its 100 inodes is free');
});

test('a part: taken over, fetched or laid out; nothing half written stays', async () => {
  const store = new PartStore({ state: join(disk, 'state'), run: join(disk, 'run') });
  await store.open();
  const file = join(base, 'part');
  writeFileSync(file, Buffer.alloc(100_000, 1));
  expect((await failure(store.adopt(file))).where.file).toBe(join(disk, 'state', 'parts'));
  const temporary = await store.temporaryFile();
  expect((await failure(temporary.write(Buffer.alloc(100_000)))).code).toBe('precondition');
  await temporary.discard();
  expect(readdirSync(join(disk, 'state', 'parts', 'incoming'))).toEqual([]);

  const elsewhere = new PartStore({ state: join(base, 'state'), run: join(base, 'run') });
  await elsewhere.open();
  const { sha256 } = await elsewhere.adopt(file);
  expect(sha256).toBe(createHash('sha256').update(Buffer.alloc(100_000, 1)).digest('hex'));
  expect((await failure(elsewhere.materialize([{ path: 'a', sha256 }], join(disk, 'images')))).message).toContain(
    'images',
  );
});

test("an agent's journal: the message says where, and nothing half written stays", async () => {
  const journal = new Journal(disk);
  const stageDir = 'x'.repeat(100_000);
  const error = await failure(journal.note({ containerId: 'c1', pid: 1, owner: 's1', stageDir }));
  expect(error.where.file).toBe(join(disk, 'journal'));
  expect(readdirSync(join(disk, 'journal'))).toEqual([]);
});
