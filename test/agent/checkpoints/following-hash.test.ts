import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FollowingDump } from '../../../agent/checkpoints/following-dump.ts';
import { FollowingHash } from '../../../agent/checkpoints/store/following-hash.ts';
import { PartStore } from '../../../agent/checkpoints/store/index.ts';
import { LateParts } from '../../../agent/transfer/index.ts';

const MIB = 1024 * 1024;
let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-following-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('a file that grows has the hash of all of it, and several are followed at a time', async () => {
  const files = [5 * MIB + 1, 0, 3, 2 * MIB].map((size, n) => ({
    bytes: randomBytes(size),
    path: join(base, `f${n}`),
  }));
  await Promise.all(
    files.map(async ({ bytes, path }) => {
      writeFileSync(path, '');
      using hash = new FollowingHash(path);
      for (let at = 0; at < bytes.length; at += 300_000) {
        appendFileSync(path, bytes.subarray(at, at + 300_000));
        hash.upTo(Math.min(bytes.length, at + 300_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await hash.digest(bytes.length)).toBe(sha256(bytes));
    }),
  );
});

test('a file that is not there, or shorter than was said, is an error; the next one is hashed all the same', async () => {
  using absent = new FollowingHash(join(base, 'absent'));
  await expect(absent.digest(1)).rejects.toMatchObject({ code: 'failed', message: /absent/ });
  const path = join(base, 'short');
  writeFileSync(path, 'abc');
  using short = new FollowingHash(path);
  await expect(short.digest(4)).rejects.toMatchObject({ code: 'failed' });
  using good = new FollowingHash(path);
  expect(await good.digest(3)).toBe(sha256(Buffer.from('abc')));
});

test('the pages of a dump are hashed while they are written, and nothing else', async () => {
  const pages = randomBytes(48 * MIB);
  using following = new FollowingDump(base);
  for (let at = 0; at < pages.length; at += 4 * MIB) {
    appendFileSync(join(base, 'pages-1.img'), pages.subarray(at, at + 4 * MIB));
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  writeFileSync(join(base, 'pages-2.img'), 'small');
  writeFileSync(join(base, 'core-1.img'), randomBytes(40 * MIB));
  const digests = await following.ended();
  expect([...digests.keys()]).toEqual(['pages-1.img']);
  expect(await digests.get('pages-1.img')?.sha256).toBe(sha256(pages));
});

test('a part that is late comes into the store when it is right, and is gone when it is not', async () => {
  const store = new PartStore({ state: join(base, 'state'), run: join(base, 'run') });
  await store.open();
  const late = new LateParts();
  const parts = [];
  for (const wrong of [false, true]) {
    const bytes = randomBytes(2 * MIB);
    const part = { sha256: sha256(bytes), sizeBytes: bytes.length };
    if (wrong) bytes[5] = (bytes[5] ?? 0) ^ 1;
    const file = await store.temporaryFile({ memory: true });
    await file.writeAt(bytes, 0);
    late.add(part, file, new FollowingHash(file.path), 'n7');
    expect(late.path(part.sha256)).toBe(file.path);
    expect(await store.has(part.sha256)).toBe(false);
    parts.push(part);
  }
  await expect(late.settle()).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringContaining(`node n7 sent part ${parts[1]?.sha256} with another hash`) as string,
  });
  await expect(late.settle()).rejects.toMatchObject({ code: 'damaged' });
  const there = await Promise.all(parts.map((part) => store.has(part.sha256)));
  expect(there).toEqual([true, false]);
  expect([...(await store.list())]).toEqual([parts[0]?.sha256]);
});

test('a part that comes when all others have been settled is settled the next time, and no other', async () => {
  const store = new PartStore({ state: join(base, 'state'), run: join(base, 'run') });
  await store.open();
  const late = new LateParts();
  await late.settle();
  const bytes = randomBytes(MIB);
  const file = await store.temporaryFile({ memory: true });
  await file.writeAt(bytes, 0);
  late.add({ sha256: '0'.repeat(64), sizeBytes: bytes.length }, file, new FollowingHash(file.path), 'n7');
  await expect(late.settle()).rejects.toMatchObject({ code: 'damaged' });
  await expect(late.settle()).rejects.toMatchObject({ code: 'damaged' });
  expect((await store.list()).size).toBe(0);
});

test('a part that has become shorter meanwhile is no part', async () => {
  const store = new PartStore({ state: join(base, 'state'), run: join(base, 'run') });
  await store.open();
  const late = new LateParts();
  const bytes = randomBytes(2 * MIB);
  const file = await store.temporaryFile({ memory: true });
  await file.writeAt(bytes, 0);
  truncateSync(file.path, MIB);
  late.add({ sha256: sha256(bytes), sizeBytes: bytes.length }, file, new FollowingHash(file.path), 'n7');
  await expect(late.settle()).rejects.toMatchObject({ code: 'failed' });
  expect((await store.list()).size).toBe(0);
});
