/** Pulling the plug of a host of a running bed, and starting it again: what a power cut does to a node. */
import { kill } from 'node:process';
import { refreshAgent } from './agents.ts';
import { removeHostCgroups, thawHost } from './cgroups.ts';
import { hostPid, startHost } from './hosts.ts';
import { TestbedError, bedName, paths } from './layout.ts';
import type { BedOptions, BedRecord, HostRecord } from './layout.ts';
import { connectHost, disconnectHost } from './network.ts';
import { Reporter, waitFor } from './progress.ts';
import type { Report } from './progress.ts';
import { requireRecord } from './record.ts';
import { agentListens, readyNodes, waitForEngine } from './swarm.ts';

/** Milliseconds for all processes of a host to be gone. */
const DEATH_TIMEOUT_MS = 10_000;

/** Milliseconds for a host to be a ready node again, with an agent that listens. */
const START_TIMEOUT_MS = 90_000;

/**
 * Kills a host as a power cut does: every process at once, nothing is said to anybody, and what was in its memory (`/run`, `/dev/shm`) is gone. What lies
 * on its disk stays. One that does not run is no error.
 *
 * @throws TestbedError if there is no such bed or node.
 */
export async function killHost(options: BedOptions, node: string): Promise<void> {
  const { record } = await find(options, node);
  await waitFor(
    `the death of ${node}`,
    async () => {
      const pid = await hostPid(record.name, node);
      // With its init everything in the host's pid namespace dies; what is frozen in a cgroup of version 1, when it is thawed.
      if (pid !== undefined) kill(pid, 'SIGKILL');
      await thawHost(record.name, node);
      return pid === undefined;
    },
    { timeoutMs: DEATH_TIMEOUT_MS, intervalMs: 20 },
  );
  await removeHostCgroups(record.name, node);
  await disconnectHost(record.name, node);
}

/**
 * Starts a host that {@link killHost} has killed, and returns when Swarm calls it ready and its agent listens. One that runs is no error.
 *
 * @throws TestbedError if there is no such bed or node, or it does not come up.
 */
export async function startKilledHost(options: BedOptions, node: string, report?: Report): Promise<void> {
  const { record, host } = await find(options, node);
  if ((await hostPid(record.name, node)) !== undefined) return;
  const reporter = new Reporter(report);
  await disconnectHost(record.name, node);
  await connectHost(record, host);
  await startHost(record, host);
  reporter.info(`waiting for the engine on ${node}`);
  await waitForEngine(record.name, node, START_TIMEOUT_MS);
  await waitFor(`${node} to be ready`, async () => (await readyNodes(record)).includes(node), {
    timeoutMs: START_TIMEOUT_MS,
  });
  await refreshAgent(record.name, node, reporter);
  await waitFor(`the agent on ${node}`, () => agentListens(host), {
    timeoutMs: START_TIMEOUT_MS,
    hint: `see ${paths.log(record.name, node, 'agent')}`,
  });
}

async function find(options: BedOptions, node: string): Promise<{ record: BedRecord; host: HostRecord }> {
  const record = await requireRecord(bedName(options));
  const host = record.nodes.find(({ name }) => name === node);
  if (host !== undefined) return { record, host };
  const known = record.nodes.map(({ name }) => name).join(', ');
  throw new TestbedError(`test bed '${record.name}' has no node '${node}': it has ${known}`);
}
