import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalogue } from '../../src/storage/catalogue.ts';
import { hashedCatalogue, manifestOf } from './manifest.ts';

let state: string;
let catalogue: Catalogue;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'swarmcut-catalogue-'));
  catalogue = hashedCatalogue(state);
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

async function add(id: string, stack = 'bank'): Promise<void> {
  await catalogue.write(manifestOf({ id, stack }));
}

describe('writing', () => {
  test('what was written is read again, and only the owner may', async () => {
    const manifest = manifestOf();
    await catalogue.write(manifest);
    expect(await catalogue.read(manifest.id)).toEqual({ manifest, vouching: { state: 'signed' } });
    const file = catalogue.manifestPath(manifest.id);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
    expect(readdirSync(dirname(file))).toEqual(['manifest.json', 'manifest.sig.json']);
  });

  test('an invalid manifest is refused and leaves nothing', async () => {
    await expect(catalogue.write(manifestOf({ wallMs: -1 }))).rejects.toThrow(/wallMs/);
    expect(await catalogue.ids()).toEqual([]);
  });
});

describe('signatures', () => {
  test.each<[string, (files: { manifest: string; signature: string }) => void, string]>([
    ['nothing', () => undefined, 'signed'],
    ['the signature is gone', ({ signature }) => rmSync(signature), 'unsigned'],
    ['the signature is cut', ({ signature }) => writeFileSync(signature, '{"schemaVersion": 1,'), 'wrong'],
    ['one more line end', ({ manifest }) => writeFileSync(manifest, '\n', { flag: 'a' }), 'wrong'],
  ])('%s', async (_, change, expected) => {
    await add('2rg8000000');
    const manifest = catalogue.manifestPath('2rg8000000');
    change({ manifest, signature: join(dirname(manifest), 'manifest.sig.json') });
    expect((await catalogue.read('2rg8000000')).vouching.state).toBe(expected);
  });

  test('no signature without a manifest makes a snapshot', async () => {
    await add('2rg8000000');
    rmSync(catalogue.manifestPath('2rg8000000'));
    expect(await catalogue.ids()).toEqual([]);
  });
});

describe('listing', () => {
  test('newest first; a directory without a manifest does not exist', async () => {
    await add('2rg8000000');
    await add('2rh1000000');
    await add('2ra0000000');
    mkdirSync(join(state, 'snapshots', '2rz0000000'));
    mkdirSync(join(state, 'snapshots', 'lost+found'));
    expect(await catalogue.ids()).toEqual(['2rh1000000', '2rg8000000', '2ra0000000']);
  });

  test('one damaged manifest does not hide the others', async () => {
    await add('2rg8000000');
    await add('2rh1000000');
    writeFileSync(catalogue.manifestPath('2rh1000000'), '{"schemaVersion": 1, "id":');
    const [damaged, sound] = await catalogue.list();
    expect(damaged).toMatchObject({ id: '2rh1000000', error: { code: 'damaged' } });
    expect(sound).toMatchObject({ id: '2rg8000000', manifest: { stack: 'bank' } });
  });

  test('without a state directory there are none', async () => {
    expect(await hashedCatalogue(join(state, 'nowhere')).list()).toEqual([]);
  });
});

/** A manifest as JSON, to be made invalid. */
interface Rewritable {
  id: string;
  schemaVersion: number;
  tasks: { parts: { sha256: string }[] }[];
}

describe('damage', () => {
  async function readChanged(change: (manifest: Rewritable) => void): Promise<unknown> {
    await add('2rg8000000');
    const file = catalogue.manifestPath('2rg8000000');
    const value = JSON.parse(readFileSync(file, 'utf8')) as Rewritable;
    change(value);
    writeFileSync(file, JSON.stringify(value));
    return catalogue.read('2rg8000000').catch((error: unknown) => error);
  }

  test('names the file and the field', async () => {
    const error = await readChanged((manifest) => {
      for (const task of manifest.tasks) for (const part of task.parts) part.sha256 = 'xyz';
    });
    expect(error).toMatchObject({
      code: 'damaged',
      exitCode: 7,
      where: { file: catalogue.manifestPath('2rg8000000') },
      message: expect.stringContaining('tasks.0.parts.0.sha256') as string,
    });
  });

  test('a later schema is said to be one', async () => {
    const error = await readChanged((manifest) => (manifest.schemaVersion = 2));
    expect(error).toMatchObject({ code: 'damaged', message: expect.stringContaining('schema version 2') as string });
  });

  test('a field that this version does not know', async () => {
    const error = await readChanged((manifest) => Object.assign(manifest, { hooks: [] }));
    expect(error).toMatchObject({ code: 'damaged', message: expect.stringContaining('field hooks') as string });
  });

  test('a manifest in the wrong directory', async () => {
    const error = await readChanged((manifest) => (manifest.id = '2rh1000000'));
    expect(error).toMatchObject({ code: 'damaged', message: expect.stringContaining('2rh1000000') as string });
  });
});

describe('resolving', () => {
  beforeEach(async () => {
    await add('2rg8000000', 'bank');
    await add('2rg9000000', 'pair');
    await add('2rh1000000', 'pair');
  });

  test.each([
    ['2rg8000000', '2rg8000000'],
    ['2rg8', '2rg8000000'],
    ['2RH', '2rh1000000'],
    ['latest', '2rh1000000'],
    ['latest:bank', '2rg8000000'],
    ['latest:pair', '2rh1000000'],
  ])('%s is %s', async (text, id) => {
    expect((await catalogue.resolve(text)).manifest.id).toBe(id);
  });

  test('an abbreviation of several lists them', async () => {
    await expect(catalogue.resolve('2rg')).rejects.toMatchObject({
      code: 'usage',
      message: '"2rg" fits 2 snapshots: 2rg9000000, 2rg8000000',
    });
  });

  test('near ids and stacks are suggested', async () => {
    await expect(catalogue.resolve('2rg8000001')).rejects.toMatchObject({
      code: 'not-found',
      advice: expect.stringContaining('2rg8000000') as string,
    });
    await expect(catalogue.resolve('latest:bnak')).rejects.toMatchObject({ code: 'not-found' });
    await expect(catalogue.resolve('latest:bamk')).rejects.toMatchObject({ advice: 'did you mean bank?' });
  });

  test('an empty text fits nothing', async () => {
    await expect(catalogue.resolve('')).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a damaged newest one is not passed over by latest, but can be named for removal', async () => {
    writeFileSync(catalogue.manifestPath('2rh1000000'), '{}');
    await expect(catalogue.resolve('latest')).rejects.toMatchObject({ code: 'damaged' });
    expect(await catalogue.resolveId('2rh')).toBe('2rh1000000');
  });
});

test('removing forgets, again has no effect, and others stay', async () => {
  await add('2rg8000000');
  await add('2rh1000000');
  await catalogue.remove('2rg8000000');
  await catalogue.remove('2rg8000000');
  expect(readdirSync(join(state, 'snapshots'))).toEqual(['2rh1000000']);
});
