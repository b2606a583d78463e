import type { FormerAddress } from '../../../src/model/plans/former-addresses.ts';
import { familyOf } from '../../linux/addresses.ts';
import { MARK_BASE } from './rewrite-rules.ts';

/**
 * New connections to former addresses of the stack's tasks and services, for programs that remember addresses: they lead to where the task or service is
 * now. A table of its own, which stays when a round's rules go.
 *
 * | hook | |
 * |---|---|
 * | output -290 | after the rewriting of restored connections, whose packets have present addresses by then: a conntrack zone of its own |
 * | output -100 | the destination becomes the present address (NAT, by conntrack: it is for new connections only) |
 * | postrouting 100 | the source becomes the present one on that network, if the socket has an old one or its route led elsewhere |
 *
 * The zone (of the outgoing direction only) is there for who has been trying before: conntrack knows such a connection by its first, unanswered packet, and
 * would not translate the next one.
 *
 * An answer to a socket that is bound to an old address gets the mark of rewritten connections, with which it is found (addresses.ts).
 */
export const FORMER_TABLE = 'inet swarmcut_former';
const ZONE = 7433;
/** What a sidecar captures (`MARKS` in agent/linux/proxy-table.ts) is for the sidecar, which knows the former addresses itself. */
const CAPTURED = 'meta mark & 0xffff0000 == 0x5d070000';

const CHAINS = {
  zone: '{ type filter hook output priority -290; policy accept; }',
  lead: '{ type nat hook output priority -100; policy accept; }',
  source: '{ type nat hook postrouting priority 100; policy accept; }',
  back: '{ type filter hook prerouting priority -90; policy accept; }',
} as const;

/**
 * Replaces all that was led before, in one transaction. Connections that exist go on.
 * @param datagramsOnly the task has a sidecar, which carries its TCP: to former addresses, too, under which its restored streams go on. In another
 *   zone conntrack would not know them
 */
export function formerScript(former: readonly FormerAddress[], datagramsOnly = false): string {
  const only = datagramsOnly ? 'meta l4proto udp ' : '';
  const rules: string[] = [`add rule ${FORMER_TABLE} lead ${CAPTURED} return`];
  const elements: string[] = [];
  for (const family of [4, 6] as const) {
    const ip = family === 4 ? 'ip' : 'ip6';
    const mine = former.filter(({ address }) => familyOf(address) === family);
    const set = `former${family}`;
    elements.push(
      `add set ${FORMER_TABLE} ${set} { type ipv${family}_addr; }`,
      `flush set ${FORMER_TABLE} ${set}`,
      ...(mine.length > 0
        ? [`add element ${FORMER_TABLE} ${set} { ${mine.map(({ address }) => address).join(', ')} }`]
        : []),
    );
    rules.push(
      `add rule ${FORMER_TABLE} zone ${only}${ip} daddr @${set} ct original zone set ${ZONE}`,
      ...mine.map(
        ({ address, to }) => `add rule ${FORMER_TABLE} lead ${only}${ip} daddr ${address} dnat ${ip} to ${target(to)}`,
      ),
      `add rule ${FORMER_TABLE} back ${only}ct direction reply ct original ${ip} daddr @${set} meta mark set 0x${MARK_BASE.toString(16)}`,
      ...mine.map(
        ({ address, from }) =>
          `add rule ${FORMER_TABLE} source ${only}ct original ${ip} daddr ${address} ${ip} saddr != ${from} snat ${ip} to ${from}`,
      ),
    );
  }
  const lines = [
    `add table ${FORMER_TABLE}`,
    ...elements,
    ...Object.entries(CHAINS).flatMap(([name, hook]) => [
      `add chain ${FORMER_TABLE} ${name} ${hook}`,
      `flush chain ${FORMER_TABLE} ${name}`,
    ]),
    ...rules,
  ];
  return `${lines.join('\n')}\n`;
}

/** Several by turns. */
function target(to: readonly string[]): string {
  if (to.length === 1) return to[0] ?? '';
  return `numgen inc mod ${to.length} map { ${to.map((address, index) => `${index} : ${address}`).join(', ')} }`;
}
