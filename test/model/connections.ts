import type { Connection, Endpoint } from '../../src/model/connection.ts';
import type { CutTask } from '../../src/model/cuts/cut.ts';
import type { Alias } from '../../src/model/task.ts';

export function endpoint(text: string): Endpoint {
  const at = text.lastIndexOf(':');
  return { address: text.slice(0, at), port: Number(text.slice(at + 1)) };
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

/** `{ network: address }` as a list. */
export function aliases(of: Readonly<Record<string, string>>): Alias[] {
  return Object.entries(of).map(([network, address]) => ({ network, address }));
}

export function task(
  key: string,
  addresses: Readonly<Record<string, string>>,
  connections: readonly Connection[],
  old: readonly Alias[] = [],
): CutTask {
  return { key, connections, aliases: old, addresses: aliases(addresses) };
}
