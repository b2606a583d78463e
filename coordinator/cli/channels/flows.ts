import type { Manifest } from '../../../src/model/checkpoint.ts';
import { connectionKey, endpointText } from '../../../src/model/connection.ts';
import { checkCut, type ConnectionEnd } from '../../../src/model/cuts/cut.ts';
import { ownSocket, type StreamCheck, type StreamDirection } from '../../../src/model/cuts/stream-cut.ts';
import { taskKey } from '../../../src/model/task.ts';
import { cutOf } from '../../operations/rounds/cut-check.ts';

/** One channel of a snapshot: one direction of one connection. */
export interface Flow {
  /** Names the channel within its snapshot, which never changes: 1, 2 … */
  readonly number: number;
  /** Task keys; undefined when that end is outside the snapshot, or was gone at the cut. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly local: string;
  readonly remote: string;
  /** TCP state of the sender's socket; empty if its socket is not in the snapshot. */
  readonly state: string;
  /** Sent (or to be sent) at the sender's cut and not received at the receiver's; undefined when the peer is outside. */
  readonly inFlightBytes: number | undefined;
  /** Received at the receiver's cut, not yet read by it. */
  readonly unreadBytes: number | undefined;
  /** Through sidecars: whose record has the bytes in flight. */
  readonly stream: { readonly id: string; readonly direction: StreamDirection } | undefined;
}

/** Every channel of a snapshot, in the order of senders, receivers and addresses. */
export function flowsOf(manifest: Manifest): Flow[] {
  const { pairing, channels } = cutOf(manifest);
  const inside = checkCut(pairing.pairs).map(({ from, to, inFlightBytes, unsentBytes, unreadBytes }) => ({
    ...ends(from),
    to: to.task,
    inFlightBytes: inFlightBytes + unsentBytes,
    unreadBytes,
    stream: undefined,
  }));
  const outside = [...pairing.external, ...pairing.unmatched].map((end) => ({
    ...ends(end),
    to: undefined,
    inFlightBytes: undefined,
    unreadBytes: undefined,
    stream: undefined,
  }));
  const sockets = new Sockets(manifest);
  const proxied = channels.map((check) => proxiedFlow(check, sockets));
  return [...inside, ...outside, ...proxied]
    .map((flow) => ({ flow, key: [flow.from ?? '~', flow.to ?? '~', flow.local, flow.remote, flow.stream?.id ?? ''] }))
    .sort((a, b) => compare(a.key, b.key))
    .map(({ flow }, index): Flow => ({ number: index + 1, ...flow }));
}

function ends({ task, connection }: ConnectionEnd): Pick<Flow, 'from' | 'local' | 'remote' | 'state'> {
  return {
    from: task,
    local: endpointText(connection.local),
    remote: endpointText(connection.remote),
    state: connection.state,
  };
}

function proxiedFlow(check: StreamCheck, sockets: Sockets): Omit<Flow, 'number'> {
  const { id, direction, sender, receiver, from, to } = check;
  return {
    from: sender?.task,
    to: receiver?.task,
    local: endpointText(from),
    remote: endpointText(to),
    state: sockets.of(sender)?.state ?? '',
    // With nobody there to receive it, nothing is on its way.
    inFlightBytes: receiver?.cut.recorded ?? 0,
    unreadBytes: receiver && (sockets.of(receiver)?.recvQueueBytes ?? 0),
    stream: { id, direction },
  };
}

/** The applications' sockets of a snapshot. */
class Sockets {
  readonly #byKey: ReadonlyMap<string, Manifest['tasks'][number]['connections'][number]>;

  constructor(manifest: Manifest) {
    this.#byKey = new Map(
      manifest.tasks.flatMap(({ task, connections }) =>
        connections.map((connection) => [`${taskKey(task)} ${connectionKey(connection)}`, connection] as const),
      ),
    );
  }

  of(end: StreamCheck['sender']): Manifest['tasks'][number]['connections'][number] | undefined {
    return end && this.#byKey.get(`${end.task} ${connectionKey(ownSocket(end.cut))}`);
  }
}

/** The same on every machine, unlike an order of the user's language: channels are numbered by it. */
function compare(a: readonly string[], b: readonly string[]): number {
  for (const [index, text] of a.entries()) {
    const other = b[index] ?? '';
    if (text !== other) return text < other ? -1 : 1;
  }
  return 0;
}
