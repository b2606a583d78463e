import type { Endpoint } from '../../src/model/connection.ts';
import { familyOf } from './addresses.ts';
import { addressKey, endsKey, intervalElements, type SetElement } from './set-elements.ts';

/** A connection as the task's own packets have it. */
export interface LocalConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** What the sets shall hold. Fields left out stay as they are. */
export interface ProxySets {
  /** CIDR. */
  readonly subnets?: readonly string[];
  /** IPv4 addresses. */
  readonly peers?: readonly string[];
  readonly vips?: readonly string[];
  readonly waiting?: readonly string[];
  readonly nonPeers?: readonly string[];
  readonly listening?: readonly Endpoint[];
  readonly direct?: readonly LocalConnection[];
}

/** The elements of the sets, by name. @throws Error for anything that is no IPv4 address */
export function setContents(sets: ProxySets): Record<string, SetElement[]> {
  const contents: Record<string, SetElement[]> = {};
  if (sets.subnets) contents.subnets = intervalElements(sets.subnets.map(subnet));
  for (const name of ['peers', 'vips', 'waiting', 'nonPeers'] as const)
    if (sets[name]) contents[name] = distinct(sets[name].map((text) => addressKey(address(text))));
  if (sets.listening) contents.listening = distinct(sets.listening.map((one) => endsKey(end(one))));
  if (sets.direct) contents.direct = distinct(sets.direct.map(tuple));
  return contents;
}

/**
 * From now on these connections are the sidecar's, whoever their addresses belong to; its sockets for them must exist. `local` is the
 * application's end. Replaces what was said before.
 */
export function restoredContents(entries: readonly LocalConnection[]): Record<string, SetElement[]> {
  return { restored: distinct(entries.map(tuple)) };
}

function distinct(keys: readonly Buffer[]): SetElement[] {
  return [...new Map(keys.map((key) => [key.toString('hex'), { key }])).values()];
}

function address(text: string): string {
  if (text.includes('/') || familyOf(text) !== 4) throw new Error(`not an IPv4 address: ${text}`);
  return text;
}

function subnet(text: string): string {
  if (familyOf(text) !== 4) throw new Error(`not an IPv4 subnet: ${text}`);
  return text;
}

function end(endpoint: Endpoint): Endpoint {
  if (!Number.isInteger(endpoint.port) || endpoint.port < 1 || endpoint.port > 65_535)
    throw new Error(`not a port: ${endpoint.port}`);
  address(endpoint.address);
  return endpoint;
}

function tuple({ local, remote }: LocalConnection): Buffer {
  return endsKey(end(local), end(remote));
}
