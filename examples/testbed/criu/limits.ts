/**
 * What a host's CRIU needs on a machine whose root lacks CAP_SYS_RESOURCE: there the kernel does not let it read the limits of another
 * user's process, and every container with `user:` would be refused. A preload (limits.c) answers those reads. Where the machine has the
 * capability, hosts have CRIU as Debian made it. swarmcut itself knows nothing of this.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { CAPABILITIES, hasCapability } from '../../../src/platform/capabilities.ts';
import { CACHE_DIR, TestbedError, projectDir } from '../layout.ts';
import type { Reporter } from '../progress.ts';

/** For limits.c, which needs no libc: the machine's may be newer than the hosts'. */
const COMPILE = ['-shared', '-fPIC', '-O2', '-nostdlib', '-ffreestanding', '-fno-stack-protector'];

const PRELOAD_IN_HOST = '/usr/local/lib/testbed/criu-limits.so';

/** Found before CRIU itself: also by runc, which looks for it in PATH. */
const WRAPPER_IN_HOST = '/usr/local/sbin/criu';
const WRAPPER = `#!/bin/sh\nLD_PRELOAD=${PRELOAD_IN_HOST} exec /usr/sbin/criu "$@"\n`;

/**
 * The compiled preload, from the cache unless its text or its compilation has changed. Undefined where the machine needs none, and where there is no C
 * compiler, which is told.
 *
 * @throws TestbedError if the compiler fails
 */
export async function criuLimitsPreload(reporter: Reporter): Promise<string | undefined> {
  if (hasCapability(CAPABILITIES.sysResource)) return undefined;
  const source = path.join(projectDir(), 'examples/testbed/criu/limits.c');
  const recipe = createHash('sha256')
    .update(await readFile(source))
    .update(JSON.stringify([COMPILE, process.arch]))
    .digest('hex')
    .slice(0, 16);
  const file = path.join(CACHE_DIR, `criu-limits-${recipe}.so`);
  if (await exists(file)) return file;
  await mkdir(CACHE_DIR, { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  const compiled = await execa('gcc', [...COMPILE, '-o', unfinished, source], { reject: false, all: true });
  if (compiled.code === 'ENOENT') {
    reporter.warning(
      "this machine's root lacks CAP_SYS_RESOURCE, and there is no gcc to make up for it: services with `user:` cannot be snapshotted on a bed here",
    );
    return undefined;
  }
  if (compiled.exitCode !== 0) {
    await rm(unfinished, { force: true });
    throw new TestbedError(`gcc ${source} failed (exit code ${compiled.exitCode ?? 'none'}): ${compiled.all}`);
  }
  await rename(unfinished, file);
  return file;
}

/**
 * Lays the preload into a host that does not run yet.
 *
 * @param upper what the host has over the shared root
 * @param preload see {@link criuLimitsPreload}
 */
export async function layCriuLimits(upper: string, preload: string | undefined): Promise<void> {
  if (preload === undefined) return;
  for (const file of [PRELOAD_IN_HOST, WRAPPER_IN_HOST]) {
    await mkdir(path.join(upper, path.dirname(file)), { recursive: true });
  }
  await copyFile(preload, path.join(upper, PRELOAD_IN_HOST));
  await writeFile(path.join(upper, WRAPPER_IN_HOST), WRAPPER, { mode: 0o755 });
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
