/** Removing a bed, in whatever state it is. */
import { kill as sendSignal } from 'node:process';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { bedCgroups, processesInCgroups, removeCgroups, thawAll } from './cgroups.ts';
import { BEDS_DIR, paths } from './layout.ts';
import { hostPid } from './hosts.ts';
import { networkNamespaces, processesInNetwork, removeNetwork } from './network.ts';
import { waitFor } from './progress.ts';
import type { Reporter } from './progress.ts';

/**
 * Milliseconds that engines and agents get to stop by themselves. Short, since their data goes too: an engine that waits for tasks which
 * ignore SIGTERM would need 10 s.
 */
const STOP_TIMEOUT_MS = 5000;

/** Milliseconds for what SIGKILL has hit to be gone. */
const KILL_TIMEOUT_MS = 10_000;

/**
 * Stops and removes everything that belongs to the bed's name: processes, mounts (they live and die with the hosts' mount namespaces),
 * namespaces, links, control groups, directories. Needs no record: a half-made or crashed bed goes too.
 *
 * @throws TestbedError naming what would not go.
 */
export async function teardown(bed: string, reporter: Reporter): Promise<void> {
  // With cgroup v1 a frozen process neither stops nor dies.
  await thawAll(bed);
  await stopInits(bed, reporter);
  await killAll(bed);
  await removeNetwork(bed);
  await removeCgroups(bed);
  await rm(paths.bed(bed), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  // Goes when this was the last bed.
  await rmdir(BEDS_DIR).catch(() => undefined);
}

/** SIGTERM to the hosts' inits: the supervisor stops engine and agent, and the host ends. */
async function stopInits(bed: string, reporter: Reporter): Promise<void> {
  const inits = await runningInits(bed);
  if (inits.length === 0) return;
  reporter.info(`stopping the engines of ${inits.length} hosts`);
  for (const pid of inits) signal(pid, 'SIGTERM');
  await waitFor('stopping the engines', async () => (await runningInits(bed)).length === 0, {
    timeoutMs: STOP_TIMEOUT_MS,
  }).catch(() => {
    reporter.info(`some host did not stop within ${STOP_TIMEOUT_MS / 1000} s: killing it`);
  });
}

/** The death of a pid namespace's init is the death of all in it; what else is in our namespaces and groups is killed one by one. */
async function killAll(bed: string): Promise<void> {
  await waitFor(
    `killing the processes of test bed '${bed}'`,
    async () => {
      await thawAll(bed);
      const pids = new Set([
        ...(await runningInits(bed)),
        ...(await processesInNetwork(bed)),
        ...(await processesInCgroups(bed)),
      ]);
      for (const pid of pids) signal(pid, 'SIGKILL');
      return pids.size === 0;
    },
    { timeoutMs: KILL_TIMEOUT_MS },
  );
}

async function runningInits(bed: string): Promise<number[]> {
  const nodes = await readdir(paths.host(bed, '')).catch((): string[] => []);
  const pids = await Promise.all(nodes.map((node) => hostPid(bed, node)));
  return pids.filter((pid) => pid !== undefined);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    sendSignal(pid, name);
  } catch {
    // It has gone in the meantime.
  }
}

/**
 * What there is of a bed on this machine, as readable lines; empty when nothing is left. For tests, and for `status` of a bed that
 * has no record.
 */
export async function leftovers(bed: string): Promise<string[]> {
  const found: string[] = [];
  for (const netns of await networkNamespaces(bed)) found.push(`network namespace ${netns}`);
  for (const pid of await processesInNetwork(bed)) found.push(`process ${pid} in its network`);
  for (const pid of await processesInCgroups(bed)) found.push(`process ${pid} in its control groups`);
  for (const dir of await bedCgroups(bed)) found.push(`control group ${dir}`);
  const links = await readdir('/sys/class/net').catch((): string[] => []);
  for (const link of links) if (link === paths.uplink(bed)) found.push(`interface ${link}`);
  const names = await readdir(BEDS_DIR).catch((): string[] => []);
  if (names.includes(bed)) found.push(`directory ${paths.bed(bed)}`);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  for (const line of mounts.split('\n')) {
    const point = line.split(' ')[4];
    if (point?.startsWith(`${paths.bed(bed)}/`) === true) found.push(`mount ${point}`);
  }
  return found;
}
