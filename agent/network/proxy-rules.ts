import { MARKS, PORTS, PROXY_TABLE } from '../linux/proxy-table.ts';

/**
 * The rules of the proxy interceptor as text for `nft -f`, one table per task namespace, beside and independent of the kernel
 * interceptor's. Each script is applied as a whole or not at all. The agent puts the rules in; without `subnets` they do nothing. The
 * sidecar feeds the sets (peers.ts says from what):
 * - `subnets`: the stack's networks. Traffic with anybody else is never looked at.
 * - `listening`: address . port pairs of peers where something listens. A SYN to another port of a peer goes direct, so that the
 *   application gets its true ECONNREFUSED from the kernel over there.
 * - `peers`: addresses whose connections go through the sidecar (tasks that have one too, and virtual addresses of their services).
 * - `vips`: those of `peers` that are virtual. No kernel over there could refuse, so a SYN to a port where nobody listens is refused here.
 * - `waiting`: virtual addresses whose tasks have sidecars of which none is linked with this one now; a SYN waits.
 * - `nonPeers`: addresses of the subnets that are known to have no sidecar of this stack. Everything passes.
 * - `direct`: connections with peers that are older than one of the two sidecars; they pass by.
 * - `restored`: connections whose sockets have old addresses, which now may be anybody's (as the application's packets have them).
 * - `asked`: written by the rules, read by the sidecar: addresses of which nothing is known yet.
 *
 * No connection between two tasks with sidecars goes direct, also if only one of them knows the other yet: a SYN to or from an address
 * that nothing is known of is dropped (TCP sends it again a second later), unless it comes in for a port where nothing listens; so is a SYN
 * of a peer for a port where something listens. A refused SYN's reset is told from the resets of intercepted connections by its mark
 * (sysctl fwmark_reflect).
 *
 * IPv4 only: over IPv6 everything passes by.
 */

/** Routing table and first rule preference for packets that shall stay in the namespace. */
export const ROUTE_TABLE = 5071;
const RULE_PREFERENCE = 71;

/** The sets that the sidecar fills, with the types of their elements. */
const SETS = {
  subnets: 'type ipv4_addr; flags interval; auto-merge;',
  peers: 'type ipv4_addr;',
  vips: 'type ipv4_addr;',
  waiting: 'type ipv4_addr;',
  nonPeers: 'type ipv4_addr;',
  listening: 'type ipv4_addr . inet_service;',
  direct: 'type ipv4_addr . inet_service . ipv4_addr . inet_service;',
  restored: 'type ipv4_addr . inet_service . ipv4_addr . inet_service;',
} as const;

const CHAINS = {
  // Before the mangle priority, so that other rules there see the final route.
  out: '{ type route hook output priority -155; policy accept; }',
  syn_out: '',
  pre: '{ type filter hook prerouting priority -155; policy accept; }',
  syn_in: '',
} as const;

/** How long an address stays in `asked`. The sidecar looks several times a second. */
const ASKED_TIMEOUT = '2s';
/** Most addresses in `asked`; a SYN from or to a further one is dropped all the same. */
const ASKED_SIZE = 1024;

const SYN = 'tcp flags & (syn | ack | rst) == syn';
const OUTGOING = 'ip saddr . tcp sport . ip daddr . tcp dport';
const INCOMING = 'ip daddr . tcp dport . ip saddr . tcp sport';

const RULES: readonly (readonly [chain: keyof typeof CHAINS, rule: string])[] = [
  ['out', 'meta l4proto != tcp return'],
  ['out', `meta mark { ${MARKS.sidecar}, ${MARKS.app}, ${MARKS.direct} } return`],
  ['out', `${OUTGOING} @restored meta mark set ${MARKS.capture} return`],
  ['out', 'ip daddr != @subnets return'],
  ['out', `${SYN} goto syn_out`],
  ['out', 'ip daddr != @peers return'],
  ['out', `${OUTGOING} @direct return`],
  ['out', `meta mark set ${MARKS.capture}`],

  ['syn_out', `ip daddr . tcp dport @listening meta mark set ${MARKS.capture} return`],
  ['syn_out', 'ip daddr @vips reject with tcp reset'],
  ['syn_out', 'ip daddr @waiting drop'],
  ['syn_out', 'ip daddr @peers return'],
  ['syn_out', 'ip daddr @nonPeers return'],
  ['syn_out', `add @asked { ip daddr timeout ${ASKED_TIMEOUT} }`],
  ['syn_out', 'drop'], // a rule of its own: a full set ends the one before

  ['pre', `iif lo meta mark ${MARKS.capture} meta l4proto tcp tproxy to :${PORTS.capture} accept`],
  ['pre', 'iif lo return'],
  ['pre', 'ip saddr != @subnets return'],
  ['pre', 'meta l4proto != tcp return'],
  ['pre', `tcp dport ${PORTS.capture} drop`],
  // Marked for the kernel's reset of a tunnel that is not there any more, which has this mark too: without it, it would be captured.
  ['pre', `tcp dport ${PORTS.tunnel} meta mark set ${MARKS.direct} return`],
  ['pre', `tcp sport ${PORTS.tunnel} meta mark set ${MARKS.direct} return`],
  ['pre', `${SYN} goto syn_in`],
  ['pre', 'ip saddr != @peers return'],
  ['pre', `${INCOMING} @direct return`],
  // Of what a peer sends past the sidecars only refusals mean anything; the rest is left over from before one of them was there.
  ['pre', 'tcp flags & rst == rst return'],
  ['pre', 'drop'],

  ['syn_in', 'ip saddr @nonPeers return'],
  ['syn_in', `meta mark set ${MARKS.direct}`],
  ['syn_in', `ip saddr != @peers add @asked { ip saddr timeout ${ASKED_TIMEOUT} }`],
  ['syn_in', 'socket wildcard 0 drop'],
  ['syn_in', 'socket wildcard 1 drop'],
];

/** Table, sets and rules. Sets keep what they hold when the script runs again. */
export function attachScript(): string {
  return script([
    `add table ${PROXY_TABLE}`,
    ...Object.entries(SETS).map(([name, type]) => `add set ${PROXY_TABLE} ${name} { ${type} }`),
    `add set ${PROXY_TABLE} asked { type ipv4_addr; flags timeout,dynamic; size ${ASKED_SIZE}; }`,
    ...Object.entries(CHAINS).flatMap(([name, hook]) => [
      `add chain ${PROXY_TABLE} ${name} ${hook}`.trimEnd(),
      `flush chain ${PROXY_TABLE} ${name}`,
    ]),
    ...RULES.map(([chain, rule]) => `add rule ${PROXY_TABLE} ${chain} ${rule}`),
  ]);
}

/** Takes everything away. Connections that the sidecar holds hang afterwards, unless it has ended before. */
export function detachScript(): string {
  return script([`add table ${PROXY_TABLE}`, `delete table ${PROXY_TABLE}`]);
}

/**
 * For `ip -batch -`: captured packets, and those of the sidecar to its application, go to `lo`, for whatever address. A restored
 * application's old address is in no other table of its namespace.
 */
export function routeLines(): string[] {
  return [
    `rule add fwmark ${MARKS.capture} lookup ${ROUTE_TABLE} pref ${RULE_PREFERENCE}`,
    `rule add fwmark ${MARKS.app} lookup ${ROUTE_TABLE} pref ${RULE_PREFERENCE + 1}`,
    `route replace local 0.0.0.0/0 dev lo table ${ROUTE_TABLE}`,
  ];
}

export function routeUndoLines(): string[] {
  return [
    `rule del pref ${RULE_PREFERENCE}`,
    `rule del pref ${RULE_PREFERENCE + 1}`,
    `route flush table ${ROUTE_TABLE}`,
  ];
}

function script(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
