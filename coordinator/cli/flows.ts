import type { Manifest } from '../../src/model/checkpoint.ts';
import { endpointText } from '../../src/model/connection.ts';
import { checkCut, type ConnectionEnd } from '../../src/model/cut.ts';
import { cutOf } from '../rounds/cut-check.ts';

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
  const { pairing } = cutOf(manifest);
  const inside = checkCut(pairing.pairs).map(({ from, to, inFlightBytes, unsentBytes, unreadBytes }): Flow => ({
    ...ends(from),
    to: to.task,
    inFlightBytes: inFlightBytes + unsentBytes,
    unreadBytes,
  }));
  const outside = [...pairing.external, ...pairing.unmatched].map((end): Flow => ({
    ...ends(end),
    to: undefined,
    inFlightBytes: undefined,
    unreadBytes: undefined,
  }));
  return [...inside, ...outside].sort((a, b) => a.from.localeCompare(b.from));
}

function ends({ task, connection }: ConnectionEnd): Pick<Flow, 'from' | 'local' | 'remote' | 'state'> {
  return {
    from: task,
    local: endpointText(connection.local),
    remote: endpointText(connection.remote),
    state: connection.state,
  };
}
