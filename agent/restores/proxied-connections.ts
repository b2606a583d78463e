import { connectionKey, type Connection } from '../../src/model/connection.ts';
import type { UnsentMark } from '../../src/model/plans/network-plan.ts';
import { readRecord } from '../../src/storage/channel-records.ts';

/** The application's ends of the connections that its sidecar carried at the cut. */
export interface ProxiedConnections {
  readonly connections: readonly Connection[];
  /** What of their send queues the sidecar does not have. */
  readonly unsent: readonly UnsentMark[];
}

export const NOTHING_PROXIED: ProxiedConnections = { connections: [], unsent: [] };

/** States in which the application can still send, so that the queue is data only. */
const SENDING: ReadonlySet<string> = new Set(['ESTABLISHED', 'CLOSE_WAIT']);

/**
 * Matches a sidecar's record with the connections in the task's image: the sidecar's end is the mirror of the application's. Bytes behind what
 * the sidecar has received are to be restored as not sent: they would wait 3 s for TCP's first time-out otherwise (UnsentMark).
 * @param channelsDir with the record's files
 * @param connections of the task, as CRIU has recorded them
 */
export async function proxiedConnections(
  channelsDir: string,
  connections: readonly Connection[],
): Promise<ProxiedConnections> {
  const byEnds = new Map(connections.map((connection) => [connectionKey(connection), connection]));
  const found: Connection[] = [];
  const unsent: UnsentMark[] = [];
  for (const { end } of (await readRecord(channelsDir)).streams) {
    if (end === undefined) continue;
    const connection = byEnds.get(connectionKey({ local: end.remote, remote: end.local }));
    if (connection === undefined) continue; // the application had let go of it already
    found.push(connection);
    const { state, sequencesKnown, writeSeq, sndUna, rcvNxt } = connection;
    if (sequencesKnown && SENDING.has(state) && writeSeq !== sndUna)
      unsent.push({ writeSeq, rcvNxt, from: end.receiveSeq });
  }
  return { connections: found, unsent };
}
