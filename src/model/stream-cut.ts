import type { StreamCut } from './checkpoint.ts';
import { connectionKey, endpointText, type Connection, type Endpoint } from './connection.ts';
import type { ConnectionEnd } from './cut.ts';

/** The proxied connections of one task at its cut. */
export interface StreamTask {
  /** `taskKey` of the task. */
  readonly key: string;
  readonly streams: readonly StreamCut[];
}

/** What one task's sidecar says of a stream. */
export interface StreamEnd {
  /** `taskKey` of the task. */
  readonly task: string;
  readonly cut: StreamCut;
}

/** One stream, as its two sidecars recorded it. At least one end is there. */
export interface StreamPair {
  readonly id: string;
  readonly opener: StreamEnd | undefined;
  readonly acceptor: StreamEnd | undefined;
}

export interface StreamPairing {
  readonly pairs: readonly StreamPair[];
  /** Ends whose place another task has taken. There are none unless something is wrong. */
  readonly strays: readonly StreamEnd[];
}

/** Puts the ends of each stream together, by its id. */
export function pairStreams(tasks: readonly StreamTask[]): StreamPairing {
  const pairs = new Map<string, { id: string; opener: StreamEnd | undefined; acceptor: StreamEnd | undefined }>();
  const strays: StreamEnd[] = [];
  for (const { key, streams } of tasks) {
    for (const cut of streams) {
      const end = { task: key, cut };
      const pair = pairs.get(cut.id) ?? { id: cut.id, opener: undefined, acceptor: undefined };
      pairs.set(cut.id, pair);
      if (pair[cut.role] === undefined) pair[cut.role] = end;
      else strays.push(end);
    }
  }
  return { pairs: [...pairs.values()], strays };
}

/** Addresses of the task's own socket of a stream. */
export function ownSocket({ role, client, server }: StreamCut): {
  readonly local: Endpoint;
  readonly remote: Endpoint;
} {
  return role === 'opener' ? { local: client, remote: server } : { local: server, remote: client };
}

/**
 * The connections that do not belong to a stream. Those that do end in their own task's sidecar: their mirrored four-tuple is that of
 * the other task's, but the sequence numbers have nothing to do with each other.
 */
export function directConnections(
  connections: readonly Connection[],
  streams: readonly StreamCut[],
): readonly Connection[] {
  if (streams.length === 0) return connections;
  const proxied = new Set(streams.map((cut) => connectionKey(ownSocket(cut))));
  return connections.filter((connection) => !proxied.has(connectionKey(connection)));
}

/**
 * Connections to a sidecar that does not have its half any more: both directions had ended (the last acknowledgments were outstanding), or
 * the application had reset it. Nobody would answer them after a restore.
 */
export function halfOpenConnections(
  task: StreamTask & { readonly connections: readonly Connection[] },
): readonly ConnectionEnd[] {
  const halfOpen = new Set(
    task.streams.filter(({ endTaken }) => !endTaken).map((cut) => connectionKey(ownSocket(cut))),
  );
  if (halfOpen.size === 0) return [];
  return task.connections
    .filter((connection) => connection.state !== 'CLOSE' && halfOpen.has(connectionKey(connection)))
    .map((connection) => ({ task: task.key, connection }));
}

/** The channel towards this end has come to its end, in order or by a reset: nothing can be missing on it. */
export function inputEnded({ finDelivered, finRecorded, resetRecorded }: StreamCut): boolean {
  return finDelivered || finRecorded || resetRecorded;
}

/** The two channels of a stream. */
export type StreamDirection = 'to-server' | 'to-client';

/** One channel of a stream at the cut. Bytes count from the connection's beginning. */
export interface StreamCheck {
  readonly id: string;
  readonly direction: StreamDirection;
  /** Undefined when that end was gone (or not there yet) at its task's cut, or its task took no part. */
  readonly sender: StreamEnd | undefined;
  readonly receiver: StreamEnd | undefined;
  /** Address and port of the sender's and of the receiver's application. */
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly ok: boolean;
  /** Why not; empty when ok. */
  readonly reason: string;
}

export interface StreamCheckOptions {
  /** Only some tasks of the stack took part (migration): an end that is missing is with one of the others. */
  readonly partial?: boolean;
}

/**
 * The condition of a consistent cut for each direction of each stream (Chandy & Lamport 1985, section 3: the state of a channel is
 * what was sent before the sender's cut and not received before the receiver's): `sent == delivered + recorded`, and the same for the
 * channel's end.
 */
export function checkStreams({ pairs, strays }: StreamPairing, options: StreamCheckOptions = {}): StreamCheck[] {
  const partial = options.partial === true;
  return [
    ...pairs.flatMap((pair) => [
      checkChannel(pair, 'to-server', pair.opener, pair.acceptor, partial),
      checkChannel(pair, 'to-client', pair.acceptor, pair.opener, partial),
    ]),
    ...strays.map((end): StreamCheck => {
      const { client, target } = end.cut;
      const side = { id: end.cut.id, direction: 'to-client' as const, sender: undefined, receiver: end };
      return { ...side, from: target, to: client, ok: false, reason: 'another task has the same end of this stream' };
    }),
  ];
}

/** `bank_a.1 10.0.1.2:4000 -> bank_b.1 10.0.1.3:9000`. */
export function streamChannelText({ sender, receiver, from, to }: StreamCheck): string {
  const side = (end: StreamEnd | undefined, endpoint: Endpoint): string =>
    `${end === undefined ? '' : `${end.task} `}${endpointText(endpoint)}`;
  return `${side(sender, from)} -> ${side(receiver, to)}`;
}

function checkChannel(
  { id, opener, acceptor }: StreamPair,
  direction: StreamDirection,
  sender: StreamEnd | undefined,
  receiver: StreamEnd | undefined,
  partial: boolean,
): StreamCheck {
  const reason =
    sender !== undefined && receiver !== undefined
      ? channelFault(sender.cut, receiver.cut)
      : (incompleteness(receiver?.cut) ?? (partial ? '' : lonelinessFault(sender ?? receiver)));
  const [first, second] = [opener?.cut, acceptor?.cut];
  const client = first?.client ?? second?.client ?? NOWHERE;
  const server = second?.server ?? first?.target ?? NOWHERE;
  const [from, to] = direction === 'to-server' ? [client, server] : [server, client];
  return { id, direction, sender, receiver, from, to, ok: reason === '', reason };
}

const NOWHERE: Endpoint = { address: '0.0.0.0', port: 0 };

function channelFault(sender: StreamCut, receiver: StreamCut): string {
  const incomplete = incompleteness(receiver);
  if (incomplete !== undefined) return incomplete;
  const arrived = receiver.delivered + receiver.recorded;
  if (arrived > sender.sent) {
    return `the receiver has ${arrived - sender.sent} bytes that the sender had not sent at its cut`;
  }
  if (arrived < sender.sent) {
    return `${sender.sent - arrived} bytes that were sent before the cut are neither delivered nor recorded`;
  }
  const ended = receiver.finDelivered || receiver.finRecorded;
  if (ended && !sender.finSent)
    return 'the receiver has the end of the channel, which the sender had not ended at its cut';
  // A reset may come instead of the end, and nobody looks behind it.
  if (sender.finSent && !ended && !receiver.resetRecorded)
    return 'the end of the channel is neither delivered nor recorded';
  return '';
}

function incompleteness(receiver: StreamCut | undefined): string | undefined {
  if (receiver === undefined || receiver.complete) return undefined;
  return "its recording is not complete: neither the sender's marker nor the channel's end has come";
}

/** The other end was gone at its task's cut, or had not heard of the stream. This end must know. */
function lonelinessFault(end: StreamEnd | undefined): string {
  if (end === undefined) return '';
  const { cut } = end;
  // Without an end of its own application, nothing of the stream is left.
  if (inputEnded(cut) || !cut.endTaken) return '';
  if (!cut.opening) return `no task has the other end, and ${end.task} has not seen it end`;
  return cut.sent === 0 && !cut.finSent ? '' : 'the opener has sent bytes before it was accepted';
}
