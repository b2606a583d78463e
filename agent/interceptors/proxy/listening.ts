import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import type { Endpoint } from '../../../src/model/connection.ts';
import { addressText } from '../../../src/wire/address.ts';
import { PORTS } from './rules.ts';

const ESTABLISHED = '01';
const LISTEN = '0A';

/** IPv4 connections and listeners of a network namespace, as /proc shows them. */
export interface Sockets {
  /** What the sidecars of peers shall intercept connections to. A wildcard listener appears once for each address of the task. */
  readonly listening: readonly Endpoint[];
  /** Every connection in whatever state: those that are older than the sidecar pass it by. */
  readonly connections: readonly { readonly local: Endpoint; readonly remote: Endpoint }[];
}

/**
 * Reads what listens in a task's network namespace. A listener on `::` counts as one on 0.0.0.0, which it is unless it was made
 * IPv6-only (then the connection is intercepted, and reset instead of refused).
 * @param pid any process of the task, in the node's own numbering
 * @param addresses the task's IPv4 addresses in the stack's networks
 * @throws the system's error when the process is gone
 */
export async function socketsOf(pid: number, addresses: readonly string[]): Promise<Sockets> {
  const read = (file: string): Promise<string> => readFile(`/proc/${pid}/net/${file}`, 'utf8');
  return parseSockets([await read('tcp'), await read('tcp6').catch(() => '')], addresses);
}

/** @param tables contents of /proc/net/tcp and tcp6 */
export function parseSockets(tables: readonly string[], addresses: readonly string[]): Sockets {
  const listening = new Map<string, Endpoint>();
  const connections: { local: Endpoint; remote: Endpoint }[] = [];
  for (const line of tables.flatMap((table) => table.split('\n').slice(1))) {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined) continue;
    const end = parseEnd(local);
    if (state === LISTEN) {
      if (end.port === PORTS.capture || end.port === PORTS.tunnel) continue;
      const on = end.address === '0.0.0.0' || end.address === '::' ? addresses : [end.address];
      for (const address of on)
        if (addresses.includes(address)) listening.set(`${address} ${end.port}`, { address, port: end.port });
    } else if (state !== undefined && state >= ESTABLISHED) {
      const peer = parseEnd(remote);
      if (!end.address.includes(':') && !peer.address.includes(':')) connections.push({ local: end, remote: peer });
    }
  }
  return { listening: [...listening.values()], connections };
}

/** `0100007F:1F90`: 32-bit words in the machine's byte order. */
function parseEnd(text: string): Endpoint {
  const [hex = '', port = ''] = text.split(':');
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const inOrder = (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
    return endianness() === 'LE' ? inOrder.reverse() : inOrder;
  });
  return { address: addressText(bytes), port: Number.parseInt(port, 16) };
}
