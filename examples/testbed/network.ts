/**
 * A bed's network: a bridge in a network namespace of its own, one veth from there to each host, and one to the machine, so that
 * the machine reaches the hosts by their addresses.
 *
 * The bridge does not lie in the machine's own namespace because there a firewall that also sees bridged packets (a Docker
 * engine with bridge-nf-call-iptables, for one) would decide what the hosts may say to each other.
 */
import { readdir } from 'node:fs/promises';
import { execa } from 'execa';
import { z } from 'zod';
import { TestbedError, paths } from './layout.ts';
import type { BedRecord, HostRecord } from './layout.ts';
import { listBeds } from './record.ts';

const NETNS_DIR = '/run/netns';

/** Last octet of the machine's own address on a bed's bridge. */
const MACHINE_OCTET = 254;

/**
 * Loads the kernel modules that hosts and engines need, where they are modules. What is built in, or missing, is no matter here: the
 * step that cannot do without says so.
 */
export async function loadModules(): Promise<void> {
  const modules = ['overlay', 'bridge', 'veth', 'vxlan', 'br_netfilter', 'ip_vs', 'nf_tables', 'nft_ct', 'nft_tproxy'];
  for (const module of modules) await execa('modprobe', ['-q', module], { reject: false });
}

/** Makes the namespaces, the bridge and all links. Nothing of them may exist. */
export async function createNetwork(record: BedRecord): Promise<void> {
  const lan = paths.lan(record.name);
  await ip(['netns', 'add', lan]);
  await ipBatch(lan, ['link set lo up', 'link add br0 type bridge', 'link set br0 up']);
  const uplink = paths.uplink(record.name);
  await ip(['link', 'add', uplink, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', lan]);
  await ip(['address', 'add', `${record.prefix}.${MACHINE_OCTET}/24`, 'dev', uplink]);
  await ip(['link', 'set', uplink, 'up']);
  await ipBatch(lan, ['link set uplink master br0 up']);
  for (const node of record.nodes) await connectHost(record, node);
}

/** Makes a host's namespace and its cable to the bridge. Nothing of them may exist. */
export async function connectHost(record: BedRecord, node: HostRecord): Promise<void> {
  const netns = paths.netns(record.name, node.name);
  const lan = paths.lan(record.name);
  await ip(['netns', 'add', netns]);
  await ip(['link', 'add', 'eth0', 'netns', netns, 'type', 'veth', 'peer', 'name', node.name, 'netns', lan]);
  await ipBatch(lan, [`link set ${node.name} master br0 up`]);
  await ipBatch(netns, [
    'link set lo up',
    `address add ${node.address}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${record.prefix}.${MACHINE_OCTET}`,
  ]);
}

/** Removes a host's namespace and its cable. Its processes must be gone. */
export async function disconnectHost(bed: string, node: string): Promise<void> {
  // The namespace may live on for a moment; the name of the cable's other end must be free at once.
  await execa('ip', ['-netns', paths.lan(bed), 'link', 'delete', node], { reject: false });
  await execa('ip', ['netns', 'delete', paths.netns(bed, node)], { reject: false });
}

/** Removes whatever exists of the bed's network. Its processes must be gone: a namespace lives on while one is in it. */
export async function removeNetwork(bed: string): Promise<void> {
  await execa('ip', ['link', 'delete', paths.uplink(bed)], { reject: false });
  for (const netns of await networkNamespaces(bed)) await ip(['netns', 'delete', netns]);
}

/** Names of the bed's network namespaces that exist. */
export async function networkNamespaces(bed: string): Promise<string[]> {
  const names = await readdir(NETNS_DIR).catch(() => []);
  const ours = new RegExp(`^${paths.netns(bed, '')}(lan|n[0-9]+)$`);
  return names.filter((name) => ours.test(name));
}

/** Pids, as the machine sees them, of the processes in the bed's network namespaces (not those of containers). */
export async function processesInNetwork(bed: string): Promise<number[]> {
  const pids: number[] = [];
  for (const netns of await networkNamespaces(bed)) {
    const { stdout } = await execa('ip', ['netns', 'pids', netns], { reject: false });
    pids.push(...stdout.split('\n').filter(Boolean).map(Number));
  }
  return pids;
}

const routesSchema = z.array(z.object({ dst: z.string() }));

/**
 * The first `10.77.x` that neither this machine's routes nor another bed use.
 *
 * @throws TestbedError if all 256 are taken.
 */
export async function freePrefix(): Promise<string> {
  const { stdout } = await execa('ip', ['-4', '-json', 'route', 'show', 'table', 'all']);
  const taken = new Set((await listBeds()).map((bed) => bed.prefix));
  const ranges = routesSchema
    .parse(JSON.parse(stdout === '' ? '[]' : stdout))
    .map((route) => range(route.dst))
    .filter((found) => found !== undefined);
  for (let third = 0; third < 256; third++) {
    const prefix = `10.77.${third}`;
    const first = toNumber(`${prefix}.0`);
    const overlaps = ranges.some(([from, to]) => from <= first + 255 && to >= first);
    if (!taken.has(prefix) && !overlaps) return prefix;
  }
  throw new TestbedError('no free network for the bed: all of 10.77.0.0/16 is in use by this machine (see ip route)');
}

/**
 * First and last address of a route's destination. None for the default route, and none for routes wider than our /16
 * (a VPN's 10.0.0.0/8, say): the bed's own /24 is more specific and takes nothing from them but itself.
 */
function range(destination: string): [number, number] | undefined {
  const match = /^(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?$/.exec(destination);
  if (match?.[1] === undefined) return undefined;
  const length = Number(match[2] ?? 32);
  if (length < 16) return undefined;
  const size = 2 ** (32 - length);
  const first = toNumber(match[1]);
  return [first, first + size - 1];
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

async function ip(args: readonly string[]): Promise<void> {
  await execa('ip', args);
}

async function ipBatch(netns: string, lines: readonly string[]): Promise<void> {
  await execa('ip', ['-netns', netns, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
