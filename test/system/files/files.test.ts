import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { unpackFiles, type UnpackTarget } from '../../../agent/files/unpack.ts';
import { VolumeSwap, findSwaps, isSealed } from '../../../agent/files/volume-swaps.ts';
import { saveFiles, type FilesOf } from '../../../agent/files/save.ts';

/** A shell in a mount namespace of its own; what it mounts is seen through `root`, and goes away with it. */
class MountNamespace {
  readonly #holder: ChildProcess;

  constructor() {
    this.#holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sleep', 'infinity'], { stdio: 'ignore' });
  }

  get #pid(): number {
    if (this.#holder.pid === undefined) throw new Error('unshare did not start');
    return this.#holder.pid;
  }

  async ready(): Promise<void> {
    const own = readlinkSync('/proc/self/ns/mnt');
    await vi.waitFor(() => expect(readlinkSync(`/proc/${this.#pid}/ns/mnt`)).not.toBe(own), { timeout: 5_000 });
    await vi.waitFor(() => expect(readFileSync(`/proc/${this.#pid}/comm`, 'utf8')).toBe('sleep\n'), { timeout: 5_000 });
  }

  path(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  run(script: string): void {
    execFileSync('nsenter', ['-t', String(this.#pid), '-m', 'sh', '-euc', script], { stdio: 'pipe' });
  }

  close(): void {
    this.#holder.kill('SIGKILL');
  }
}

const HARD_NAMES = ['-rf', 'a b', 'tab\there', 'x'.repeat(200), 'ü€', 'star*', '[a]', "quote'", 'back\\slash'];

let dir: string;
let namespace: MountNamespace;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'files-'));
  namespace = new MountNamespace();
  await namespace.ready();
  // The image that both containers have.
  const lower = join(dir, 'image');
  mkdirSync(join(lower, 'etc'), { recursive: true });
  mkdirSync(join(lower, 'app/sub'), { recursive: true });
  mkdirSync(join(lower, 'become-file'));
  writeFileSync(join(lower, 'become-file/x'), 'x');
  writeFileSync(join(lower, 'become-dir'), 'file');
  writeFileSync(join(lower, 'etc/hosts'), 'image hosts');
  writeFileSync(join(lower, 'app/kept'), 'kept');
  writeFileSync(join(lower, 'app/gone'), 'gone');
  writeFileSync(join(lower, 'app/changed'), 'before');
  writeFileSync(join(lower, 'app/sub/old'), 'old');
  mkdirSync(join(lower, 'names'));
  for (const name of ['plain', ...HARD_NAMES]) writeFileSync(join(lower, 'names', name), name);
  overlay('old');
});

afterEach(() => {
  namespace.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A container's root over the image. */
function overlay(name: string): string {
  for (const part of ['upper', 'work', 'merged']) mkdirSync(join(dir, name, part), { recursive: true });
  namespace.run(
    `mount -t overlay overlay -o lowerdir=${dir}/image,upperdir=${dir}/${name}/upper,workdir=${dir}/${name}/work ${dir}/${name}/merged`,
  );
  return namespace.path(join(dir, name, 'merged'));
}

function facts(more: Partial<FilesOf> = {}): FilesOf {
  return {
    pid: process.pid,
    upperDir: join(dir, 'old/upper'),
    volumes: [],
    binds: [],
    shm: { kind: 'inside' },
    ...more,
  };
}

async function lay(target: Partial<UnpackTarget>, from: FilesOf, unpackedVolumes?: Set<string>) {
  const saved = await saveFiles(from, join(dir, 'stage'));
  const rootfs = target.rootfs ?? overlay('new');
  const unpacked = await unpackFiles(
    saved.parts,
    { volumes: [], shmSource: undefined, ...target, rootfs },
    { restoreId: 'r1', workDir: join(dir, 'work'), ...(unpackedVolumes === undefined ? {} : { unpackedVolumes }) },
  );
  return { saved, unpacked, rootfs };
}

describe('upper layer', () => {
  it('brings changes, deletions and replaced directories to a new container of the same image', async () => {
    namespace.run(`cd ${dir}/old/merged
      echo -n after > app/changed; rm app/gone; echo -n new > app/new; chown 12:34 app/new; chmod 4755 app/new
      rm -r app/sub; mkdir app/sub; echo -n replaced > app/sub/fresh
      rm -r become-file; echo -n f > become-file; rm become-dir; mkdir become-dir; echo -n d > become-dir/d
      ln app/new app/hard; ln -s /etc/passwd app/link; mkfifo app/fifo
      truncate -s 10M app/sparse; echo -n hosts of the old task > etc/hosts
      touch -d 2001-02-03T04:05:06Z app/new`);
    const { rootfs } = await lay({}, facts());

    expect(readdirSync(join(rootfs, 'app')).sort()).toEqual(
      ['changed', 'fifo', 'hard', 'kept', 'link', 'new', 'sparse', 'sub'].sort(),
    );
    expect(readFileSync(join(rootfs, 'app/changed'), 'utf8')).toBe('after');
    expect(readdirSync(join(rootfs, 'app/sub'))).toEqual(['fresh']);
    expect(readFileSync(join(rootfs, 'become-file'), 'utf8')).toBe('f');
    expect(readFileSync(join(rootfs, 'become-dir/d'), 'utf8')).toBe('d');
    expect(readlinkSync(join(rootfs, 'app/link'))).toBe('/etc/passwd');
    expect(statSync(join(rootfs, 'app/fifo')).isFIFO()).toBe(true);
    const file = statSync(join(rootfs, 'app/new'));
    expect([file.mode & 0o7777, file.uid, file.gid, file.nlink, file.mtime.toISOString()]).toEqual([
      0o4755,
      12,
      34,
      2,
      '2001-02-03T04:05:06.000Z',
    ]);
    const sparse = statSync(join(rootfs, 'app/sparse'));
    expect([sparse.size, sparse.blocks]).toEqual([10 * 1024 * 1024, 0]);
    // Mounted over by the engine in every container, so what was there before is of no interest.
    expect(readFileSync(join(rootfs, 'etc/hosts'), 'utf8')).toBe('image hosts');
    // Deleted through overlayfs, not merely hidden in what this test sees.
    expect(statSync(join(dir, 'new/upper/app/gone')).isCharacterDevice()).toBe(true);
  });

  it('removes what a container has that the saved one had not', async () => {
    namespace.run(`rm ${dir}/old/merged/app/gone; rm -r ${dir}/old/merged/app/sub; mkdir ${dir}/old/merged/app/sub`);
    const rootfs = overlay('new');
    writeFileSync(join(rootfs, 'app/sub/later'), 'later');
    await lay({ rootfs }, facts());
    expect(existsSync(join(rootfs, 'app/gone'))).toBe(false);
    expect(readdirSync(join(rootfs, 'app/sub'))).toEqual([]);
  });

  it('an empty one is a part too', async () => {
    const { saved, rootfs } = await lay({}, facts());
    expect(saved.parts.map((part) => part.kind)).toEqual(['UPPER']);
    expect(readFileSync(join(rootfs, 'app/kept'), 'utf8')).toBe('kept');
  });

  it('keeps names that are hard to write', async () => {
    const old = namespace.path(join(dir, 'old/merged/app'));
    for (const name of HARD_NAMES) rmSync(join(old, '../names', name));
    for (const name of HARD_NAMES) writeFileSync(join(old, name), name);
    const { rootfs } = await lay({}, facts());
    expect(readdirSync(join(rootfs, 'names'))).toEqual(['plain']);
    for (const name of HARD_NAMES) expect(readFileSync(join(rootfs, 'app', name), 'utf8')).toBe(name);
  });

  it('keeps names that are no text, and deletes those that end in blanks', async () => {
    const bytes = (name: string): Buffer => Buffer.from(name, 'latin1');
    const names = ['latin \xe9', '\xff\xfe', 'blank ', 'tab\t', '*[a]? ', 'b\xe9 '].map(bytes);
    const other = ['blank', 'blankx', 'xay '].map(bytes);
    const image = (name: Buffer): Buffer => Buffer.concat([bytes(`${dir}/image/names/`), name]);
    for (const name of [...names, ...other]) writeFileSync(image(name), name);
    const changed = namespace.path(join(dir, 'old/merged'));
    for (const name of names) {
      rmSync(Buffer.concat([bytes(`${changed}/names/`), name]));
      writeFileSync(Buffer.concat([bytes(`${changed}/app/`), name]), name);
    }
    const { rootfs } = await lay({}, facts());
    const found = readdirSync(join(rootfs, 'names'), { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    expect(found.sort()).toEqual(
      ['plain', ...HARD_NAMES.map((name) => Buffer.from(name).toString('latin1')), 'blank', 'blankx', 'xay '].sort(),
    );
    for (const name of names) expect(readFileSync(Buffer.concat([bytes(`${rootfs}/app/`), name]))).toEqual(name);
  });

  it('never deletes through a symbolic link that leads out of the root', async () => {
    const outside = join(dir, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'gone'), 'precious');
    namespace.run(`rm ${dir}/old/merged/app/gone`);
    const rootfs = overlay('new');
    rmSync(join(rootfs, 'app'), { recursive: true });
    symlinkSync(outside, join(rootfs, 'app'));
    await lay({ rootfs }, facts());
    expect(readFileSync(join(outside, 'gone'), 'utf8')).toBe('precious');
    expect(readdirSync(outside)).toEqual(['gone']);
  });

  it('refuses a redirected directory, naming it', async () => {
    for (const part of ['upper', 'work', 'merged']) mkdirSync(join(dir, 'redirect', part), { recursive: true });
    namespace.run(`cd ${dir}/redirect
      mount -t overlay overlay -o redirect_dir=on,lowerdir=${dir}/image,upperdir=$PWD/upper,workdir=$PWD/work merged
      mv merged/app merged/renamed`);
    await expect(lay({}, facts({ upperDir: join(dir, 'redirect/upper') }))).rejects.toMatchObject({
      code: 'precondition',
      message: expect.stringContaining('/renamed') as string,
    });
  });
});

describe('volumes', () => {
  const volume = (name: string) => {
    const source = join(dir, 'volumes', name, '_data');
    mkdirSync(source, { recursive: true });
    return { key: name, name, driver: 'local', source, destination: `/${name}`, writable: true };
  };

  it('are swapped in beside the old contents, which come back with undo', async () => {
    const data = volume('data');
    writeFileSync(join(data.source, 'f'), 'at the cut');
    chmodSync(data.source, 0o751);
    const from = facts({ volumes: [data] });
    const saved = await saveFiles(from, join(dir, 'stage'));
    writeFileSync(join(data.source, 'f'), 'later');
    writeFileSync(join(data.source, 'later'), '');
    const inode = statSync(data.source).ino;

    const target = { rootfs: overlay('new'), volumes: [data], shmSource: undefined };
    const options = { restoreId: 'r1', workDir: join(dir, 'work') };
    const unpacked = await unpackFiles(saved.parts, target, options);
    expect(readdirSync(data.source)).toEqual(['f']);
    expect(readFileSync(join(data.source, 'f'), 'utf8')).toBe('at the cut');
    expect(statSync(data.source).mode & 0o777).toBe(0o751);
    await unpacked.undo();
    expect(statSync(data.source).ino).toBe(inode);
    expect(readdirSync(data.source).sort()).toEqual(['f', 'later']);
    expect(readFileSync(join(data.source, 'f'), 'utf8')).toBe('later');

    const again = await unpackFiles(saved.parts, target, options);
    await again.commit();
    expect(readdirSync(data.source)).toEqual(['f']);
    expect(readdirSync(join(dir, 'volumes/data'))).toEqual(['_data']);
  });

  it('have one content or the other after an agent was killed at any step, and nothing beside it', async () => {
    const steps = ['begin', 'swap', 'seal', 'commit'] as const;
    for (let done = 1; done <= steps.length; done++) {
      const { source } = volume(`killed${done}`);
      writeFileSync(join(source, 'f'), 'former');
      const swap = new VolumeSwap(source, 'r1');
      for (const step of steps.slice(0, done)) {
        const folder = await swap[step]();
        if (step === 'begin') writeFileSync(join(folder ?? '', 'f'), 'saved');
      }
      const found = (await findSwaps(dir)).filter((one) => one.source === source);
      expect(found.map(({ restoreId }) => restoreId)).toEqual(done === steps.length ? [] : ['r1']);
      for (const one of found) await ((await isSealed(one)) ? one.commit() : one.undo());
      expect(readFileSync(join(source, 'f'), 'utf8')).toBe(done < 3 ? 'former' : 'saved');
      expect(readdirSync(join(dir, `volumes/killed${done}`))).toEqual(['_data']);
    }
  });

  it('that tasks share are unpacked once', async () => {
    const data = volume('shared');
    writeFileSync(join(data.source, 'f'), '1');
    const unpacked = new Set<string>();
    await lay({ volumes: [data] }, facts({ volumes: [data] }), unpacked);
    const inode = statSync(data.source).ino;
    await lay({ volumes: [data], rootfs: overlay('third') }, facts({ volumes: [data] }), unpacked);
    expect(statSync(data.source).ino).toBe(inode);
  });

  it('are put back when another part cannot be unpacked', async () => {
    const [one, two] = [volume('one'), volume('two')];
    writeFileSync(join(one.source, 'f'), 'f');
    const inode = statSync(one.source).ino;
    await expect(lay({ volumes: [one] }, facts({ volumes: [one, two] }))).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('volume two') as string,
    });
    expect(statSync(one.source).ino).toBe(inode);
    expect(readdirSync(join(dir, 'volumes/one'))).toEqual(['_data']);
  });

  it('of other drivers and bind mounts are noted, not saved', async () => {
    const saved = await saveFiles(
      facts({
        volumes: [{ ...volume('nfs'), driver: 'nfs' }],
        binds: [{ source: '/srv', destination: '/s' }],
        shm: { kind: 'foreign' },
      }),
      join(dir, 'stage'),
    );
    expect(saved.parts.map((part) => part.kind)).toEqual(['UPPER']);
    expect(saved.notes).toHaveLength(3);
  });
});

describe('/dev/shm outside the container', () => {
  it('comes along', async () => {
    mkdirSync(join(dir, 'shm-old'));
    mkdirSync(join(dir, 'shm-new'));
    writeFileSync(join(dir, 'shm-old/segment'), 'shared');
    const { saved } = await lay(
      { shmSource: join(dir, 'shm-new') },
      facts({ shm: { kind: 'outside', source: join(dir, 'shm-old') } }),
    );
    expect(saved.parts.map((part) => part.kind)).toEqual(['UPPER', 'SHM']);
    expect(readFileSync(join(dir, 'shm-new/segment'), 'utf8')).toBe('shared');
  });
});

describe('given up', () => {
  it('ends with "interrupted"', async () => {
    const abort = new AbortController();
    abort.abort();
    await expect(saveFiles(facts(), join(dir, 'stage'), { signal: abort.signal })).rejects.toMatchObject({
      code: 'interrupted',
    });
  });
});
