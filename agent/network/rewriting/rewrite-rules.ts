import type { Endpoint, RewriteEntry } from '../../../src/model/connection.ts';
import { familyOf } from '../../linux/addresses.ts';
import { TABLE } from '../rules.ts';

/**
 * Rewriting of restored connections: their sockets keep the addresses of the time of the checkpoint, their packets travel under
 * the present ones. Stateless, before conntrack both ways, keyed by connection (an old address may belong to somebody else now).
 * Connected UDP sockets are connections here.
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
const DIRECTIONS = ['out', 'in'] as const;
/** What is told apart: the family of the packets, and TCP from UDP. */
const KINDS = [
  { family: 4, protocol: 'tcp', suffix: '4' },
  { family: 6, protocol: 'tcp', suffix: '6' },
  { family: 4, protocol: 'udp', suffix: '4u' },
  { family: 6, protocol: 'udp', suffix: '6u' },
] as const;
type Direction = (typeof DIRECTIONS)[number];
type Kind = (typeof KINDS)[number];

function mapName(direction: Direction, { suffix }: Kind, field: 'id' | Field): string {
  return `${direction}${suffix}_${field}`;
}

function declareKind(direction: Direction, kind: Kind, fields: readonly Field[]): string[] {
  const { family, protocol } = kind;
  const ip = family === 4 ? 'ip' : 'ip6';
  const type = `ipv${family}_addr`;
  const apply = `${direction}${kind.suffix}`;
  return [
    `add map ${TABLE} ${mapName(direction, kind, 'id')} { type ${type} . inet_service . ${type} . inet_service : mark; }`,
    ...FIELDS.map(
      (field) =>
        `add map ${TABLE} ${mapName(direction, kind, field)} { type mark : ${field.endsWith('port') ? 'inet_service' : type}; }`,
    ),
    `add chain ${TABLE} ${apply}`,
    `flush chain ${TABLE} ${apply}`,
    ...fields.map((field) => {
      const target = field.endsWith('port') ? `${protocol} ${field}` : `${ip} ${field}`;
      return `add rule ${TABLE} ${apply} ${target} set meta mark map @${mapName(direction, kind, field)}`;
    }),
    // The route of an outgoing packet is looked up again after this chain, and must not find the old own address.
    ...(direction === 'out' ? [`add rule ${TABLE} ${apply} meta mark set 0`] : []),
    `add rule ${TABLE} rewrite_${direction} meta mark set ${ip} saddr . ${protocol} sport . ${ip} daddr . ${protocol} dport map @${mapName(direction, kind, 'id')} goto ${apply}`,
  ];
}

function elements(
  entries: readonly RewriteEntry[],
  direction: Direction,
  kind: Kind,
  fields: readonly Field[],
): string[] {
  const id: string[] = [];
  const values: Record<Field, string[]> = { saddr: [], sport: [], daddr: [], dport: [] };
  entries.forEach((entry, index) => {
    if (familyOf(entry.socketLocal.address) !== kind.family) return;
    if ((entry.datagrams === true) !== (kind.protocol === 'udp')) return;
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
    ...addElements(mapName(direction, kind, 'id'), id),
    ...fields.flatMap((field) => addElements(mapName(direction, kind, field), values[field])),
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
  for (const direction of DIRECTIONS) {
    for (const kind of KINDS) {
      lines.push(...declareKind(direction, kind, fields));
      for (const field of ['id', ...FIELDS] as const)
        lines.push(`flush map ${TABLE} ${mapName(direction, kind, field)}`);
      lines.push(...elements(entries, direction, kind, fields));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Takes rewriting away and leaves the rest. */
export function removeRewritesScript(): string {
  const lines = [rewriteScript([])];
  for (const direction of DIRECTIONS) {
    lines.push(`flush chain ${TABLE} rewrite_${direction}`, `delete chain ${TABLE} rewrite_${direction}`);
    for (const { suffix } of KINDS)
      lines.push(`flush chain ${TABLE} ${direction}${suffix}`, `delete chain ${TABLE} ${direction}${suffix}`);
    for (const kind of KINDS) {
      for (const field of ['id', ...FIELDS] as const)
        lines.push(`delete map ${TABLE} ${mapName(direction, kind, field)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
