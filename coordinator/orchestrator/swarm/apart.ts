import { isIPv4 } from 'node:net';
import type { Manifest } from '../../../src/model/checkpoint.ts';

/** A range must have room for so many times the addresses that the snapshot knows of. */
const ROOM = 4;

/**
 * A network of a snapshot that is made again gives its addresses anew from the first one on, to whichever task comes first: those that programs remember
 * would be other tasks'. So new ones come from the half of its subnet in which none of them lies, if there is one with room enough; then the former
 * ones stay free, and lead to whose they were.
 * @returns the network's spec, with an `IPRange` for each subnet where that can be
 */
export function apartFromFormer(
  manifest: Manifest,
  name: string,
  spec: Record<string, unknown>,
): Record<string, unknown> {
  const { IPAM } = spec as { IPAM?: { Config?: readonly { Subnet?: string }[] } };
  if (IPAM?.Config === undefined) return spec;
  const former = [
    ...manifest.tasks.flatMap(({ addresses, aliases }) => [...addresses, ...aliases]),
    ...manifest.services.flatMap(({ virtual }) => virtual),
  ].flatMap(({ address, network }) => (network === name ? [address] : []));
  const Config = IPAM.Config.map((config) => {
    const range = freeHalf(config.Subnet ?? '', new Set(former));
    return range === undefined ? config : { ...config, IPRange: range };
  });
  return { ...spec, IPAM: { ...IPAM, Config } };
}

/** The half of an IPv4 subnet that has none of these addresses; undefined if there is none, or it would be small for as many. */
export function freeHalf(subnet: string, addresses: ReadonlySet<string>): string | undefined {
  const [base = '', length = ''] = subnet.split('/');
  const bits = Number(length);
  if (!isIPv4(base) || !/^\d{1,2}$/.test(length) || bits > 30) return undefined;
  const half = 2 ** (31 - bits);
  const start = Math.floor(numberOf(base) / (2 * half)) * 2 * half;
  const inside = [...addresses]
    .filter((address) => isIPv4(address))
    .map((address) => numberOf(address) - start)
    .filter((offset) => offset >= 0 && offset < 2 * half);
  if (inside.length === 0 || inside.length * ROOM > half) return undefined;
  const free = [0, half].find((from) => !inside.some((offset) => offset >= from && offset < from + half));
  return free === undefined ? undefined : `${addressOf(start + free)}/${bits + 1}`;
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function addressOf(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
