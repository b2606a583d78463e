import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PartStore } from '../../../agent/checkpoints/store/index.ts';
import { copyInPieces } from '../../../agent/checkpoints/store/copy.ts';
import { Activity, inActivity } from '../../../src/platform/activity.ts';
import { openSealed, sealFile } from '../../../src/storage/encryption/part-cipher.ts';

const MIB = 1024 * 1024;
const bytes = randomBytes(5 * MIB + 1);

let base: string;
let file: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-progress-'));
  file = join(base, 'part');
  writeFileSync(file, bytes);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** How often the work on one large part says that it gets on: a call is given up when it does not for two minutes. */
async function signs(work: () => Promise<unknown>): Promise<number> {
  const activity = new Activity();
  await inActivity(activity, work);
  return Number((await activity.progress()).mark);
}

it('of a part that is written to disk can be seen, and all of it comes there', async () => {
  const target = join(base, 'copy');
  expect(await signs(() => copyInPieces(file, target, 2 * MIB))).toBeGreaterThanOrEqual(6);
  expect(readFileSync(target).equals(bytes)).toBe(true);

  const store = new PartStore({ state: join(base, 'state'), run: join(base, 'run') });
  await store.open();
  const { sha256 } = await store.adopt(file, { memory: true });
  expect(await signs(() => store.persist([sha256]))).toBeGreaterThanOrEqual(6);
  await store.leaveMemory(sha256);
  expect(readFileSync(await store.path(sha256)).equals(bytes)).toBe(true);
});

it('of a part that is encrypted, or opened, can be seen', async () => {
  const key = randomBytes(32);
  const pieces: Buffer[] = [];
  const seal = (): Promise<unknown> =>
    sealFile(file, bytes.length, key, (piece) => Promise.resolve(void pieces.push(Buffer.from(piece))));
  expect(await signs(seal)).toBeGreaterThanOrEqual(2);
  const sealed = join(base, 'sealed');
  writeFileSync(sealed, Buffer.concat(pieces));
  const opened: Buffer[] = [];
  const unseal = async (): Promise<void> => {
    for await (const piece of openSealed(sealed, key)) opened.push(piece);
  };
  expect(await signs(unseal)).toBeGreaterThanOrEqual(2);
  expect(Buffer.concat(opened).equals(bytes)).toBe(true);
});
