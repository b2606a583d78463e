import type { Connection, Endpoint, RewriteEntry } from '../../src/model/connection.ts';
import type { CutTask } from '../../src/model/cuts/cut.ts';
import type { Alias } from '../../src/model/task.ts';

export function endpoint(text: string): Endpoint {
  const at = text.lastIndexOf(':');
  return { address: text.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(at + 1)) };
}

/** One end; `sequences` are snd_una, snd_nxt and rcv_nxt. */
export function end(
  local: string,
  remote: string,
  [sndUna, sndNxt, rcvNxt]: readonly [number, number, number] = [0, 0, 0],
  more: Partial<Connection> = {},
): Connection {
  return {
    local: endpoint(local),
    remote: endpoint(remote),
    state: 'ESTABLISHED',
    sndUna,
    sndNxt,
    writeSeq: sndNxt,
    rcvNxt,
    sendQueueBytes: 0,
    recvQueueBytes: 0,
    sequencesKnown: true,
    ...more,
  };
}

/** Addresses by network; an address alone is on network `net`. */
export type Places = string | Readonly<Record<string, string>>;

/** As a list. */
export function aliases(of: Places): Alias[] {
  if (typeof of === 'string') return [{ network: 'net', address: of }];
  return Object.entries(of).map(([network, address]) => ({ network, address }));
}

/** Each `local>remote as local>remote`: the socket's endpoints, then those on the wire. */
export function rewrites(...texts: string[]): RewriteEntry[] {
  return texts.map((text) => {
    const [socketLocal = '', socketRemote = '', wireLocal = '', wireRemote = ''] = text.split(/>| as /);
    return {
      socketLocal: endpoint(socketLocal),
      socketRemote: endpoint(socketRemote),
      wireLocal: endpoint(wireLocal),
      wireRemote: endpoint(wireRemote),
    };
  });
}

export function task(
  key: string,
  addresses: Places,
  connections: readonly Connection[],
  old: readonly Alias[] = [],
): CutTask {
  return { key, connections, aliases: old, addresses: aliases(addresses) };
}
