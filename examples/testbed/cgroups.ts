/** A bed's control groups: one tree per hierarchy, in cgroup v1 and v2. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { paths } from './layout.ts';
import { waitFor } from './progress.ts';

const CGROUP_DIR = '/sys/fs/cgroup';

/** Whether this machine has cgroup v2 alone (v1 with an empty v2 beside it counts as v1). */
export function isCgroupV2(): boolean {
  return existsSync(path.join(CGROUP_DIR, 'cgroup.controllers'));
}

/**
 * v2: makes a host's group, with all controllers, and returns its directory. v1: nothing to make (the engine makes its
 * `cgroup-parent` in each hierarchy), returns `undefined`.
 */
export async function createHostCgroup(bed: string, node: string): Promise<string | undefined> {
  if (!isCgroupV2()) return undefined;
  const parent = path.join(CGROUP_DIR, paths.cgroup(bed));
  const own = path.join(parent, node);
  await mkdir(own, { recursive: true });
  const controllers = (await readFile(path.join(CGROUP_DIR, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  for (const dir of [CGROUP_DIR, parent]) {
    for (const controller of controllers) {
      // Not every controller can be had everywhere; the engine says what it misses.
      await writeFile(path.join(dir, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined);
    }
  }
  return own;
}

/** The engine's `cgroup-parent`: with v2 the host's own cgroup namespace is its root, with v1 it sees the machine's. */
export function engineCgroupParent(bed: string, node: string): string {
  return isCgroupV2() ? '/docker' : `/${paths.cgroup(bed)}/${node}`;
}

/** The bed's group directories that exist, one per hierarchy. */
export async function bedCgroups(bed: string): Promise<string[]> {
  const roots = isCgroupV2()
    ? [CGROUP_DIR]
    : (await readdir(CGROUP_DIR).catch(() => [])).map((hierarchy) => path.join(CGROUP_DIR, hierarchy));
  return roots.map((root) => path.join(root, paths.cgroup(bed))).filter((dir) => existsSync(dir));
}

/** Thaws every group of the bed: with cgroup v1, a frozen process does not even die of SIGKILL. */
export async function thawAll(bed: string): Promise<void> {
  for (const root of await bedCgroups(bed)) await thaw(root);
}

/** As {@link thawAll}, for one host. */
export async function thawHost(bed: string, node: string): Promise<void> {
  for (const root of await bedCgroups(bed)) await thaw(path.join(root, node));
}

async function thaw(root: string): Promise<void> {
  for (const dir of await tree(root)) {
    await writeFile(path.join(dir, 'freezer.state'), 'THAWED', { flag: 'r+' }).catch(() => undefined);
    await writeFile(path.join(dir, 'cgroup.freeze'), '0', { flag: 'r+' }).catch(() => undefined);
  }
}

/** Removes a host's groups, which must have no processes any more. */
export async function removeHostCgroups(bed: string, node: string): Promise<void> {
  await removeAll(`removing the control groups of ${node}`, async () =>
    (await bedCgroups(bed)).map((root) => path.join(root, node)).filter((dir) => existsSync(dir)),
  );
}

/** Removes the bed's groups, which must have no processes any more (the kernel may need a moment to notice). */
export async function removeCgroups(bed: string): Promise<void> {
  await removeAll(`removing the control groups ${paths.cgroup(bed)}`, () => bedCgroups(bed));
}

async function removeAll(what: string, roots: () => Promise<readonly string[]>): Promise<void> {
  await waitFor(
    what,
    async () => {
      for (const root of await roots()) for (const dir of (await tree(root)).reverse()) await rmdir(dir);
      return true;
    },
    { timeoutMs: 10_000, hint: 'some process is still in there: see cgroup.procs' },
  );
}

/** Pids, as the machine sees them, of all processes in the bed's groups. */
export async function processesInCgroups(bed: string): Promise<number[]> {
  const pids = new Set<number>();
  for (const root of await bedCgroups(bed)) {
    for (const dir of await tree(root)) {
      const procs = await readFile(path.join(dir, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const pid of procs.split('\n').filter(Boolean)) pids.add(Number(pid));
    }
  }
  return [...pids];
}

/** The directory and all below it, parents first. */
async function tree(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => tree(path.join(dir, entry.name))),
  );
  return [dir, ...below.flat()];
}
