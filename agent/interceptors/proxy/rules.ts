import type { Endpoint } from '../../../src/model/connection.ts';
import { familyOf } from '../kernel/rules.ts';

/**
 * The rules of the proxy interceptor as text for `nft -f`, one table per task namespace, beside and independent of the kernel
 * interceptor's. Each script is applied as a whole or not at all.
 *
 * Three sets decide; the agent feeds them:
 * - `peers`: addresses of the tasks that have a sidecar too. All other traffic is never looked at.
 * - `listening`: address . port pairs of peers where something listens. A SYN to another port goes direct, so that the application gets
 *   its true ECONNREFUSED from the kernel over there.
 * - `direct`: connections with peers that are older than the sidecar (local address . port . remote address . port); they pass by.
 *
 * A SYN of a peer that comes in direct although something listens (the peer has not heard of the listener yet) is dropped: TCP sends it
 * again a second later, and by then it is intercepted. So no connection between two peers escapes. A refused SYN's reset is told from
 * the resets of intercepted connections by its mark (sysctl fwmark_reflect).
 *
 * IPv4 only: over IPv6 everything passes by.
 */
export const PROXY_TABLE = 'ip swarmcut_proxy';

/** Where the sidecar listens in the task's namespace. `capture`: what TPROXY brings. `tunnel`: other sidecars. */
export const PORTS = { capture: 15_071, tunnel: 15_072 } as const;

/** Packet marks. High bits that the engine does not use. */
export const MARKS = {
  /** To be routed to `lo`, and there to the sidecar. */
  capture: 0x5c070001,
  /** The sidecar's own packets. */
  sidecar: 0x5c070010,
  /** Came in from outside, not for the sidecar; replies carry it too. */
  direct: 0x5c070020,
} as const;

/** Routing table and rule preference for captured packets. */
export const ROUTE_TABLE = 5071;
export const RULE_PREFERENCE = 71;

const SETS = [
  `add set ${PROXY_TABLE} peers { type ipv4_addr; }`,
  `add set ${PROXY_TABLE} listening { type ipv4_addr . inet_service; }`,
  `add set ${PROXY_TABLE} direct { type ipv4_addr . inet_service . ipv4_addr . inet_service; }`,
  `add set ${PROXY_TABLE} locked { type inet_proto; flags timeout; }`,
];

const SYN = 'tcp flags & (syn | ack | rst) == syn';

/** Table, sets and rules; without peers it does nothing. Sets keep what they hold when the script runs again. */
export function attachScript(): string {
  return script([
    `add table ${PROXY_TABLE}`,
    ...SETS,
    // Before the mangle priority, so that other rules there see the final route.
    `add chain ${PROXY_TABLE} out { type route hook output priority -155; policy accept; }`,
    `add chain ${PROXY_TABLE} pre { type filter hook prerouting priority -155; policy accept; }`,
    `flush chain ${PROXY_TABLE} out`,
    `flush chain ${PROXY_TABLE} pre`,
    `add rule ${PROXY_TABLE} out meta mark { ${MARKS.sidecar}, ${MARKS.direct} } return`,
    `add rule ${PROXY_TABLE} out ip daddr != @peers return`,
    `add rule ${PROXY_TABLE} out meta l4proto != tcp return`,
    `add rule ${PROXY_TABLE} out ip saddr . tcp sport . ip daddr . tcp dport @direct return`,
    `add rule ${PROXY_TABLE} out ${SYN} ip daddr . tcp dport != @listening return`,
    `add rule ${PROXY_TABLE} out meta mark set ${MARKS.capture}`,
    // The lock: both ends of every connection between application and sidecar see loss while both are recorded.
    `add rule ${PROXY_TABLE} pre iif lo ip protocol @locked drop`,
    `add rule ${PROXY_TABLE} pre iif lo meta mark ${MARKS.capture} meta l4proto tcp tproxy to :${PORTS.capture} accept`,
    `add rule ${PROXY_TABLE} pre iif lo return`,
    `add rule ${PROXY_TABLE} pre ip saddr != @peers return`,
    `add rule ${PROXY_TABLE} pre tcp dport ${PORTS.capture} drop`,
    `add rule ${PROXY_TABLE} pre tcp dport ${PORTS.tunnel} return`,
    `add rule ${PROXY_TABLE} pre meta mark set ${MARKS.direct}`,
    `add rule ${PROXY_TABLE} pre ${SYN} socket wildcard 0 drop`,
    `add rule ${PROXY_TABLE} pre ${SYN} socket wildcard 1 drop`,
  ]);
}

/** What the sets shall hold. Fields left out stay as they are. */
export interface ProxySets {
  /** IPv4 addresses. */
  readonly peers?: readonly string[];
  readonly listening?: readonly Endpoint[];
  readonly direct?: readonly { readonly local: Endpoint; readonly remote: Endpoint }[];
}

/** Replaces the contents of the sets, all at once. @throws Error for anything that is no IPv4 address */
export function setsScript(sets: ProxySets): string {
  const lines: string[] = [];
  const fill = (name: string, elements: readonly string[]): void => {
    lines.push(`flush set ${PROXY_TABLE} ${name}`);
    if (elements.length > 0) lines.push(`add element ${PROXY_TABLE} ${name} { ${[...new Set(elements)].join(', ')} }`);
  };
  if (sets.peers) fill('peers', sets.peers.map(address));
  if (sets.listening) fill('listening', sets.listening.map(end));
  if (sets.direct)
    fill(
      'direct',
      sets.direct.map(({ local, remote }) => `${end(local)} . ${end(remote)}`),
    );
  return script(lines);
}

/** Stops all TCP between application and sidecar for at most `timeoutMs`; the kernel lifts it when the agent is dead. */
export function lockScript(timeoutMs: number): string {
  return script([
    `flush set ${PROXY_TABLE} locked`,
    `add element ${PROXY_TABLE} locked { tcp timeout ${Math.max(1, Math.ceil(timeoutMs))}ms }`,
  ]);
}

export function unlockScript(): string {
  return script([`flush set ${PROXY_TABLE} locked`]);
}

/** Takes everything away. Connections that the sidecar holds hang afterwards, unless it has ended before. */
export function detachScript(): string {
  return script([`add table ${PROXY_TABLE}`, `delete table ${PROXY_TABLE}`]);
}

/** For `ip -batch -`: captured packets go to `lo`, for whatever address. */
export function routeLines(): string[] {
  return [
    `rule add fwmark ${MARKS.capture} lookup ${ROUTE_TABLE} pref ${RULE_PREFERENCE}`,
    `route replace local 0.0.0.0/0 dev lo table ${ROUTE_TABLE}`,
  ];
}

export function routeUndoLines(): string[] {
  return [`rule del pref ${RULE_PREFERENCE}`, `route flush table ${ROUTE_TABLE}`];
}

function address(text: string): string {
  if (text.includes('/') || familyOf(text) !== 4) throw new Error(`not an IPv4 address: ${text}`);
  return text;
}

function end(endpoint: Endpoint): string {
  if (!Number.isInteger(endpoint.port) || endpoint.port < 1 || endpoint.port > 65_535)
    throw new Error(`not a port: ${endpoint.port}`);
  return `${address(endpoint.address)} . ${endpoint.port}`;
}

function script(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
