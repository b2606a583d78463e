import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Manifests } from '../../../agent/checkpoints/store/index.ts';

const ID = '2rg8000000';
const KEPT = { manifest: Buffer.from('{"a": 1}\n'), signature: Buffer.from('signed'), key: Buffer.alloc(0) };

let state: string;
beforeEach(() => void (state = mkdtempSync(join(tmpdir(), 'swarmcut-manifests-'))));
afterEach(() => rmSync(state, { recursive: true, force: true }));

async function open(known: readonly string[] = [ID]): Promise<Manifests> {
  const manifests = new Manifests({ state });
  await manifests.open((id) => known.includes(id));
  return manifests;
}

test('manifests are kept to the byte, and survive the agent', async () => {
  await (await open()).keep(ID, KEPT);
  const manifests = await open();
  expect(manifests.has(ID)).toBe(true);
  expect(await manifests.read(ID)).toEqual(KEPT);
  await manifests.forget(ID);
  await expect(manifests.read(ID)).rejects.toMatchObject({ code: 'not-found' });
  expect((await open()).has(ID)).toBe(false);
});

test('the wrapped key of an encrypted one is kept with it', async () => {
  const kept = { ...KEPT, key: Buffer.from('{"wrapped":1}') };
  await (await open()).keep(ID, kept);
  expect(await (await open()).read(ID)).toEqual(kept);
});

test('one of a snapshot of which there is nothing else is removed when the agent starts', async () => {
  await (await open()).keep(ID, KEPT);
  expect((await open([])).has(ID)).toBe(false);
  expect(existsSync(join(state, 'manifests', ID))).toBe(false);
});

test('removals are remembered; a file that cannot be read is as none', async () => {
  const removal = { snapshotId: ID, signature: Buffer.from([1, 0, 255]), certificate: 'PEM' };
  const manifests = await open();
  await manifests.noteRemoval(removal);
  await manifests.noteRemoval(removal);
  expect((await open()).removals).toEqual([removal]);
  await expect(manifests.noteRemoval({ ...removal, snapshotId: '../../x' })).rejects.toMatchObject({ code: 'usage' });
  writeFileSync(join(state, 'manifests', 'removed.json'), '[{');
  expect((await open()).removals).toEqual([]);
});
