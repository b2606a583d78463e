import { BlockList } from 'node:net';
import type Docker from 'dockerode';
import { z } from 'zod';
import { SwarmcutError } from '../../src/model/errors.ts';
import { STACK_LABEL } from '../../src/config/labels.ts';
import type { Alias, TaskRef } from '../../src/model/task.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import { readDiskConfig } from '../runtime/docker/disk-config.ts';
import { swarmLabels } from '../runtime/docker/labels.ts';
import { inNetwork, runProcess } from '../../src/platform/processes.ts';

/** What must be known of a container for a sidecar. */
export interface Placement {
  readonly task: TaskRef;
  readonly stack: string;
  /** Of its first process, which need not have executed an instruction yet. */
  readonly pid: number;
  /** The overlay networks it is on, IPv4, in CIDR notation. */
  readonly subnets: readonly string[];
  /** Its addresses there. */
  readonly own: readonly Alias[];
}

export interface PlacementOptions {
  readonly engine: Docker;
  /** The engine's data directory. */
  readonly dataRoot: string;
  readonly nodeName: string;
}

const configSchema = z.object({
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }),
  NetworkSettings: z.object({ Networks: z.record(z.string(), z.unknown()).nullish() }).nullish(),
});

const addressSchema = z.array(
  z.object({ ifname: z.string(), addr_info: z.array(z.object({ local: z.string().optional() })) }),
);

/**
 * Looks at a container that has been created and perhaps not started. The engine must not be asked for it: it holds the container's lock
 * while the shim's `start` waits for us. So labels and networks come from its file on disk, the pid from runc, addresses from the kernel.
 * @throws SwarmcutError `precondition` if it is no task of a stack or on no overlay network, `not-found`, `failed`
 */
export async function placementOf(containerId: string, options: PlacementOptions): Promise<Placement> {
  const config = configSchema.parse(readDiskConfig(options.dataRoot, containerId));
  const labels = config.Config.Labels ?? {};
  const { service, slot, taskId } = swarmLabels(labels, options.nodeName);
  const stack = labels[STACK_LABEL];
  if (service === undefined || slot === undefined || taskId === undefined || stack === undefined)
    throw new SwarmcutError('precondition', `container ${containerId.slice(0, 12)} is no task of a stack`);
  const task: TaskRef = { service, slot, taskId, containerId };
  const [pid, networks] = await Promise.all([
    pidOf(containerId),
    overlaysOf(options.engine, Object.keys(config.NetworkSettings?.Networks ?? {})),
  ]);
  const own = ownAddresses(await addressesOf(pid), networks);
  if (own.length === 0)
    throw new SwarmcutError('precondition', 'the task has no IPv4 address on an overlay network of its stack', {
      where: { service, slot },
      advice: 'a sidecar carries connections between tasks over overlay networks: give the service one',
    });
  const used = new Set(own.map(({ network }) => network));
  const subnets = networks.filter(({ name }) => used.has(name)).flatMap((network) => network.subnets);
  return { task, stack, pid, subnets, own };
}

async function pidOf(containerId: string): Promise<number> {
  const { pid, status } = await new Runc({ root: await findRuncRoot(containerId) }).state(containerId);
  if (pid > 0 && status !== 'stopped') return pid;
  throw new SwarmcutError('not-found', `container ${containerId.slice(0, 12)} is ${status}`);
}

interface Overlay {
  readonly name: string;
  readonly subnets: readonly string[];
}

/** The overlay networks among these, without Swarm's `ingress`, through which nobody talks to tasks of the stack. */
async function overlaysOf(engine: Docker, names: readonly string[]): Promise<Overlay[]> {
  const found = await Promise.all(
    names.map(async (name): Promise<Overlay[]> => {
      const network = await engine.getNetwork(name).inspect();
      if (network.Driver !== 'overlay' || network.Ingress) return [];
      const subnets = (network.IPAM?.Config ?? []).map(({ Subnet }) => Subnet ?? '');
      return [{ name: network.Name, subnets: subnets.filter((subnet) => /^[\d.]+\/\d+$/.test(subnet)) }];
    }),
  );
  return found.flat();
}

/** The IPv4 addresses of the interfaces in a process's network namespace, without those on `lo` (which may be old ones). */
async function addressesOf(pid: number): Promise<string[]> {
  const shown = await runProcess(inNetwork(`/proc/${pid}/ns/net`, ['ip', '-j', '-4', 'address', 'show']));
  return addressSchema
    .parse(JSON.parse(shown))
    .filter(({ ifname }) => ifname !== 'lo')
    .flatMap((link) => link.addr_info.flatMap(({ local }) => local ?? []));
}

/** Which of the addresses belong to which overlay network. */
export function ownAddresses(addresses: readonly string[], networks: readonly Overlay[]): Alias[] {
  return networks.flatMap(({ name, subnets }) => {
    const inside = new BlockList();
    for (const subnet of subnets) {
      const [network = '', bits] = subnet.split('/');
      inside.addSubnet(network, Number(bits));
    }
    return addresses.filter((address) => inside.check(address)).map((address) => ({ address, network: name }));
  });
}
