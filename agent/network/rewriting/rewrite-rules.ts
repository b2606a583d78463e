import type { Endpoint, RewriteEntry } from '../../../src/model/connection.ts';
import { familyOf } from '../../linux/addresses.ts';
import { HOST_UNREACHABLE, TABLE } from '../rules.ts';

/**
 * Rewriting of restored connections: their sockets keep the addresses of the time of the checkpoint, their packets travel under
 * the present ones. Stateless, before conntrack both ways, keyed by connection (an old address may belong to somebody else now).
 *
 * Each connection has a number. The first map finds it by the packet's four-tuple and puts it into the packet's mark; four more
 * maps give the new value of each field by number. So the cost does not grow with the number of connections.
 * Outgoing, the mark is cleared again. Incoming, it stays: the routing rule for marks of ours (see addresses.ts) then finds the old
 * own address.
 */

/** Marks of ours: this byte, then the connection's number. */
export const MARK_BASE = 0x5c000000;
export const MARK_MASK = 0xff000000;
/** What is left of a mark for the number. */
const MAX_REWRITES = 0x00ffffff;

/** nft reads long lines slowly. */
const ELEMENTS_PER_LINE = 500;

const FIELDS = ['saddr', 'sport', 'daddr', 'dport'] as const;
type Field = (typeof FIELDS)[number];
/** IPv4 only, as the answers of the block are. */
const OLD_ADDRESSES = 'old_addresses';
const DIRECTIONS = ['out', 'in'] as const;
const FAMILIES = [4, 6] as const;
type Direction = (typeof DIRECTIONS)[number];
type Family = (typeof FAMILIES)[number];

function mapName(direction: Direction, family: Family, field: 'id' | Field): string {
  return `${direction}${family}_${field}`;
}

function declareFamily(direction: Direction, family: Family, fields: readonly Field[]): string[] {
  const ip = family === 4 ? 'ip' : 'ip6';
  const type = `ipv${family}_addr`;
  const apply = `${direction}${family}`;
  return [
    `add map ${TABLE} ${mapName(direction, family, 'id')} { type ${type} . inet_service . ${type} . inet_service : mark; }`,
    ...FIELDS.map(
      (field) =>
        `add map ${TABLE} ${mapName(direction, family, field)} { type mark : ${field.endsWith('port') ? 'inet_service' : type}; }`,
    ),
    `add chain ${TABLE} ${apply}`,
    `flush chain ${TABLE} ${apply}`,
    ...fields.map((field) => {
      const target = field.endsWith('port') ? `tcp ${field}` : `${ip} ${field}`;
      return `add rule ${TABLE} ${apply} ${target} set meta mark map @${mapName(direction, family, field)}`;
    }),
    // The route of an outgoing packet is looked up again after this chain, and must not find the old own address.
    ...(direction === 'out' ? [`add rule ${TABLE} ${apply} meta mark set 0`] : []),
    `add rule ${TABLE} rewrite_${direction} meta mark set ${ip} saddr . tcp sport . ${ip} daddr . tcp dport map @${mapName(direction, family, 'id')} goto ${apply}`,
  ];
}

function elements(
  entries: readonly RewriteEntry[],
  direction: Direction,
  family: Family,
  fields: readonly Field[],
): string[] {
  const id: string[] = [];
  const values: Record<Field, string[]> = { saddr: [], sport: [], daddr: [], dport: [] };
  entries.forEach((entry, index) => {
    if (familyOf(entry.socketLocal.address) !== family) return;
    const mark = `0x${(MARK_BASE + index + 1).toString(16)}`;
    const [from, to, newFrom, newTo]: readonly Endpoint[] =
      direction === 'out'
        ? [entry.socketLocal, entry.socketRemote, entry.wireLocal, entry.wireRemote]
        : [entry.wireRemote, entry.wireLocal, entry.socketRemote, entry.socketLocal];
    if (!from || !to || !newFrom || !newTo) return;
    id.push(`${from.address} . ${from.port} . ${to.address} . ${to.port} : ${mark}`);
    values.saddr.push(`${mark} : ${newFrom.address}`);
    values.sport.push(`${mark} : ${newFrom.port}`);
    values.daddr.push(`${mark} : ${newTo.address}`);
    values.dport.push(`${mark} : ${newTo.port}`);
  });
  return [
    ...addElements(mapName(direction, family, 'id'), id),
    ...fields.flatMap((field) => addElements(mapName(direction, family, field), values[field])),
  ];
}

function addElements(map: string, all: readonly string[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < all.length; at += ELEMENTS_PER_LINE) {
    lines.push(`add element ${TABLE} ${map} { ${all.slice(at, at + ELEMENTS_PER_LINE).join(', ')} }`);
  }
  return lines;
}

/** Replaces all rewriting by that of `entries`, in one transaction. Entries that change nothing may be left out by the caller. */
export function rewriteScript(entries: readonly RewriteEntry[]): string {
  if (entries.length > MAX_REWRITES) throw new Error(`too many connections to rewrite: ${entries.length}`);
  const lines = [
    `add table ${TABLE}`,
    `add chain ${TABLE} rewrite_out { type route hook output priority -300; policy accept; }`,
    `add chain ${TABLE} rewrite_in { type filter hook prerouting priority -350; policy accept; }`,
    `flush chain ${TABLE} rewrite_out`,
    `flush chain ${TABLE} rewrite_in`,
  ];
  // Ports only differ where a virtual IP's masquerade has changed one; and reading elements is what a large script costs.
  const ports = entries.some(
    ({ socketLocal, socketRemote, wireLocal, wireRemote }) =>
      socketLocal.port !== wireLocal.port || socketRemote.port !== wireRemote.port,
  );
  const fields = FIELDS.filter((field) => ports || !field.endsWith('port'));
  const old = new Set(
    entries
      .filter(({ socketLocal, wireLocal }) => socketLocal.address !== wireLocal.address)
      .map(({ socketLocal }) => socketLocal.address)
      .filter((address) => familyOf(address) === 4),
  );
  lines.push(
    `add set ${TABLE} ${OLD_ADDRESSES} { type ipv4_addr; }`,
    `flush set ${TABLE} ${OLD_ADDRESSES}`,
    ...addElements(OLD_ADDRESSES, [...old]),
    // What the block answers to a socket under an old address must come back to it, and not go to that address's new owner.
    `add rule ${TABLE} rewrite_out ${HOST_UNREACHABLE} ip daddr @${OLD_ADDRESSES} meta mark set 0x${MARK_BASE.toString(16)}`,
  );
  for (const direction of DIRECTIONS) {
    for (const family of FAMILIES) {
      lines.push(...declareFamily(direction, family, fields));
      for (const field of ['id', ...FIELDS] as const)
        lines.push(`flush map ${TABLE} ${mapName(direction, family, field)}`);
      lines.push(...elements(entries, direction, family, fields));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Takes rewriting away and leaves the rest. */
export function removeRewritesScript(): string {
  const lines = [rewriteScript([])];
  for (const direction of DIRECTIONS) {
    lines.push(`flush chain ${TABLE} rewrite_${direction}`, `delete chain ${TABLE} rewrite_${direction}`);
    for (const family of FAMILIES) {
      lines.push(`flush chain ${TABLE} ${direction}${family}`, `delete chain ${TABLE} ${direction}${family}`);
      for (const field of ['id', ...FIELDS] as const)
        lines.push(`delete map ${TABLE} ${mapName(direction, family, field)}`);
    }
  }
  lines.push(`delete set ${TABLE} ${OLD_ADDRESSES}`);
  return `${lines.join('\n')}\n`;
}
