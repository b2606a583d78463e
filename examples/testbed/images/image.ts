/**
 * The examples' image, made without a registry and without an engine: two layers, tarred from the cached root and from dist/, in
 * the form that `docker load` takes. Built this way its id depends on nothing but its content, so all nodes have the same
 * one, and a node that has the big layer already is not given it a second time.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { CACHE_DIR, EXAMPLES_IMAGE, projectDir } from '../layout.ts';
import { withLock } from '../locks/lock.ts';
import type { Reporter } from '../progress.ts';

/** Programs of the root that the image has, with the libraries that they are linked with. */
const PROGRAMS = [
  '/usr/bin/node',
  '/usr/bin/redis-server',
  // What redis-server is a link to.
  '/usr/bin/redis-check-rdb',
  '/usr/bin/redis-cli',
  '/usr/bin/iperf3',
  '/usr/bin/python3',
  '/usr/bin/python3.13',
  '/usr/bin/busybox',
];

/** Further files and directories: Debian's node loads some of its built-in modules from there. */
const FILES = [
  '/usr/share/nodejs/acorn',
  '/usr/share/nodejs/acorn-walk',
  '/usr/share/nodejs/cjs-module-lexer',
  '/usr/share/nodejs/minimatch',
  '/usr/share/nodejs/undici',
  '/usr/lib/python3.13',
  '/etc/ssl/openssl.cnf',
  '/usr/lib/ssl/openssl.cnf',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/group',
];

/** Example programs, as directories under dist/examples. */
const EXAMPLES = ['pair', 'bank', 'redis'];

/** A layer: an uncompressed tar in the cache, and its sha256 in hex (Docker's "diff id"). */
interface Layer {
  readonly file: string;
  readonly digest: string;
}

/** An image ready to be loaded. */
export interface Image {
  /** As engines name it: `sha256:` and the digest of its configuration. */
  readonly id: string;
  /** Reference under which it is loaded. */
  readonly reference: string;
  /** A tar for `docker load`. */
  readonly file: string;
}

/**
 * Makes the image, or takes it from the cache if nothing that it is made of has changed.
 *
 * @param root the cached root, see root.ts.
 */
export async function examplesImage(root: string, reporter: Reporter): Promise<Image> {
  return withLock(
    path.join(CACHE_DIR, 'lock'),
    () => reporter.info('waiting for another command that builds the examples image'),
    async () => {
      await removeUnfinished();
      const base = await baseLayer(root, reporter);
      const app = await appLayer();
      const config = JSON.stringify(imageConfig([base, app]));
      const id = createHash('sha256').update(config).digest('hex');
      const file = path.join(CACHE_DIR, `image-${id.slice(0, 16)}.tar`);
      if (!(await exists(file))) {
        reporter.info('packing the examples image');
        await archive(file, id, config, [base, app]);
        await removeOthers('image-', file);
      }
      return { id: `sha256:${id}`, reference: EXAMPLES_IMAGE, file };
    },
  );
}

function imageConfig(layers: readonly Layer[]): unknown {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;
  return {
    architecture,
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NODE_ENV=production'],
      WorkingDir: '/app',
      Cmd: ['sh'],
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${layer.digest}`) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'swarmcut testbed' })),
  };
}

/** Everything but our own programs; keyed by the root and the lists above. */
async function baseLayer(root: string, reporter: Reporter): Promise<Layer> {
  const key = createHash('sha256')
    .update(JSON.stringify([path.basename(root), PROGRAMS, FILES, 2]))
    .digest('hex')
    .slice(0, 16);
  const file = path.join(CACHE_DIR, `base-${key}.tar`);
  if (!(await exists(file))) {
    reporter.info('gathering the examples image: node, redis, iperf3, python3, busybox');
    await inStage(async (stage) => {
      const libraries = await linkedLibraries(root);
      const wanted = [...PROGRAMS, ...libraries, ...FILES].map((name) => `.${name}`);
      for (const dir of ['tmp', 'proc', 'sys', 'dev', 'run', 'root', 'data', 'usr/sbin', 'var/lib', 'etc']) {
        await mkdir(path.join(stage, dir), { recursive: true });
      }
      for (const dir of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${dir}`, path.join(stage, dir));
      await execa('cp', ['-a', '--parents', ...wanted, stage], { cwd: root });
      await execa('sh', ['-c', REFINE, 'sh', stage, root]);
      await tar(stage, file);
    });
    await removeOthers('base-', file);
  }
  return { file, digest: await fileDigest(file) };
}

/** Modes, busybox's names for what has no program of its own, and the parts of Python that no test needs. */
const REFINE = `set -e
cd "$1"
chmod 1777 tmp
rm -rf usr/lib/python3.13/test usr/lib/python3.13/idlelib usr/lib/python3.13/ensurepip usr/lib/python3.13/pydoc_data
find usr/lib/python3.13 -name __pycache__ -prune -exec rm -rf {} +
for applet in $(chroot "$2" busybox --list); do [ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"; done`;

/** Absolute paths, in the root, of the shared libraries of {@link PROGRAMS}, links and what they point to. */
async function linkedLibraries(root: string): Promise<string[]> {
  // ldd fails for the static one among them, and says so on standard error.
  const { stdout } = await execa('chroot', [root, 'ldd', ...PROGRAMS], { reject: false });
  const found = new Set<string>();
  for (const match of stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) {
    // /lib is a link to /usr/lib: name what is behind it, so that our own link can stand in its place.
    const { stdout: real } = await execa('chroot', [root, 'realpath', match[1] ?? '']);
    found.add(real);
    const inUsr = (match[1] ?? '').replace(/^\/(lib|lib64)\//, '/usr/$1/');
    found.add(inUsr);
  }
  return [...found].sort();
}

/** Our own programs, as compiled; made anew each time, since it is small. */
async function appLayer(): Promise<Layer> {
  const dist = path.join(projectDir(), 'dist/examples');
  return inStage(async (stage) => {
    const app = path.join(stage, 'app');
    await mkdir(app, { recursive: true });
    await writeFile(path.join(app, 'package.json'), '{ "type": "module" }\n');
    for (const example of EXAMPLES) {
      const from = path.join(dist, example);
      if (!(await exists(from))) continue;
      await cp(from, path.join(app, 'examples', example), {
        recursive: true,
        filter: (source) => !source.endsWith('.map') && !source.endsWith('.d.ts'),
      });
    }
    const unnamed = path.join(CACHE_DIR, `build-${process.pid}-app.tar`);
    await tar(stage, unnamed);
    const digest = await fileDigest(unnamed);
    const file = path.join(CACHE_DIR, `app-${digest.slice(0, 16)}.tar`);
    await rename(unnamed, file);
    await removeOthers('app-', file);
    return { file, digest };
  });
}

/** The tar that `docker load` reads: a manifest, the configuration, the layers. */
async function archive(file: string, id: string, config: string, layers: readonly Layer[]): Promise<void> {
  await inStage(async (stage) => {
    const names = layers.map((layer) => path.basename(layer.file));
    const manifest = [{ Config: `${id}.json`, RepoTags: [EXAMPLES_IMAGE], Layers: names }];
    await writeFile(path.join(stage, 'manifest.json'), JSON.stringify(manifest));
    await writeFile(path.join(stage, `${id}.json`), config);
    const unfinished = `${stage}.tar`;
    const parts = ['-C', stage, 'manifest.json', `${id}.json`, '-C', CACHE_DIR, ...names];
    await execa('tar', ['-cf', unfinished, ...parts]);
    await rename(unfinished, file);
  });
}

/** A tar whose bytes depend on nothing but the files' names, modes and contents. */
async function tar(dir: string, file: string): Promise<void> {
  const unfinished = path.join(CACHE_DIR, `build-${process.pid}-tar`);
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  await execa('tar', [...same, '-C', dir, '-cf', unfinished, '.']);
  await rename(unfinished, file);
}

async function inStage<T>(action: (stage: string) => Promise<T>): Promise<T> {
  const stage = await mkdtemp(path.join(CACHE_DIR, 'build-'));
  try {
    return await action(stage);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

async function fileDigest(file: string): Promise<string> {
  const noted = await readFile(`${file}.sha256`, 'utf8').catch(() => undefined);
  if (noted !== undefined) return noted;
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  const digest = hash.digest('hex');
  // Only for what is named after its origin: the name of an unfinished file may come again with other content.
  if (path.basename(file).startsWith('base-')) await writeFile(`${file}.sha256`, digest);
  return digest;
}

async function removeUnfinished(): Promise<void> {
  for (const entry of await readdir(CACHE_DIR)) {
    if (entry.startsWith('build-')) await rm(path.join(CACHE_DIR, entry), { recursive: true, force: true });
  }
}

async function removeOthers(prefix: string, keep: string): Promise<void> {
  for (const entry of await readdir(CACHE_DIR)) {
    const full = path.join(CACHE_DIR, entry);
    if (entry.startsWith(prefix) && !full.startsWith(keep)) await rm(full, { force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return readdir(path.dirname(file)).then(
    (names) => names.includes(path.basename(file)),
    () => false,
  );
}
