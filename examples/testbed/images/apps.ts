/**
 * Images of known applications (examples/apps), from Debian's packages: one small base with node, and on it one layer for each family.
 * Made only for those who ask for them; kept in the cache's folder `apps`.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { CACHE_DIR, TestbedError, projectDir } from '../layout.ts';
import { withLock } from '../locks/lock.ts';
import type { Reporter } from '../progress.ts';
import { appLayer } from './image.ts';
import { exists, fileDigest, packImage, removeOthers, removeUnfinished, tar } from './pack.ts';
import type { Image, Layer } from './pack.ts';
import { machineMirror } from './root.ts';

/** What an image has besides the base. */
interface Family {
  /** Debian's. */
  readonly packages: readonly string[];
  /** A shell script, run in the image's root after that; `/src` has examples/apps. */
  readonly build?: string;
}

/** No database of no use, no second architecture of the same code. */
const FAMILIES = {
  servers: {
    packages: ['nginx-light', 'memcached', 'nats-server', 'etcd-server', 'etcd-client'],
    build: 'rm -rf /usr/share/nginx/html /var/lib/nginx/*; mkdir -p /var/lib/nginx /var/log/nginx',
  },
  postgres: {
    packages: ['postgresql', 'postgresql-contrib'],
    // Compiled queries are of no use here, and three quarters of the size.
    build: 'rm -rf /usr/lib/*/libLLVM* /usr/lib/llvm* /usr/lib/postgresql/*/lib/bitcode /var/lib/postgresql/*/main',
  },
  mariadb: { packages: ['mariadb-server', 'mariadb-client'], build: 'rm -rf /var/lib/mysql/*' },
  java: {
    packages: ['default-jdk-headless'],
    build:
      'javac -d /opt/java /src/java/Server.java; rm -rf /usr/lib/jvm/*/jmods /usr/lib/jvm/*/lib/src.zip /usr/lib/jvm/*/lib/ct.sym',
  },
  go: {
    packages: ['golang-go'],
    build:
      'cp /src/go/server.go.txt /tmp/server.go; cd /tmp; HOME=/tmp go build -o /usr/local/bin/go-server server.go; rm -rf /tmp/* /tmp/.cache /usr/lib/go* /usr/share/go*',
  },
  rabbitmq: { packages: ['rabbitmq-server'] },
  openmpi: {
    packages: ['openmpi-bin', 'python3-mpi4py', 'openssh-server', 'openssh-client'],
    // Tasks of the stack trust each other.
    build: `mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; ssh-keygen -A
      cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys; printf 'StrictHostKeyChecking no\\nUserKnownHostsFile /dev/null\\nLogLevel ERROR\\n' >/root/.ssh/config`,
  },
} as const satisfies Record<string, Family>;

/** Name of an image of applications: `swarmcut/<family>:latest`. */
export type AppFamily = keyof typeof FAMILIES;

export function isAppFamily(name: string): name is AppFamily {
  return Object.hasOwn(FAMILIES, name);
}

const SCRIPT = 'examples/testbed/images/make-apps.sh';
const DIR = path.join(CACHE_DIR, 'apps');

/** Milliseconds a build may take. */
const BUILD_TIMEOUT_MS = 15 * 60_000;

/**
 * Makes an image, or takes it from the cache.
 *
 * @throws TestbedError if a build fails; the message has the last lines and the log's place
 */
export async function appsImage(family: AppFamily, reporter: Reporter): Promise<Image> {
  await mkdir(DIR, { recursive: true });
  return withLock(
    path.join(DIR, 'lock'),
    () => reporter.info('waiting for another command that builds images of applications'),
    async () => {
      await removeUnfinished(DIR);
      const { root, layer: base } = await baseLayer(reporter);
      const layer = await familyLayer(root, family, reporter);
      const app = await appLayer(DIR);
      const reference = `swarmcut/${family}:latest`;
      return packImage(reference, `image-${family}-`, [base, layer, app], () => reporter.info(`packing ${reference}`));
    },
  );
}

async function recipe(...parts: readonly string[]): Promise<string> {
  const script = await readFile(path.join(projectDir(), SCRIPT));
  const hash = createHash('sha256').update(script).update(process.arch);
  for (const part of parts) hash.update(`\0${part}`);
  return hash.digest('hex').slice(0, 16);
}

async function baseLayer(reporter: Reporter): Promise<{ root: string; layer: Layer }> {
  const key = await recipe('base');
  const root = path.join(DIR, `root-${key}`);
  const file = path.join(DIR, `base-${key}.tar`);
  if (!(await exists(root))) {
    const building = path.join(DIR, `build-${process.pid}`);
    await make(reporter, 'the base of the applications (Debian with node, a minute)', [
      'base',
      building,
      (await machineMirror()) ?? '',
    ]);
    await rename(building, root);
    await removeOthers('root-', root);
  }
  if (!(await exists(file))) {
    await tar(root, file, ['--exclude=./var/lib/apt/lists/*', '--exclude=./var/cache/*', '--exclude=./dev/*']);
    await removeOthers('base-', file);
  }
  return { root, layer: { file, digest: await fileDigest(file, true) } };
}

async function familyLayer(root: string, family: AppFamily, reporter: Reporter): Promise<Layer> {
  const { packages, build = '' }: Family = FAMILIES[family];
  const source = path.join(projectDir(), 'examples/apps', family);
  // Compiled sources are part of the name.
  const sources = (await exists(source))
    ? (await execa('sh', ['-c', `cat ${source}/*.java ${source}/*.txt`], { reject: false })).stdout
    : '';
  const key = await recipe(root, ...packages, build, sources);
  const file = path.join(DIR, `layer-${family}-${key}.tar`);
  if (!(await exists(file))) {
    const building = path.join(DIR, `build-${process.pid}-${family}`);
    await make(reporter, `${family}: ${packages.join(' ')}`, ['family', root, building, packages.join(' '), build]);
    await tar(building, file);
    await rm(building, { recursive: true });
    await removeOthers(`layer-${family}-`, file);
  }
  return { file, digest: await fileDigest(file, true) };
}

async function make(reporter: Reporter, what: string, args: readonly string[]): Promise<void> {
  const log = path.join(DIR, 'make-apps.log');
  reporter.info(`building ${what}; log: ${log}`);
  // Namespaces of its own, and the death of their init if we die: whatever becomes of the build, nothing stays mounted or running.
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const script = path.join(projectDir(), SCRIPT);
  const child = execa('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...namespaces, 'sh', script, ...args], {
    all: true,
    buffer: false,
    reject: false,
    stdin: 'ignore',
    timeout: BUILD_TIMEOUT_MS,
    env: { SOURCES: path.join(projectDir(), 'examples/apps') },
  });
  child.all.pipe(createWriteStream(log));
  const result = await child;
  if (result.exitCode === 0) return;
  const tail = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-5).join('\n  ');
  throw new TestbedError(
    `building ${what} failed: ${result.timedOut ? 'it took too long' : `exit code ${result.exitCode ?? 'none'}`}. Last lines of ${log}:\n  ${tail}`,
  );
}
