import { networkInterfaces } from 'node:os';
import type { Endpoint } from '../../../src/model/connection.ts';
import { addressText } from '../../../src/model/address.ts';
import { InterruptedDumpError, NETLINK_SOCK_DIAG, Netlink, attributes } from '../../linux/netlink.ts';
import { PORTS } from '../../linux/proxy-table.ts';
import type { LocalConnection } from '../../linux/proxy-sets.ts';
import { inNetns } from '../../linux/sys.ts';

/** From linux/inet_diag.h and net/tcp_states.h. */
const SOCK_DIAG_BY_FAMILY = 20;
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const LISTEN = 1 << 10;
/** Established, closing, and half-open by the other's SYN: what may carry bytes of the application. */
const CONNECTED = [1, 3, 4, 5, 8, 9, 11, 12].reduce((states, state) => states | (1 << state), 0);
const REQUEST_BYTES = 56;
const MESSAGE_BYTES = 72;
const INET_DIAG_SKV6ONLY = 11;
/** A list that changes each time it is read. */
const MOST_TRIES = 5;

/** One TCP socket. Addresses as text, IPv4-mapped ones as IPv4. */
export interface SocketRow {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Takes no IPv4 connections. */
  readonly v6only: boolean;
}

/** Reads the TCP sockets of a task's network namespace: what listens, and what is connected. */
export class SocketReader {
  readonly #netlink: Netlink;

  /** @throws SystemCallError when the namespace is gone */
  constructor(netns: string) {
    this.#netlink = new Netlink(netns, NETLINK_SOCK_DIAG);
  }

  /**
   * The ports where the task listens, for each of its addresses; without our own. About 50 µs.
   * @throws SystemCallError (ENOENT: a kernel without CONFIG_INET_DIAG)
   */
  listening(addresses: readonly string[]): ReadonlyMap<string, readonly number[]> {
    return portsOf(this.#rows(LISTEN), addresses);
  }

  /** All IPv4 connections that are not half-open by our own SYN. About a millisecond: the kernel walks the whole machine's table. */
  connections(): LocalConnection[] {
    return this.#rows(CONNECTED)
      .filter((row) => !row.local.address.includes(':') && !row.remote.address.includes(':'))
      .map(({ local, remote }) => ({ local, remote }));
  }

  close(): void {
    this.#netlink.close();
  }

  #rows(states: number): SocketRow[] {
    return [AF_INET, AF_INET6].flatMap((family) => {
      for (let tries = 1; ; tries++) {
        const rows: SocketRow[] = [];
        try {
          this.#netlink.dump(SOCK_DIAG_BY_FAMILY, request(family, states), (body) => rows.push(parseSocket(body)));
          return rows;
        } catch (error) {
          if (!(error instanceof InterruptedDumpError) || tries === MOST_TRIES) throw error;
        }
      }
    });
  }
}

function request(family: number, states: number): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes[0] = family;
  bytes[1] = IPPROTO_TCP;
  bytes.writeUInt32LE(states, 4);
  return bytes;
}

/** @param body `struct inet_diag_msg` and its attributes */
export function parseSocket(body: Buffer): SocketRow {
  const size = body[0] === AF_INET6 ? 16 : 4;
  const end = (address: number, port: number): Endpoint => ({
    address: addressText([...body.subarray(address, address + size)]),
    port: body.readUInt16BE(port),
  });
  let v6only = false;
  for (const { type, value } of attributes(body.subarray(MESSAGE_BYTES)))
    if (type === INET_DIAG_SKV6ONLY) v6only = value[0] === 1;
  return { local: end(8, 4), remote: end(24, 6), v6only };
}

/** The IPv4 addresses of a network namespace, without those on `lo`. @throws SystemCallError when it is gone */
export function addressesIn(netns: string): string[] {
  const all = inNetns(netns, () => Object.values(networkInterfaces()).flat());
  return all.flatMap((each) => (each?.family === 'IPv4' && !each.internal ? [each.address] : []));
}

/** What other tasks can reach: a wildcard listener counts for each address of the task. */
export function portsOf(
  rows: readonly SocketRow[],
  addresses: readonly string[],
): ReadonlyMap<string, readonly number[]> {
  const ports = new Map(addresses.map((address) => [address, new Set<number>()]));
  for (const { local, v6only } of rows) {
    if (v6only || local.port === PORTS.capture || local.port === PORTS.tunnel) continue;
    const wildcard = local.address === '0.0.0.0' || local.address === '::';
    for (const address of wildcard ? addresses : [local.address]) ports.get(address)?.add(local.port);
  }
  return new Map([...ports].map(([address, set]) => [address, [...set].sort((a, b) => a - b)]));
}

/**
 * The connections with one of `remotes` that do not go through the sidecar: one that does has its other end, with the peer's address, in
 * the same namespace.
 */
export function passingBy(connections: readonly LocalConnection[], remotes: ReadonlySet<string>): LocalConnection[] {
  const text = (from: Endpoint, to: Endpoint): string => `${from.address} ${from.port} ${to.address} ${to.port}`;
  const present = new Set(connections.map(({ local, remote }) => text(local, remote)));
  const ours: readonly number[] = Object.values(PORTS);
  return connections.filter(
    ({ local, remote }) =>
      remotes.has(remote.address) &&
      !present.has(text(remote, local)) &&
      !ours.includes(local.port) &&
      !ours.includes(remote.port),
  );
}
