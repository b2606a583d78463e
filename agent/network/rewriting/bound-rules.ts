import type { BoundSocket } from '../../../src/model/plans/network-plan.ts';
import { familyOf } from '../../linux/addresses.ts';
import { FORMER_TABLE } from './former-rules.ts';
import { MARK_BASE } from './rewrite-rules.ts';

/**
 * Sockets that are bound to an address that their task no longer has, and not connected: servers that listen on one address only. What comes for the
 * present address and their port goes to them (NAT, by conntrack), and what they send has the present address. In the table of former addresses, in
 * chains of its own; for as long as the namespace lives.
 */
export function boundScript(bound: readonly BoundSocket[]): string {
  const lines = [
    `add table ${FORMER_TABLE}`,
    `add chain ${FORMER_TABLE} bound_in { type nat hook prerouting priority -100; policy accept; }`,
    `add chain ${FORMER_TABLE} bound_mark { type filter hook prerouting priority -90; policy accept; }`,
    `add chain ${FORMER_TABLE} bound_out { type nat hook postrouting priority 99; policy accept; }`,
  ];
  const addresses = new Map<string, string>();
  for (const { local, wire, datagrams } of bound) {
    const ip = familyOf(local.address) === 4 ? 'ip' : 'ip6';
    familyOf(wire);
    addresses.set(local.address, wire);
    const port = `${datagrams ? 'udp' : 'tcp'} dport ${Math.trunc(local.port)}`;
    lines.push(`add rule ${FORMER_TABLE} bound_in ${ip} daddr ${wire} ${port} dnat ${ip} to ${local.address}`);
  }
  for (const [address, wire] of addresses) {
    const ip = familyOf(address) === 4 ? 'ip' : 'ip6';
    lines.push(
      // Only so marked is an old address found (addresses.ts).
      `add rule ${FORMER_TABLE} bound_mark ${ip} daddr ${address} meta mark set 0x${MARK_BASE.toString(16)}`,
      `add rule ${FORMER_TABLE} bound_out oifname != "lo" ${ip} saddr ${address} snat ${ip} to ${wire}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
