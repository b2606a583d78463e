import { connectionKey, peerKey, type Connection, type DatagramSocket, type UnconnectedSocket } from '../connection.ts';
import type { Alias } from '../task.ts';

/** What is known of one task at its cut. */
export interface CutTask {
  /** `taskKey` of the task. */
  readonly key: string;
  readonly connections: readonly Connection[];
  /** Its connected UDP sockets. */
  readonly datagrams?: readonly DatagramSocket[];
  readonly bound?: readonly UnconnectedSocket[];
  /** Addresses that its sockets may be bound to, previous ones too. */
  readonly aliases: readonly Alias[];
  /** Its addresses at the cut, by network. */
  readonly addresses: readonly Alias[];
}

/** One end of a connection and the task that has it. */
export interface ConnectionEnd {
  /** `taskKey` of the task. */
  readonly task: string;
  readonly connection: Connection;
}

/** Both ends of one connection. They can be in the same task. */
export interface ConnectionPair {
  readonly a: ConnectionEnd;
  readonly b: ConnectionEnd;
}

/** Every connection of the tasks given is in exactly one of these lists, except those in `CLOSE`, which have no peer any more. */
export interface Pairing {
  readonly pairs: readonly ConnectionPair[];
  /** The other end is not in any of the tasks. */
  readonly external: readonly ConnectionEnd[];
  /**
   * The remote address belongs to one of the tasks, but that task has no other end: not accepted yet (CRIU leaves such out), being
   * made (`SYN_SENT`), or already gone. On restore these are reset like external ones, except those being made.
   */
  readonly unmatched: readonly ConnectionEnd[];
  /** Over 127.0.0.0/8 or ::1: CRIU restores both ends, and nothing has to be done. */
  readonly loopback: readonly ConnectionEnd[];
}

/**
 * Finds the two ends of every connection.
 *
 * Two ends whose four-tuples mirror each other belong together. If several do (after a restore, old addresses have new owners), or if
 * there is address translation between the ends (a service's virtual IP: the client's remote is the virtual address, the
 * server's remote is the load balancer's), sequence numbers decide: each end must have received between what the other knows to be
 * acknowledged and what it has sent. Sequence numbers start at random, so two ends that do not belong together pass with probability
 * (n+1)(m+1)/2^64, with n and m the bytes in flight each way: 2^-64 when idle, below 2^-20 with 4 MB each way.
 */
export function pairConnections(tasks: readonly CutTask[]): Pairing {
  const ends = tasks.flatMap((task) =>
    task.connections.filter(({ state }) => state !== 'CLOSE').map((connection) => ({ task: task.key, connection })),
  );
  const loopback = ends.filter(({ connection }) => isLoopback(connection.local.address));
  const free = new Set(ends.filter(({ connection }) => !isLoopback(connection.local.address)));
  const byKey = groupBy(free, ({ connection }) => connectionKey(connection));
  const mirrors = (end: ConnectionEnd): ConnectionEnd[] => byKey.get(peerKey(end.connection)) ?? [];
  const pairs = [
    ...takeCertain(free, mirrors),
    ...takeCertain(free, (end) => mirrors(end).filter((other) => fit(end.connection, other.connection))),
    ...takeTranslated(free),
  ];

  const known = new Set(tasks.flatMap((task) => [...task.aliases, ...task.addresses].map(({ address }) => address)));
  const left = [...free];
  return {
    pairs,
    external: left.filter(({ connection }) => !known.has(connection.remote.address)),
    unmatched: left.filter(({ connection }) => known.has(connection.remote.address)),
    loopback,
  };
}

/** Takes those ends out of `free` that are each other's only candidate. Being a candidate must be mutual. */
function takeCertain(free: Set<ConnectionEnd>, candidates: (end: ConnectionEnd) => ConnectionEnd[]): ConnectionPair[] {
  const only = new Map<ConnectionEnd, ConnectionEnd>();
  for (const end of free) {
    const [first, ...more] = candidates(end).filter((other) => other !== end && free.has(other));
    if (first && more.length === 0) only.set(end, first);
  }
  const pairs: ConnectionPair[] = [];
  for (const [a, b] of only) {
    if (only.get(b) !== a || !free.delete(a)) continue;
    free.delete(b);
    pairs.push({ a, b });
  }
  return pairs;
}

/**
 * Pairs clients whose remote is a virtual address with the server that was chosen for them. A virtual IP keeps the port of the server;
 * the masquerade can change the client's. Running tasks tell no sequence numbers: for them both ports must be kept.
 */
function takeTranslated(free: Set<ConnectionEnd>): ConnectionPair[] {
  const byLocal = groupBy(free, ({ connection }) => String(connection.local.port));
  const byRemote = groupBy(free, ({ connection }) => String(connection.remote.port));
  const near = ({ connection }: ConnectionEnd): ConnectionEnd[] => [
    ...new Set([
      ...(byLocal.get(String(connection.remote.port)) ?? []),
      ...(byRemote.get(String(connection.local.port)) ?? []),
    ]),
  ];
  const likely = (a: Connection, b: Connection): boolean =>
    !(a.sequencesKnown && b.sequencesKnown) && a.local.port === b.remote.port && a.remote.port === b.local.port;
  return [
    ...takeCertain(free, (end) => near(end).filter((other) => fit(end.connection, other.connection))),
    ...takeCertain(free, (end) => near(end).filter((other) => likely(end.connection, other.connection))),
  ];
}

/** What became of the bytes of one direction of a connection at the cut. */
export interface ChannelCheck {
  readonly from: ConnectionEnd;
  readonly to: ConnectionEnd;
  /** Sent and not received: the channel state. It lies in the sender's send queue. */
  readonly inFlightBytes: number;
  /** Written by the application, not sent yet. */
  readonly unsentBytes: number;
  /** Received by the kernel, not yet read by the application. */
  readonly unreadBytes: number;
  /** False if a running task is concerned, whose sequence numbers are not read. */
  readonly checked: boolean;
  readonly ok: boolean;
  /** Why not; empty when ok. */
  readonly reason: string;
}

/**
 * The condition of a consistent cut, for each direction of each connection: `snd_una <= rcv_nxt <= snd_nxt`, with the sender's `snd_una`
 * and `snd_nxt` and the receiver's `rcv_nxt`. If `rcv_nxt` is above, the receiver has bytes that the sender has not sent yet (an orphan
 * message); if it is below, the sender has thrown bytes away that the receiver does not have.
 */
export function checkCut(pairs: readonly ConnectionPair[]): ChannelCheck[] {
  return pairs.flatMap(({ a, b }) => [checkChannel(a, b), checkChannel(b, a)]);
}

function checkChannel(from: ConnectionEnd, to: ConnectionEnd): ChannelCheck {
  const sender = from.connection;
  const receiver = to.connection;
  const base = {
    from,
    to,
    unsentBytes: after(sender.writeSeq, sender.sndNxt),
    unreadBytes: receiver.recvQueueBytes,
  };
  if (!sender.sequencesKnown || !receiver.sequencesKnown) {
    return { ...base, inFlightBytes: 0, unsentBytes: 0, checked: false, ok: true, reason: '' };
  }
  const inFlight = distance(receiver.rcvNxt, sender.sndNxt);
  const lost = distance(receiver.rcvNxt, sender.sndUna);
  // A FIN takes a sequence number, and whether a state's figures count it differs between kernel and images.
  const slack = FIN_SENT.has(sender.state) ? 1 : 0;
  const reason =
    inFlight < -slack
      ? `the receiver has ${-inFlight} bytes that the sender has not sent at its cut`
      : lost > slack
        ? `the sender has dropped ${lost} bytes as acknowledged that the receiver does not have at its cut`
        : '';
  return { ...base, inFlightBytes: Math.max(0, inFlight), checked: true, ok: reason === '', reason };
}

/** States whose sender has closed its direction. */
const FIN_SENT: ReadonlySet<string> = new Set(['FIN_WAIT1', 'FIN_WAIT2', 'CLOSING', 'LAST_ACK', 'TIME_WAIT', 'CLOSE']);

/** True if both directions satisfy the cut condition, as far as it can be known. */
function fit(a: Connection, b: Connection): boolean {
  return a.sequencesKnown && b.sequencesKnown && fits(a, b) && fits(b, a);
}

function fits(sender: Connection, receiver: Connection): boolean {
  const slack = FIN_SENT.has(sender.state) ? 1 : 0;
  return distance(sender.sndUna, receiver.rcvNxt) >= -slack && distance(receiver.rcvNxt, sender.sndNxt) >= -slack;
}

/** `to - from` as the kernel compares sequence numbers: modulo 2^32, as a signed number. */
function distance(from: number, to: number): number {
  return (to - from) | 0;
}

function after(seq: number, since: number): number {
  return Math.max(0, distance(since, seq));
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

function groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
