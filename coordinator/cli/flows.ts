import type { Manifest } from '../../src/model/checkpoint.ts';
import { connectionKey, endpointText, peerKey } from '../../src/model/connection.ts';
import { taskKey } from '../../src/model/task.ts';

/** One direction of one connection of a snapshot. */
export interface Flow {
  /** Task keys; `to` is undefined when the peer is outside the snapshot. */
  readonly from: string;
  readonly to: string | undefined;
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  /** Sent (or to be sent) at the sender's cut and not received at the receiver's; undefined when the peer is outside. */
  readonly inFlightBytes: number | undefined;
  /** Received at the receiver's cut, not yet read by it. */
  readonly unreadBytes: number | undefined;
}

/** Every connection of a snapshot, once per direction, in the order of tasks. */
export function flowsOf(manifest: Manifest): Flow[] {
  const ends = new Map(
    manifest.tasks.flatMap((task) =>
      task.connections.map((connection) => [connectionKey(connection), { task, connection }] as const),
    ),
  );
  return manifest.tasks.flatMap((task) =>
    task.connections.map((connection): Flow => {
      const peer = ends.get(peerKey(connection));
      return {
        from: taskKey(task.task),
        to: peer === undefined ? undefined : taskKey(peer.task.task),
        local: endpointText(connection.local),
        remote: endpointText(connection.remote),
        state: connection.state,
        // Sequence numbers wrap at 2^32; a negative distance would be an orphan, which verify reports.
        inFlightBytes: peer === undefined ? undefined : (connection.writeSeq - peer.connection.rcvNxt) | 0,
        unreadBytes: peer?.connection.recvQueueBytes,
      };
    }),
  );
}
