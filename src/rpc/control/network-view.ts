import { BlockList, isIPv4 } from 'node:net';
import { field, listField } from './fields.ts';

/**
 * What an agent tells its sidecars of their stack's networks (agent/sidecars/discovery.ts). Only a hint where to ask: who is a peer is
 * decided by the other's proof that it has the stack's key (peers.ts), so a wrong entry costs a second of waiting and nothing else.
 */
export interface NetworkView {
  /** CIDR of the networks that tasks of the stack on this node are on. */
  readonly subnets: readonly string[];
  /** All tasks on these networks, one entry for each address. `own`: of this stack. */
  readonly tasks: readonly { readonly address: string; readonly service: string; readonly own: boolean }[];
  /** Virtual addresses of this stack's services; `backends` are addresses of their tasks on the same network. */
  readonly vips: readonly {
    readonly address: string;
    readonly service: string;
    readonly backends: readonly string[];
  }[];
  /** Addresses that are no tasks: gateways, the engine's load balancers, virtual addresses of other stacks. */
  readonly nonPeers: readonly string[];
}

/** What has come from an agent. @throws Error that names what is wrong */
export function readNetworkView(json: unknown): NetworkView {
  return {
    subnets: listField(json, 'subnets', 'string'),
    tasks: listField(json, 'tasks', 'object').map((task) => ({
      address: field(task, 'address', 'string'),
      service: field(task, 'service', 'string'),
      own: field(task, 'own', 'boolean'),
    })),
    vips: listField(json, 'vips', 'object').map((vip) => ({
      address: field(vip, 'address', 'string'),
      service: field(vip, 'service', 'string'),
      backends: listField(vip, 'backends', 'string'),
    })),
    nonPeers: listField(json, 'nonPeers', 'string'),
  };
}

/** The part of it that a task on `subnets` can reach. IPv4 only. */
export function viewWithin(view: NetworkView, subnets: readonly string[]): NetworkView {
  const inside = reachable(subnets);
  return {
    subnets: subnets.filter((subnet) => isIPv4(subnet.split('/')[0] ?? '')),
    tasks: view.tasks.filter(({ address }) => inside(address)),
    vips: view.vips
      .filter(({ address }) => inside(address))
      .map((vip) => ({ ...vip, backends: vip.backends.filter(inside) })),
    nonPeers: view.nonPeers.filter(inside),
  };
}

/** Says of an address whether it is in one of these networks. */
export function reachable(subnets: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', bits = '32'] = subnet.split('/');
    if (isIPv4(network)) list.addSubnet(network, Number(bits), 'ipv4');
  }
  return (address) => isIPv4(address) && list.check(address, 'ipv4');
}
