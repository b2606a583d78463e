import type { Alias } from '../task.ts';

/**
 * Names what an address shares with those that it can talk to: its network, and its family. A task has one address of each family on a network
 * that has both.
 */
export function linkOf({ network, address }: Alias): string {
  return `${network} ${address.includes(':') ? 'IPv6' : 'IPv4'}`;
}
