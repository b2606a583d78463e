import { pause } from '../../src/platform/deadlines.ts';
import { inNetwork, runProcess } from '../../src/platform/processes.ts';

/**
 * Names of services that are not known yet in a restored task. Swarm makes a task's name known when the engine has started it, which is after its
 * release, and other nodes hear of it by gossip: for a second or so, the engine's DNS server says of a service that was restored at the same time that
 * there is no such name (it asks the node's own server, which does not know it either: SERVFAIL or NXDOMAIN), and programs take that for an answer.
 *
 * So these answers are lost for a while. Who has asked asks again, as for any datagram that was lost (glibc after 5 s), and nothing has failed. Names that
 * are known are answered as ever. The set empties itself, whoever dies.
 */
const TABLE = 'inet swarmcut_names';

/** After the release. Gossip takes up to a second; more if the nodes have no processor. Milliseconds. */
export const NAMES_COME_MS = 5_000;

/** SERVFAIL, NXDOMAIN, REFUSED: the last four bits of a DNS message's second 16, which begin 8 bytes of UDP and 2 of its own behind the header. */
const NO_SUCH_NAME = '@th,92,4 { 2, 3, 5 }';

/** From now on for so long. Works on a namespace with or without it. */
export function comingNamesScript(forMs: number): string {
  return `${[
    `add table ${TABLE}`,
    `add set ${TABLE} coming { type nf_proto; flags timeout; }`,
    `flush set ${TABLE} coming`,
    `add element ${TABLE} coming { ipv4 timeout ${Math.max(1, Math.ceil(forMs))}ms }`,
    `add chain ${TABLE} answers { type filter hook input priority 0; policy accept; }`,
    `flush chain ${TABLE} answers`,
    // Nobody else has this address.
    `add rule ${TABLE} answers iifname "lo" ip saddr 127.0.0.11 udp length > 20 meta nfproto @coming ${NO_SUCH_NAME} drop`,
  ].join('\n')}\n`;
}

/** Lets answers be lost for {@link NAMES_COME_MS} more, then takes the rule away. No error if the namespace goes meanwhile. */
export async function namesCome(netns: string, forMs = NAMES_COME_MS): Promise<void> {
  const nft = (script: string): Promise<string> => runProcess(inNetwork(netns, ['nft', '-f', '-']), script);
  await nft(comingNamesScript(forMs));
  await pause(forMs);
  await nft(`delete table ${TABLE}\n`).catch(() => undefined);
}
