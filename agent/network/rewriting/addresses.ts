import type { RewriteEntry } from '../../../src/model/connection.ts';
import { MARK_BASE, MARK_MASK } from './rewrite-rules.ts';
import { CRIU_MARK } from '../rules.ts';

/**
 * Sockets restored under an address that the task no longer owns.
 *
 * The address must be on some interface, or the kernel refuses to send from it; so it goes on `lo`. But then the kernel would keep all
 * traffic to that address for itself, and Swarm may have given it to another task. So its route is taken out of table `local` and
 * put into a table of ours, which only packets of rewritten connections reach: by the mark that the rewriting rules leave on them.
 *
 * (restore-hook.ts does it.) Our routing rule comes after the one for table `local` (priority 0): an old address is never in there, and before `main`.
 */
export const ROUTE_TABLE = 7433;
const RULE_PRIORITY = 100;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** `ip rule` lines that send packets of rewritten connections, and what CRIU sends to a restored socket, to our table. */
export const RULE_LINES = [`${hex(MARK_BASE)}/${hex(MARK_MASK)}`, CRIU_MARK].map(
  (mark) => `rule add pref ${RULE_PRIORITY} fwmark ${mark} lookup ${ROUTE_TABLE}`,
);

/**
 * A `sh` script, to be run in the task's network namespace, with the settings without which rewritten packets are refused:
 * - `rp_filter`: their source may have no route back through the interface (its network is gone);
 * - `accept_local`: their source may be an address that is now the task's own (two tasks that swapped addresses);
 * - `ip_nonlocal_bind`: sockets are bound to addresses without a route in table `local`;
 * - `use_oif_addrs_only`: with IPv6, a new connection to an old address of the task would have that as its source, too;
 * - `ip_local_reserved_ports`: no new connection may be given a local port that a rewritten one uses on the wire.
 */
export function rewriteSysctlScript(entries: readonly RewriteEntry[]): string {
  const ports = [...new Set(entries.map((entry) => entry.wireLocal.port))].sort((a, b) => a - b);
  const lines = [
    'set -eu',
    'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > "$f"; done',
    'echo 1 > /proc/sys/net/ipv4/conf/all/accept_local',
    'echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind',
    'for f in /proc/sys/net/ipv6/ip_nonlocal_bind /proc/sys/net/ipv6/conf/*/use_oif_addrs_only; do',
    '  if [ -e "$f" ]; then echo 1 > "$f"; fi',
    'done',
  ];
  if (ports.length > 0) {
    lines.push(
      'read -r reserved < /proc/sys/net/ipv4/ip_local_reserved_ports || true',
      `echo "\${reserved:+$reserved,}${portRanges(ports)}" > /proc/sys/net/ipv4/ip_local_reserved_ports`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** `[1, 2, 3, 9]` → `1-3,9`. Sorted input. */
export function portRanges(ports: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const port of ports) {
    const open = ranges.at(-1);
    if (open && port === open.last + 1) open.last = port;
    else ranges.push({ first: port, last: port });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
