import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ledger, PartStore } from '../../../agent/checkpoints/store/index.ts';
import { preserveSnapshot } from '../../../agent/checkpoints/store/preserve.ts';
import type { TaskCheckpoint } from '../../../src/model/checkpoint.ts';

const S1 = '0000000001';
const S2 = '0000000002';

let base: string;
let directories: { state: string; run: string };
let store: PartStore;

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-store-'));
  directories = { state: join(base, 'state'), run: join(base, 'run') };
  store = new PartStore(directories);
  await store.open();
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function file(text: string, folder = base): string {
  const path = join(folder, `file-${Math.random()}`);
  writeFileSync(path, text);
  return path;
}

function checkpoint(slot: string, texts: string[]): TaskCheckpoint {
  return {
    task: { service: 'bank_a', slot, taskId: 't', containerId: 'c' },
    parts: texts.map((text) => ({ kind: 'CRIU', path: `${text}.img`, sha256: sha256(text), sizeBytes: text.length })),
    connections: [],
    processes: [],
    times: {
      holdAtMs: 1,
      frozenAtMs: 2,
      thawedAtMs: 3,
      freezingUs: 0,
      frozenUs: 0,
      memdumpUs: 0,
      memwriteUs: 0,
      pagesWritten: 0,
      dumpWallUs: 0,
      filesWallUs: 0,
    },
    aliases: [],
    notes: [],
    streams: [],
    datagrams: [],
    bound: [],
  };
}

describe('PartStore', () => {
  it('takes files over by their hash, on disk and in memory', async () => {
    const onDisk = file('one');
    expect(await store.adopt(onDisk)).toEqual({ sha256: sha256('one'), sizeBytes: 3 });
    expect(existsSync(onDisk)).toBe(false);
    expect(await store.path(sha256('one'))).toBe(
      join(directories.state, 'parts', sha256('one').slice(0, 2), sha256('one')),
    );
    await store.adopt(file('two'), { memory: true });
    const path = await store.path(sha256('two'));
    expect(path.startsWith(directories.run)).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await store.list()).toEqual(new Set([sha256('one'), sha256('two')]));
  });

  it('copies across file systems', async () => {
    // /dev/shm is a tmpfs of its own wherever tests run.
    const folder = mkdtempSync('/dev/shm/swarmcut-store-');
    try {
      expect(statSync(folder).dev).not.toBe(statSync(directories.state).dev);
      const text = 'x'.repeat(3 * 1024 * 1024 + 5);
      const path = file(text, folder);
      expect(await store.adopt(path)).toEqual({ sha256: sha256(text), sizeBytes: text.length });
      expect(existsSync(path)).toBe(false);
      expect(await store.verify(sha256(text))).toBeUndefined();
      expect(readdirSync(join(directories.state, 'parts', 'incoming'))).toEqual([]);
      await store.materialize([{ path: 'big.img', sha256: sha256(text) }], join(folder, 'images'));
      expect(statSync(join(folder, 'images', 'big.img')).size).toBe(text.length);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses paths and hashes that no file can have', async () => {
    await store.adopt(file('one'));
    for (const path of ['a\0b', '', 'x'.repeat(5_000), '../up', '/etc/passwd']) {
      await expect(store.materialize([{ path, sha256: sha256('one') }], join(base, 'images'))).rejects.toMatchObject({
        code: 'damaged',
      });
    }
    await expect(store.find('a\0b')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('a\\x00b') as string,
    });
  });

  it('lays parts out under their paths without copying, and again over old ones', async () => {
    for (const text of ['one', 'two']) await store.adopt(file(text));
    const parts = [
      { path: 'core-1.img', sha256: sha256('one') },
      { path: 'sub/core-2.img', sha256: sha256('two') },
      { path: 'same.img', sha256: sha256('one') },
    ];
    const folder = join(base, 'images');
    await store.materialize(parts, folder);
    await store.materialize(parts, folder);
    expect(readFileSync(join(folder, 'sub/core-2.img'), 'utf8')).toBe('two');
    expect(statSync(join(folder, 'core-1.img')).ino).toBe(statSync(await store.path(sha256('one'))).ino);
  });

  it('lets no path lead out of the folder, and names missing parts', async () => {
    await store.adopt(file('one'));
    for (const path of ['../x', '/etc/x', 'a/../../x', '.']) {
      await expect(store.materialize([{ path, sha256: sha256('one') }], join(base, 'images'))).rejects.toMatchObject({
        code: 'damaged',
      });
    }
    await expect(store.path(sha256('no'))).rejects.toMatchObject({ code: 'damaged' });
    await expect(store.path('../../etc/passwd')).rejects.toMatchObject({ code: 'usage' });
  });

  it('notices a changed part, and heals it with the next adoption', async () => {
    await store.adopt(file('one'));
    const path = await store.path(sha256('one'));
    writeFileSync(path, 'onf');
    expect(await store.verify(sha256('one'))).toBe(`has another hash: ${sha256('onf')}`);
    await store.adopt(file('one'));
    expect(await store.verify(sha256('one'))).toBeUndefined();
    await store.remove(sha256('one'));
    await store.remove(sha256('one'));
    expect(await store.verify(sha256('one'))).toBe('missing');
  });

  it('removes half-written files when it is opened', async () => {
    const temporary = await store.temporaryFile();
    await temporary.handle.writeFile('half');
    await temporary.handle.close();
    await new PartStore(directories).open();
    expect(readdirSync(join(directories.state, 'parts', 'incoming'))).toEqual([]);
  });
});

describe('Ledger', () => {
  async function opened(): Promise<Ledger> {
    const ledger = new Ledger(directories, store);
    expect(await ledger.open()).toEqual([]);
    return ledger;
  }
  /** Saves a task as an agent does. */
  async function save(ledger: Ledger, id: string, slot: string, texts: string[]): Promise<void> {
    await ledger.begin(id, 'bank');
    for (const text of texts) await store.adopt(file(text), { owner: `${id}/${slot}` });
    await ledger.record(id, checkpoint(slot, texts), `${id}/${slot}`);
  }

  it('does not keep in memory what a migration has left there and a snapshot has on disk', async () => {
    const ledger = new Ledger(directories, store);
    await ledger.open();
    await store.adopt(file('shared'), { owner: 'migration', memory: true });
    await ledger.begin(S1, 'bank');
    await ledger.record(S1, checkpoint('1', ['shared']), 'migration');
    await store.adopt(file('shared'), { owner: 'snapshot' });
    await ledger.begin(S2, 'bank');
    await ledger.record(S2, checkpoint('1', ['shared']), 'snapshot');
    await ledger.remove(S1);
    expect(await store.path(sha256('shared'))).toMatch(directories.state);
    // As the target of a migration, and as a source whose agent was restarted.
    await store.adopt(file('shared'), { owner: 'restore', memory: true });
    await ledger.release('restore');
    expect(await store.path(sha256('shared'))).toMatch(directories.state);
    await store.adopt(file('shared'), { memory: true });
    await new Ledger(directories, store).open();
    expect(await store.path(sha256('shared'))).toMatch(directories.state);
  });

  it('remembers snapshots over a restart', async () => {
    const ledger = await opened();
    await save(ledger, S2, '1', ['one', 'one', 'twoo']);
    await save(ledger, S2, '2', ['one']);
    await ledger.begin(S1, 'other');
    await ledger.setState(S2, 'permanent');
    const again = await opened();
    expect(again.list()).toEqual([
      { snapshotId: S1, stack: 'other', state: 'open', sizeBytes: 0, tasks: 0 },
      { snapshotId: S2, stack: 'bank', state: 'permanent', sizeBytes: 7, tasks: 2 },
    ]);
    expect(again.get(S2).tasks['bank_a.1']).toEqual(checkpoint('1', ['one', 'one', 'twoo']));
    await again.begin(S2, 'bank');
    expect(again.get(S2).state).toBe('permanent');
  });

  it('deletes parts with the last snapshot that needs them', async () => {
    const ledger = await opened();
    await save(ledger, S1, '1', ['one', 'shared']);
    await save(ledger, S2, '1', ['two', 'shared']);
    await ledger.remove(S1);
    await ledger.remove(S1);
    expect(await store.list()).toEqual(new Set([sha256('two'), sha256('shared')]));
    await ledger.remove(S2);
    expect(await store.list()).toEqual(new Set());
    expect(() => ledger.get(S2)).toThrow(/nothing of snapshot/);
  });

  it('keeps what is pinned: a part that one snapshot loses while another is adopting it', async () => {
    const ledger = await opened();
    await save(ledger, S1, '1', ['shared']);
    await ledger.begin(S2, 'bank');
    await store.adopt(file('shared'), { owner: 'collect' });
    await ledger.remove(S1);
    expect(await store.has(sha256('shared'))).toBe(true);
    await ledger.record(S2, checkpoint('1', ['shared']), 'collect');
    expect(await store.has(sha256('shared'))).toBe(true);
    store.pin('restore', [sha256('fetched')]);
    await store.adopt(file('fetched'));
    await ledger.release('restore');
    expect(await store.has(sha256('fetched'))).toBe(false);
  });

  it('replaces a task’s checkpoint, and frees the parts of a discarded one', async () => {
    const ledger = await opened();
    await ledger.begin(S1, 'bank');
    await store.adopt(file('half'), { owner: 'collect' });
    await ledger.release('collect');
    expect(await store.list()).toEqual(new Set());
    await expect(ledger.record(S2, checkpoint('1', []))).rejects.toMatchObject({ code: 'not-found' });
  });

  it('has on disk, too, what was only in memory, and nothing when the snapshot was discarded meanwhile', async () => {
    const ledger = await opened();
    await ledger.begin(S1, 'bank');
    for (const text of ['one', 'two']) await store.adopt(file(text), { memory: text === 'one' });
    await ledger.record(S1, checkpoint('1', ['one', 'two']));
    expect(await preserveSnapshot(S1, ledger, store)).toBe(3);
    expect(await preserveSnapshot(S1, ledger, store)).toBe(0);
    // What is in memory does not outlive a power cut.
    rmSync(directories.run, { recursive: true });
    await store.open();
    for (const text of ['one', 'two']) expect(await store.verify(sha256(text))).toBe(undefined);
    await ledger.begin(S2, 'bank');
    await store.adopt(file('three'), { memory: true });
    await ledger.record(S2, checkpoint('1', ['three']));
    await Promise.all([preserveSnapshot(S2, ledger, store), ledger.remove(S2)]).catch(() => undefined);
    expect(await store.list()).toEqual(new Set([sha256('one'), sha256('two')]));
    expect(readdirSync(join(directories.state, 'parts/incoming'))).toEqual([]);
  });

  it('keeps nothing in memory of a snapshot that is gone, also where another one has the same parts on disk', async () => {
    const ledger = await opened();
    await save(ledger, S1, '1', ['shared']);
    await ledger.begin(S2, 'bank');
    await store.adopt(file('shared'), { memory: true });
    await ledger.record(S2, checkpoint('1', ['shared']));
    await ledger.remove(S2);
    expect((await store.path(sha256('shared'))).startsWith(directories.state)).toBe(true);
  });

  it('does not keep in memory what had to stay there while the disk was away', async () => {
    const ledger = await opened();
    await save(ledger, S1, '1', ['shared']);
    await store.adopt(file('shared'), { owner: 'migration', memory: true });
    const [parts, away] = [join(directories.state, 'parts'), join(base, 'away')];
    renameSync(parts, away);
    await ledger.release('migration');
    expect(await store.path(sha256('shared'))).toMatch(directories.run);
    renameSync(away, parts);
    await ledger.release('the next operation');
    expect(await store.path(sha256('shared'))).toMatch(directories.state);
  });

  it('sweeps at its start what no snapshot names', async () => {
    await save(await opened(), S1, '1', ['one']);
    await store.adopt(file('orphan'));
    writeFileSync(join(directories.state, 'snapshots', `.${S2}.json.abc.tmp`), '{');
    await opened();
    expect(await store.list()).toEqual(new Set([sha256('one')]));
    expect(readdirSync(join(directories.state, 'snapshots'))).toEqual([`${S1}.json`]);
  });

  it('puts a damaged ledger aside, and deletes nothing while there is one', async () => {
    await save(await opened(), S1, '1', ['one']);
    mkdirSync(join(directories.state, 'snapshots'), { recursive: true });
    writeFileSync(join(directories.state, 'snapshots', `${S1}.json`), '{"schemaVersion":1');
    const damaged = join(directories.state, 'snapshots', `${S1}.json.damaged`);
    for (const _start of [1, 2]) {
      const ledger = new Ledger(directories, store);
      expect(await ledger.open()).toEqual([damaged]);
      expect(ledger.list()).toEqual([]);
      // Its manifest stays with it.
      expect([ledger.has(S1), ledger.mayHave(S1), ledger.mayHave(S2)]).toEqual([false, true, false]);
    }
    expect(await store.has(sha256('one'))).toBe(true);
  });

  it('takes no id that could lead out of its folder', async () => {
    const ledger = await opened();
    await expect(ledger.begin('../../etc/x', 'bank')).rejects.toMatchObject({ code: 'usage' });
  });
});
