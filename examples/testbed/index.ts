/**
 * A real Docker Swarm of several hosts on one machine: each host with its own engine, agent, network, file system and process ids, all
 * sharing the kernel. See docs/testbed.md.
 */
import { platform } from 'node:process';
import { isCgroupV2 } from './cgroups.ts';
import { refreshAgent } from './agents.ts';
import { issueCertificates } from './certificates.ts';
import { criuLimitsPreload } from './criu/limits.ts';
import { refuseClaimed } from './locks/claim.ts';
import { hostPid, prepareHost, startHost } from './hosts.ts';
import { appsImage } from './images/apps.ts';
import type { AppFamily } from './images/apps.ts';
import { examplesImage } from './images/image.ts';
import { BEDS_DIR, NODES_MAX, TestbedError, bedName, paths } from './layout.ts';
import type { BedOptions, BedRecord, HostRecord, ServiceName } from './layout.ts';
import { withLock } from './locks/lock.ts';
import { createNetwork, freePrefix, loadModules } from './network.ts';
import { Reporter, waitFor } from './progress.ts';
import type { Report } from './progress.ts';
import { readRecord, requireRecord, writeRecord } from './record.ts';
import { ensureRoot, removeCache } from './images/root.ts';
import { agentListens, joinSwarm, loadImage, readyNodes, waitForEngine } from './swarm.ts';
import { leftovers, teardown } from './teardown.ts';

export { isAppFamily } from './images/apps.ts';
export type { AppFamily } from './images/apps.ts';
export { AGENT_PORT, EXAMPLES_IMAGE, TestbedError } from './layout.ts';
export type { BedOptions, BedRecord, HostRecord, ServiceName } from './layout.ts';
export type { Progress, Report } from './progress.ts';
export { claimBed } from './locks/claim.ts';
export type { Claim } from './locks/claim.ts';
export { execOn, pathInHost } from './hosts.ts';
export { engineOf } from './swarm.ts';
export type { ExecOptions, ExecResult } from './hosts.ts';
export { killHost, startKilledHost } from './power.ts';
export { waitFor } from './progress.ts';
export { listBeds } from './record.ts';
export { leftovers } from './teardown.ts';

/** Milliseconds for engines to answer; 3 s were seen, on a busy machine more. */
const ENGINE_TIMEOUT_MS = 180_000;

/** Milliseconds for nodes to be ready and agents to listen, once the Swarm is made. */
const READY_TIMEOUT_MS = 180_000;

/**
 * Fills the cache: the hosts' root file system and, if dist/ is there, the examples image. Not needed before {@link up}, but the slow part
 * of it.
 *
 * @throws TestbedError if this machine cannot carry a bed, or a build fails.
 */
export async function prepare(report?: Report): Promise<void> {
  requireRoot();
  const reporter = new Reporter(report);
  await examplesImage(await ensureRoot(reporter), reporter);
  await criuLimitsPreload(reporter);
}

/** What {@link up} makes. */
export interface UpOptions extends BedOptions {
  /** Number of hosts; `n1` is the manager. Default 3. */
  readonly nodes?: number;
}

/**
 * Brings a bed up and returns when all nodes are ready, have the examples image, and their agents listen. Harmless if it is up already:
 * then only what is missing or out of date is done (the image, for one, after a new build). A bed with a dead host is made anew.
 *
 * @param report told of every step and of what is waited for.
 * @throws TestbedError if this machine cannot carry a bed, another run has it ({@link claimBed}), or a step fails; whatever has been made
 *   stays, for a look, and the next `up` or `down` removes it.
 */
export async function up(options: UpOptions = {}, report?: Report): Promise<BedRecord> {
  const bed = bedName(options);
  requireRoot();
  const reporter = new Reporter(report);
  return withLock(
    paths.lock(bed),
    () => reporter.info(`waiting for another command on test bed '${bed}'`),
    async () => {
      await refuseClaimed(bed);
      return upLocked(bed, options.nodes, reporter);
    },
  );
}

async function upLocked(bed: string, count: number | undefined, reporter: Reporter): Promise<BedRecord> {
  if (count !== undefined && (!Number.isInteger(count) || count < 1 || count > NODES_MAX)) {
    throw new TestbedError(`a test bed has 1 to ${NODES_MAX} nodes, not ${count}`);
  }
  const root = await ensureRoot(reporter);
  const record = (await runningBed(bed, count, reporter)) ?? (await make(bed, count ?? 3, root, reporter));
  const names = record.nodes.map((node) => node.name);

  const image = examplesImage(root, reporter);
  // Awaited below; if the engines fail first, its own failure must not end the program.
  image.catch(() => undefined);
  reporter.info(`waiting for the engines on ${names.join(', ')}`);
  await Promise.all(names.map((name) => waitForEngine(bed, name, ENGINE_TIMEOUT_MS)));
  const swarm = joinSwarm(record).then(() => reporter.info('the engines are one Swarm'));
  const loaded = loadEverywhere(record, image, reporter);
  await Promise.all([swarm, loaded]);

  reporter.info('waiting for all nodes to be ready and all agents to listen');
  await waitFor('the nodes', async () => (await readyNodes(record)).length === names.length, {
    timeoutMs: READY_TIMEOUT_MS,
    hint: `see 'coordinator testbed exec n1 --name ${bed} -- docker node ls'`,
  });
  // Last, so that whoever works on the agent has a Swarm even when the agent fails.
  await Promise.all(names.map((name) => refreshAgent(bed, name, reporter)));
  await Promise.all(record.nodes.map((node) => waitForAgent(bed, node)));
  reporter.info(`test bed '${bed}' is ready: ${record.nodes.map((node) => `${node.name} ${node.address}`).join(', ')}`);
  return record;
}

/** The bed's record if it is up and as wanted. */
async function runningBed(bed: string, count: number | undefined, reporter: Reporter): Promise<BedRecord | undefined> {
  const record = await readRecord(bed);
  if (record === undefined) return undefined;
  if (count !== undefined && record.nodes.length !== count) {
    throw new TestbedError(
      `test bed '${bed}' has ${record.nodes.length} nodes, not ${count}: 'coordinator testbed down --name ${bed}' first`,
    );
  }
  const dead: string[] = [];
  for (const node of record.nodes) if ((await hostPid(bed, node.name)) === undefined) dead.push(node.name);
  if (dead.length === 0) return record;
  reporter.warning(`test bed '${bed}' is not whole (${dead.join(', ')} not running): making it anew`);
  return undefined;
}

async function make(bed: string, count: number, root: string, reporter: Reporter): Promise<BedRecord> {
  if ((await leftovers(bed)).length > 0) {
    reporter.info(`removing what is left of a former test bed '${bed}'`);
    await teardown(bed, reporter);
  }
  const prefix = await freePrefix();
  const nodes = Array.from({ length: count }, (_, index) => ({
    name: `n${index + 1}`,
    address: `${prefix}.${index + 1}`,
  }));
  const record: BedRecord = { name: bed, prefix, root, nodes };
  await writeRecord(record);
  reporter.info(`making ${count} hosts (cgroup ${isCgroupV2() ? 'v2' : 'v1'}, network ${prefix}.0/24)`);
  await loadModules();
  const limits = await criuLimitsPreload(reporter);
  for (const node of nodes) await prepareHost(record, node, limits);
  await Promise.all([createNetwork(record), issueCertificates(record)]);
  await Promise.all(nodes.map((node) => startHost(record, node)));
  return record;
}

async function loadEverywhere(
  record: BedRecord,
  image: ReturnType<typeof examplesImage>,
  reporter: Reporter,
): Promise<void> {
  const made = await image;
  const loads = await Promise.all(record.nodes.map((node) => loadImage(record.name, node.name, made)));
  const count = loads.filter(Boolean).length;
  if (count > 0) reporter.info(`${made.reference} is on all nodes (loaded on ${count})`);
}

/**
 * Puts images of applications (examples/apps) on all nodes of a bed that is up; made if they are not in the cache.
 *
 * @throws TestbedError if there is no such bed, or a build fails
 */
export async function addImages(options: BedOptions, families: readonly AppFamily[], report?: Report): Promise<void> {
  const record = await requireRecord(bedName(options));
  const reporter = new Reporter(report);
  for (const family of families) await loadEverywhere(record, appsImage(family, reporter), reporter);
}

async function waitForAgent(bed: string, node: HostRecord): Promise<void> {
  await waitFor(`the agent on ${node.name}`, () => agentListens(node), {
    timeoutMs: READY_TIMEOUT_MS,
    hint: `see ${paths.log(bed, node.name, 'agent')}`,
  });
}

/**
 * Removes a bed: stops its engines, kills what does not stop, and leaves no process, mount, namespace, link, control group or
 * directory of it. Works on a half-made or crashed bed, and is harmless if there is none. Takes up to some 25 s if engines hang.
 *
 * @throws TestbedError naming what would not go, or the run that has the bed ({@link claimBed}).
 */
export async function down(
  options: BedOptions & {
    /** Also remove the cached root and image, which all beds share. */ readonly cache?: boolean;
  } = {},
  report?: Report,
): Promise<void> {
  const bed = bedName(options);
  requireRoot();
  const reporter = new Reporter(report);
  await withLock(
    paths.lock(bed),
    () => reporter.info(`waiting for another command on test bed '${bed}'`),
    async () => {
      await refuseClaimed(bed);
      if ((await leftovers(bed)).length === 0) {
        reporter.info(`there is no test bed '${bed}'`);
      } else {
        await teardown(bed, reporter);
        reporter.info(`test bed '${bed}' is gone`);
      }
    },
  );
  if (options.cache === true) {
    await removeCache();
    reporter.info('the cache is gone');
  }
}

/** A host, as {@link status} finds it. */
export interface HostStatus extends HostRecord {
  /** Pid of its init as the machine sees it; `null` if it is not running. */
  readonly pid: number | null;
  /** Whether the manager calls the node ready. */
  readonly ready: boolean;
  /** Whether its agent listens. */
  readonly agent: boolean;
}

/** A bed, as {@link status} finds it. */
export interface BedStatus {
  readonly name: string;
  /** The bed's directory. */
  readonly directory: string;
  /** Whether every node runs, is ready, and has an agent that listens. */
  readonly healthy: boolean;
  readonly nodes: readonly HostStatus[];
}

/**
 * Looks at a bed without touching it.
 *
 * @throws TestbedError if there is no such bed.
 */
export async function status(options: BedOptions = {}): Promise<BedStatus> {
  const bed = bedName(options);
  const record = await requireRecord(bed);
  const ready = new Set(await readyNodes(record).catch(() => []));
  const nodes = await Promise.all(
    record.nodes.map(async (node) => {
      const pid = (await hostPid(bed, node.name)) ?? null;
      return { ...node, pid, ready: ready.has(node.name), agent: pid !== null && (await agentListens(node)) };
    }),
  );
  const healthy = nodes.every((node) => node.pid !== null && node.ready && node.agent);
  return { name: bed, directory: paths.bed(bed), healthy, nodes };
}

/**
 * Path, on this machine, of a service's log.
 *
 * @throws TestbedError if there is no such bed or node.
 */
export async function logsPath(options: BedOptions, node: string, service: ServiceName): Promise<string> {
  const bed = bedName(options);
  const record = await requireRecord(bed);
  if (!record.nodes.some((host) => host.name === node)) {
    throw new TestbedError(
      `test bed '${bed}' has no node '${node}': it has ${record.nodes.map((host) => host.name).join(', ')}`,
    );
  }
  return paths.log(bed, node, service);
}

/** @throws TestbedError unless this is Linux and we are root. */
function requireRoot(): void {
  if (platform !== 'linux')
    throw new TestbedError(`a test bed needs Linux (namespaces, overlayfs); this is ${platform}`);
  if (process.getuid?.() !== 0) {
    throw new TestbedError(`a test bed needs root (namespaces, mounts, ${BEDS_DIR}): try with sudo`);
  }
}
