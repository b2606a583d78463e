/** The Debian root that all hosts share: built once per recipe, kept under {@link CACHE_DIR}. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { CACHE_DIR, TestbedError, projectDir } from '../layout.ts';
import { withLock } from '../locks/lock.ts';
import type { Reporter } from '../progress.ts';
import { listBeds } from '../record.ts';

/** Milliseconds a build may take: 45 s were seen, but not every mirror is near. */
const BUILD_TIMEOUT_MS = 15 * 60_000;

/**
 * Returns the directory of the cached root, building it if it is not there (about a minute, some 550 MB), and removing roots
 * of former recipes and what killed builds left behind.
 *
 * @throws TestbedError if the build fails; the message has the last lines and the log's place.
 */
export async function ensureRoot(reporter: Reporter): Promise<string> {
  const script = path.join(projectDir(), 'examples/testbed/images/make-root.sh');
  const recipe = createHash('sha256')
    .update(await readFile(script))
    .update(process.arch)
    .digest('hex')
    .slice(0, 16);
  const root = path.join(CACHE_DIR, `root-${recipe}`);
  if (await isDirectory(root)) return root;

  await withLock(
    path.join(CACHE_DIR, 'lock'),
    () => reporter.info('waiting for another build of the root file system'),
    async () => {
      if (await isDirectory(root)) return;
      // We hold the lock, so nobody is building: all other roots are stale. A root in use by a bed is only unlinked.
      for (const entry of await readdir(CACHE_DIR)) {
        if (entry.startsWith('build-')) await rm(path.join(CACHE_DIR, entry), { recursive: true, force: true });
      }
      await removeStaleRoots(root);
      await build(script, root, reporter);
    },
  );
  return root;
}

/** Removes everything cached. No bed may be up. */
export async function removeCache(): Promise<void> {
  await rm(CACHE_DIR, { recursive: true, force: true });
}

async function build(script: string, root: string, reporter: Reporter): Promise<void> {
  const mirror = await machineMirror();
  const target = path.join(CACHE_DIR, `build-${process.pid}`);
  const log = path.join(CACHE_DIR, 'make-root.log');
  reporter.info(`building the hosts' root file system (Debian trixie with CRIU, about a minute; log: ${log})`);
  await mkdir(target, { recursive: true });

  // Namespaces of its own, and the death of their init if we die: whatever becomes of the build, nothing stays mounted or running.
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const command = ['--pdeathsig', 'KILL', 'unshare', ...namespaces, 'sh', script, target, mirror ?? ''];
  const child = execa('setpriv', command, {
    all: true,
    buffer: false,
    reject: false,
    stdin: 'ignore',
    timeout: BUILD_TIMEOUT_MS,
  });
  child.all.pipe(createWriteStream(log));
  const result = await child;
  if (result.exitCode !== 0) {
    const tail = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-5).join('\n  ');
    await rm(target, { recursive: true, force: true });
    const why = result.timedOut ? 'it took too long' : `exit code ${result.exitCode ?? 'none'}`;
    throw new TestbedError(
      `building the hosts' root file system failed: ${why}. Last lines of ${log}:\n  ${tail}\n` +
        `Is a Debian mirror in reach? SWARMCUT_DEBIAN_MIRROR=<url> names one (tried: ${mirror ?? "debootstrap's default"}).`,
    );
  }
  await rename(target, root);
  reporter.info('root file system is built');
}

/**
 * A mirror that this machine's apt already uses and that has Debian's own suites: `SWARMCUT_DEBIAN_MIRROR`, else from apt's
 * configuration; `undefined` if this is not Debian (debootstrap has a default then).
 */
export async function machineMirror(): Promise<string | undefined> {
  const wanted = process.env.SWARMCUT_DEBIAN_MIRROR;
  if (wanted !== undefined && wanted !== '') return wanted;
  const targets = await execa(
    'apt-get',
    ['indextargets', '--format', '$(ORIGIN) $(REPO_URI) $(CODENAME)', 'Created-By: Packages'],
    { reject: false },
  );
  const candidates = targets.stdout
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([origin, , codename]) => origin === 'Debian' && codename !== undefined && !codename.includes('-'))
    .map(([, uri]) => uri?.replace(/\/$/, ''));
  return candidates[0];
}

async function removeStaleRoots(keep: string): Promise<void> {
  const inUse = await rootsInUse();
  for (const entry of await readdir(CACHE_DIR)) {
    const full = path.join(CACHE_DIR, entry);
    if (entry.startsWith('root-') && full !== keep && !inUse.has(full))
      await rm(full, { recursive: true, force: true });
  }
}

/** Roots that recorded beds lie on: removing one would pull it away under running hosts. */
async function rootsInUse(): Promise<Set<string>> {
  return new Set((await listBeds()).map((bed) => bed.root));
}

async function isDirectory(dir: string): Promise<boolean> {
  return stat(dir).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
