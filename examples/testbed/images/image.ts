/**
 * The examples' image, made without a registry and without an engine: two layers, tarred from the cached root and from dist/, in
 * the form that `docker load` takes. Built this way its id depends on nothing but its content, so all nodes have the same
 * one, and a node that has the big layer already is not given it a second time.
 */
import { createHash } from 'node:crypto';
import { cp, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { CACHE_DIR, EXAMPLES_IMAGE, projectDir } from '../layout.ts';
import { withLock } from '../locks/lock.ts';
import type { Reporter } from '../progress.ts';
import { exists, fileDigest, inStage, packImage, removeOthers, removeUnfinished, tar } from './pack.ts';
import type { Image, Layer } from './pack.ts';

/** Programs of the root that the image has, with the libraries that they are linked with. */
const PROGRAMS = [
  '/usr/bin/node',
  '/usr/bin/redis-server',
  // What redis-server is a link to.
  '/usr/bin/redis-check-rdb',
  '/usr/bin/redis-cli',
  '/usr/bin/iperf3',
  '/usr/sbin/haproxy',
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
const EXAMPLES = ['pair', 'bank', 'redis', 'apps'];

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
      await removeUnfinished(CACHE_DIR);
      const base = await baseLayer(root, reporter);
      const app = await appLayer(CACHE_DIR);
      return packImage(EXAMPLES_IMAGE, 'image-', [base, app], () => reporter.info('packing the examples image'));
    },
  );
}

/** Everything but our own programs; keyed by the root and the lists above. */
async function baseLayer(root: string, reporter: Reporter): Promise<Layer> {
  const key = createHash('sha256')
    .update(JSON.stringify([path.basename(root), PROGRAMS, FILES, 3]))
    .digest('hex')
    .slice(0, 16);
  const file = path.join(CACHE_DIR, `base-${key}.tar`);
  if (!(await exists(file))) {
    reporter.info('gathering the examples image: node, redis, haproxy, iperf3, python3, busybox');
    await inStage(CACHE_DIR, async (stage) => {
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
  return { file, digest: await fileDigest(file, true) };
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
  // Python's modules, too. ldd fails for the static one among them, and says so on standard error.
  const script = 'ldd "$@" /usr/lib/python3.13/lib-dynload/*.so';
  const { stdout } = await execa('chroot', [root, 'sh', '-c', script, 'sh', ...PROGRAMS], { reject: false });
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

/** Our own programs, as compiled, and what lies beside them; made anew each time, since it is small. @param dir gets the layer */
export async function appLayer(dir: string): Promise<Layer> {
  const dist = path.join(projectDir(), 'dist/examples');
  return inStage(dir, async (stage) => {
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
    // Settings of servers, and programs that are not compiled.
    await cp(path.join(projectDir(), 'examples/apps'), path.join(app, 'examples/apps'), {
      recursive: true,
      filter: (source) => !/\.(ts|yaml|md)$/.test(source),
    });
    const unnamed = path.join(dir, `build-${process.pid}-app.tar`);
    await tar(stage, unnamed);
    const digest = await fileDigest(unnamed);
    const file = path.join(dir, `app-${digest.slice(0, 16)}.tar`);
    await rename(unnamed, file);
    await removeOthers('app-', file);
    return { file, digest };
  });
}
