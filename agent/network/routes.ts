import { familyOf } from '../linux/addresses.ts';

/**
 * During a round, TCP's smallest retransmission time-out towards the overlay networks is lowered from 200 ms: it is what the
 * application would wait after the block ends. Nobody else sets this odd value, so it also says which routes are ours to put
 * back: the namespace itself is the journal.
 */
const RTO_MIN_MS = 19;

const OURS = new RegExp(`\\srto_min (lock )?${RTO_MIN_MS}ms`);

/**
 * The `ip -batch` lines that lower the time-out, from the output of `ip route show`.
 * Routes that have a value of their own are left alone.
 */
export function lowerRtoMin(shown: string, subnets: readonly string[]): string[] {
  const wanted = new Set(subnets.map(networkOf));
  return routeLines(shown)
    .filter((line) => wanted.has(line.split(' ')[0] ?? '') && !line.includes('rto_min'))
    .map((line) => `route change ${line} rto_min ${RTO_MIN_MS}ms`);
}

/** The `ip -batch` lines that put back what {@link lowerRtoMin} changed. */
export function restoreRtoMin(shown: string): string[] {
  return routeLines(shown)
    .filter((line) => OURS.test(line))
    .map((line) => `route change ${line.replace(OURS, '')}`);
}

function routeLines(shown: string): string[] {
  return shown
    .split('\n')
    .map((line) => line.trim().replace(/\s+(linkdown|dead|onlink|offload|pref \w+)\b/g, ''))
    .filter((line) => line !== '' && !line.startsWith('nexthop') && !line.includes('\\'));
}

/** `10.0.1.7/24` → `10.0.1.0/24`: `ip route` names the network. IPv6 is taken as it is. */
function networkOf(subnet: string): string {
  if (familyOf(subnet) === 6) return subnet;
  const [address = '', bits = '32'] = subnet.split('/');
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  const network = Math.floor(value / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join('.')}/${bits}`;
}
