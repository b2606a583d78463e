import { familyOf } from '../linux/addresses.ts';
import type { Epoch } from '../../src/algorithms/contract.ts';
import { colourOf } from './colours.ts';
import type { PrepareOptions } from './task-interceptor.ts';

/**
 * The rules of the kernel interceptor as text for `nft -f`: each function returns one script, and nft applies a script as a
 * whole or not at all. Everything lives in one table per task namespace. The order of the chains is the order of their priorities:
 *
 * | hook | outgoing | | incoming | hook |
 * |---|---|---|---|---|
 * | output -400 | block | | block | prerouting -400 |
 * | output -300 (route) | rewriting: socket → wire | | colour filter, on wire addresses | prerouting -390 |
 * | conntrack -200 … | | | rewriting: wire → socket | prerouting -350 |
 * | postrouting 0 | colour | | conntrack -200 … | |
 *
 * `add` and then `flush` makes every script work whether or not the chain exists.
 */
export const TABLE = 'inet swarmcut';

/** Longest time that the coming colour is refused; afterwards the agent is taken for dead and the traffic goes on. */
const COLOUR_TIMEOUT_MS = 300_000;

/** In the order in which they can be deleted. */
const BLOCK_CHAINS = ['block_out', 'lose_out', 'block_in'] as const;
const BLOCKED_SETS = ['blocked_out', 'blocked_in'] as const;

/**
 * While it has elements the coming colour is refused; they have a timeout, as those of the block. Not a set of colours: nft compares the DSCP of IPv6,
 * which lies across two bytes, with the wrong one of them when it is looked up in a set.
 */
export const COMING = 'coming_in';
const DECLARE_COMING = `add set ${TABLE} ${COMING} { type nf_proto; flags timeout; }`;

const COLOUR_CHAINS = ['colour_out', 'colour_in'] as const;

/** `SOCCR_MARK` of CRIU (soccr/soccr.h): what CRIU itself sends while it restores sockets. */
export const CRIU_MARK = '0xc114';

/**
 * Tunnels between sidecars (agent/network/proxy-rules.ts: `MARKS.sidecar`, `PORTS.tunnel`; here once more, since those import from here) pass the block:
 * what they carry is blocked by the sidecars themselves, and their markers must come through while the task is frozen. Connections between
 * application and sidecar are blocked like all others.
 */
export const SIDECAR_MARK = '0x5d070010';
export const TUNNEL_PORT = 15_072;

const DECLARE_TABLE = [`add table ${TABLE}`];

/**
 * The block, one set for each direction: it holds both protocol families, each with a timeout. The rules stay, the elements go:
 * emptying the set opens the block, and if everything of ours is dead the kernel does it.
 */
const FLUSH_BLOCKED = BLOCKED_SETS.map((set) => `flush set ${TABLE} ${set}`);
const DECLARE_BLOCKED = BLOCKED_SETS.map((set) => `add set ${TABLE} ${set} { type nf_proto; flags timeout; }`);

/**
 * Docker's embedded DNS server is reached over `lo` by UDP, and a query lost there costs the application 5 s; nothing on `lo` leaves the
 * task, so that is let through. TCP over `lo` is blocked: CRIU dumps the two ends one after the other (`network-lock skip`).
 *
 * What is held is lost without a word, in a way that no application can see:
 * - A TCP segment is dropped in the output hook. TCP itself is told (EPERM), the application is not: what was not sent before counts as unsent, what
 *   was is sent again. No ICMP answer, although one would keep TCP at an even pace (RFC 6069): its error stays with the socket, and an idle one
 *   shows it at the next look (SO_ERROR), or at once with IP_RECVERR. When the block ends, whoever opens it prods what waits (`prodStalled`).
 * - Anything else that is dropped there gives its sender EPERM, which few programs expect. So it leaves as a packet that is none (version 0), which
 *   every next hop drops without an answer (InHdrErrors); that holds for each fragment of it, too.
 *
 * IPv6's neighbour discovery passes: it is the kernel's, not the task's, and a neighbour that cannot be found is an error at its sockets.
 */
const NEIGHBOUR_DISCOVERY =
  'icmpv6 type { mld-listener-query, mld-listener-report, mld2-listener-report, mld-listener-done, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }';
const BLOCK_RULES = [
  // CRIU makes a half-closed connection by sending itself the peer's FIN (soccr/soccr.c), and marks that packet for its own lock.
  `add rule ${TABLE} block_out meta mark ${CRIU_MARK} accept`,
  `add rule ${TABLE} block_out meta mark ${SIDECAR_MARK} accept`,
  `add rule ${TABLE} block_out oifname "lo" meta l4proto != tcp accept`,
  `add rule ${TABLE} block_out ${NEIGHBOUR_DISCOVERY} accept`,
  `add rule ${TABLE} block_out meta nfproto @blocked_out goto lose_out`,
  `add rule ${TABLE} lose_out meta l4proto tcp drop`,
  `add rule ${TABLE} lose_out ip version set 0 accept`,
  `add rule ${TABLE} lose_out ip6 version set 0 accept`,
  `add rule ${TABLE} block_in meta mark ${CRIU_MARK} accept`,
  // Nothing of the application has these ports: the sidecar has them (a captured SYN to them is refused).
  `add rule ${TABLE} block_in iifname != "lo" tcp dport ${TUNNEL_PORT} accept`,
  `add rule ${TABLE} block_in iifname != "lo" tcp sport ${TUNNEL_PORT} accept`,
  `add rule ${TABLE} block_in iifname "lo" meta l4proto != tcp accept`,
  `add rule ${TABLE} block_in ${NEIGHBOUR_DISCOVERY} accept`,
  `add rule ${TABLE} block_in meta nfproto @blocked_in drop`,
];

function declareBlock(): string[] {
  return [
    ...DECLARE_TABLE,
    ...DECLARE_BLOCKED,
    `add chain ${TABLE} block_out { type filter hook output priority -400; policy accept; }`,
    `add chain ${TABLE} lose_out`,
    `add chain ${TABLE} block_in { type filter hook prerouting priority -400; policy accept; }`,
    ...BLOCK_CHAINS.map((chain) => `flush chain ${TABLE} ${chain}`),
    ...BLOCK_RULES,
  ];
}

function blockElements(timeoutMs: number): string[] {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  return BLOCKED_SETS.flatMap((set) => [
    `flush set ${TABLE} ${set}`,
    `add element ${TABLE} ${set} { ipv4 timeout ${ms}ms, ipv6 timeout ${ms}ms }`,
  ]);
}

/** Blocks everything both ways for at most `timeoutMs`. Works on a namespace without any rule of ours. (Where they are, block.ts is quicker.) */
export function blockScript(timeoutMs: number): string {
  return script(declareBlock(), blockElements(timeoutMs));
}

/** Everything that a block needs but its elements (block.ts): nothing is blocked, nothing coloured. */
export function declareBlockScript(): string {
  return script(declareBlock());
}

function subnetSets(subnets: readonly string[], foreign: readonly string[] = []): string[] {
  return [4, 6].flatMap((family) => {
    const [mine, others] = [subnets, foreign].map((all) => all.filter((one) => familyOf(one) === family));
    if (mine === undefined || others === undefined) return [];
    return [
      `add set ${TABLE} foreign${family} { type ipv${family}_addr; }`,
      `flush set ${TABLE} foreign${family}`,
      ...(others.length > 0 ? [`add element ${TABLE} foreign${family} { ${others.join(', ')} }`] : []),
      `add set ${TABLE} subnets${family} { type ipv${family}_addr; flags interval; auto-merge; }`,
      `flush set ${TABLE} subnets${family}`,
      ...(mine.length > 0 ? [`add element ${TABLE} subnets${family} { ${mine.join(', ')} }`] : []),
    ];
  });
}

function declareColours(): string[] {
  return [
    `add chain ${TABLE} colour_out { type filter hook postrouting priority 0; policy accept; }`,
    `add chain ${TABLE} colour_in { type filter hook prerouting priority -390; policy accept; }`,
    ...COLOUR_CHAINS.map((chain) => `flush chain ${TABLE} ${chain}`),
  ];
}

/**
 * Gets a task ready for its checkpoint number `epoch`: packets from the subnets that carry the colour of that checkpoint were
 * sent after their sender's cut and are refused; TCP will send them again. What the task sends stays uncoloured.
 */
export function prepareScript({
  subnets,
  foreign = [],
  epoch,
  colourTimeoutMs: timeoutMs = COLOUR_TIMEOUT_MS,
}: PrepareOptions): string {
  const colour = colourOf(epoch);
  return script(
    declareBlock(), // now, so that the block has only elements to get
    subnetSets(subnets, foreign),
    declareColours(),
    [
      DECLARE_COMING,
      `flush set ${TABLE} ${COMING}`,
      `add element ${TABLE} ${COMING} { ipv4 timeout ${Math.ceil(timeoutMs)}ms, ipv6 timeout ${Math.ceil(timeoutMs)}ms }`,
      `add rule ${TABLE} colour_in ip saddr @subnets4 ip saddr != @foreign4 ip dscp ${colour} meta nfproto @${COMING} drop`,
      `add rule ${TABLE} colour_in ip6 saddr @subnets6 ip6 saddr != @foreign6 ip6 dscp ${colour} meta nfproto @${COMING} drop`,
    ],
  );
}

/** The cut is made: from here on everything carries the new colour, everything is taken, and the block is open. One transaction. */
export function advanceScript(epoch: Epoch): string {
  const colour = colourOf(epoch);
  return script(DECLARE_TABLE, DECLARE_BLOCKED, declareColours(), [
    `add rule ${TABLE} colour_out ${NEIGHBOUR_DISCOVERY} accept`,
    `add rule ${TABLE} colour_out ip daddr @subnets4 ip daddr != @foreign4 ip dscp set ${colour}`,
    `add rule ${TABLE} colour_out ip6 daddr @subnets6 ip6 daddr != @foreign6 ip6 dscp set ${colour}`,
    ...FLUSH_BLOCKED,
  ]);
}

/** Takes block and colours away and leaves rewriting as it is. */
export function detachScript(): string {
  return script(declareBlock(), subnetSets([]), declareColours(), [
    DECLARE_COMING,
    ...[...BLOCK_CHAINS, ...COLOUR_CHAINS].flatMap((chain) => [
      `flush chain ${TABLE} ${chain}`,
      `delete chain ${TABLE} ${chain}`,
    ]),
    ...[...BLOCKED_SETS, COMING, 'subnets4', 'subnets6', 'foreign4', 'foreign6'].map(
      (set) => `delete set ${TABLE} ${set}`,
    ),
  ]);
}

/** Takes everything of ours away. */
export function removeScript(): string {
  return script(DECLARE_TABLE, [`delete table ${TABLE}`]);
}

function script(...parts: readonly (readonly string[])[]): string {
  return `${parts.flat().join('\n')}\n`;
}
