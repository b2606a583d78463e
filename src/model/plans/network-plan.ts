import {
  connectionKey,
  endpointText,
  type Connection,
  type DatagramSocket,
  type Endpoint,
  type RewriteEntry,
  type UnconnectedSocket,
} from '../connection.ts';
import type { ConnectionEnd, CutTask, Pairing } from '../cuts/cut.ts';
import type { Alias } from '../task.ts';
import { formerAddresses, type FormerAddress, type VirtualAddress } from './former-addresses.ts';
import { linkOf } from './links.ts';

/** What an agent must set up in a restored task's network namespace. Same shape as `NetworkPlan` in proto/agent.proto. */
export interface NetworkPlan {
  /** CIDR. */
  readonly subnets: string[];
  /** Addresses that sockets are bound to although the task does not own them now. */
  readonly ownAddresses: string[];
  readonly rewrites: RewriteEntry[];
  /** To be reset as soon as the task is restored. */
  readonly close: Connection[];
  /** To be remembered with the container, for its next checkpoint. */
  readonly aliases: Alias[];
  /** Send queues that are to be restored otherwise than CRIU has recorded them. */
  readonly unsent: UnsentMark[];
  /** Where new connections to the stack's former addresses go. */
  readonly former: FormerAddress[];
  /** Sockets that are bound to old addresses of the task and not connected. */
  readonly bound: BoundSocket[];
}

/** Under which address such a socket is reached now. Same shape as `BoundSocket` in proto/types.proto. */
export interface BoundSocket extends UnconnectedSocket {
  readonly wire: string;
}

/**
 * From where on a connection's send queue is to be restored as not sent yet. What was in flight at the cut is lost, and the peer tells where
 * its stream ends. Bytes that count as sent are sent again only when the restored socket's first time-out comes, after 3 s; unsent ones
 * go out as soon as there is a way. Not from before what the peer has, though: its acknowledgments, and the data that comes with
 * them, would be refused as being for something never sent.
 */
export interface UnsentMark {
  /** Names the connection together with `rcvNxt`: what its image says. */
  readonly writeSeq: number;
  readonly rcvNxt: number;
  /** First byte that the peer does not have. */
  readonly from: number;
}

/** A task to be restored: as it was at the cut, and where it will be. */
export interface RestoredTask extends CutTask {
  /** The addresses that Swarm has given to the new container, by network. */
  readonly newAddresses: readonly Alias[];
  /** Its sidecar carries its connections with the others. */
  readonly proxied?: boolean;
}

/** A task that keeps running while its peers are restored (live migration of a part of a stack). */
export interface LiveTask extends CutTask {
  /** In force now. */
  readonly rewrites: readonly RewriteEntry[];
}

export interface NetworkPlanInput {
  readonly tasks: readonly RestoredTask[];
  readonly live?: readonly LiveTask[];
  /** `pairConnections` of all of the above together. */
  readonly pairing: Pairing;
  /** The virtual addresses that the services had at the cut, and the tasks behind each. */
  readonly virtual?: readonly VirtualAddress[];
  /** Addresses that somebody has now, besides the tasks: nobody is led away from them. */
  readonly taken?: readonly string[];
  /** Of restored tasks: not in the pairing, and to be reset (`halfOpenConnections`). */
  readonly close?: readonly ConnectionEnd[];
  /** The overlay networks of the restored tasks now, in CIDR notation. */
  readonly subnets: readonly string[];
}

/** What has to be done in a task that keeps running. */
export interface LivePlan {
  /** All rewrites that are to be in force from now on: replaces the former ones. */
  readonly rewrites: RewriteEntry[];
  /** Connections whose other end does not come back: to be reset when the restored tasks are released. */
  readonly close: Connection[];
  /** As in {@link NetworkPlan}; replaces the former ones. */
  readonly former: FormerAddress[];
}

export interface NetworkPlans {
  /** By task key, one for each restored task. */
  readonly plans: ReadonlyMap<string, NetworkPlan>;
  /** By task key, one for each live task. */
  readonly live: ReadonlyMap<string, LivePlan>;
}

/**
 * Computes how the connections of a snapshot travel between the places where its tasks are restored.
 *
 * Sockets keep the addresses that they were made with, over any number of restores; on the wire each connection uses its tasks' present
 * addresses on the network that it belongs to, and the port numbers of its sockets. A connection belongs to the network of the addresses
 * it was made with, as the tasks' aliases and addresses tell; if neither end's address is known (or a task is no longer on that
 * network), it is closed.
 *
 * Proxied connections are not in the pairing: they end in their task's sidecar and need no rewriting. But they are among their task's
 * connections, so that their old addresses come back.
 */
export function planNetworks(input: NetworkPlanInput): NetworkPlans {
  const places = new TaskPlaces(input);
  for (const task of [...input.tasks, ...(input.live ?? [])])
    for (const socket of task.datagrams ?? []) places.lead(task.key, socket);
  for (const { a, b } of input.pairing.pairs) {
    if (places.bothLive(a, b)) continue;
    const wire = places.wireOf(a, b);
    places.mark(a, b);
    places.mark(b, a);
    if (wire) {
      places.connect(a, wire.a, wire.b);
      places.connect(b, wire.b, wire.a);
    } else {
      places.close(a);
      places.close(b);
    }
  }
  for (const end of [...input.pairing.unmatched, ...input.pairing.external]) {
    if (!places.dial(end)) places.close(end, input.pairing.external.includes(end));
  }
  for (const end of input.close ?? []) places.close(end);
  return places.result();
}

interface Place {
  readonly task: CutTask;
  readonly restored: RestoredTask | undefined;
  readonly live: LiveTask | undefined;
  /** Of each address that the task has or had: `linkOf`. */
  readonly networkOf: ReadonlyMap<string, string>;
  /** Address of the task on each of these from now on. */
  readonly presentOn: ReadonlyMap<string, string>;
  readonly rewrites: Map<string, RewriteEntry>;
  readonly close: Connection[];
  readonly unsent: UnsentMark[];
}

/** States in which the application can still send, so that the queue is data only. */
const SENDING: ReadonlySet<string> = new Set(['ESTABLISHED', 'CLOSE_WAIT']);

/** Previous addresses that are remembered with a task, besides those of its sockets. */
const MOST_ALIASES = 64;

/** Ports for connections whose own would collide on the wire: above the range that the kernel gives out by itself. */
const FIRST_SPARE_PORT = 61_000;

class TaskPlaces {
  readonly #subnets: readonly string[];
  readonly #input: NetworkPlanInput;
  readonly #places = new Map<string, Place>();
  readonly #wires = new Set<string>();

  constructor(input: NetworkPlanInput) {
    this.#input = input;
    this.#subnets = input.subnets;
    for (const task of input.tasks) this.#add(task, task.newAddresses, task, undefined);
    for (const task of input.live ?? []) this.#add(task, task.addresses, undefined, task);
  }

  #add(task: CutTask, present: readonly Alias[], restored: RestoredTask | undefined, live: LiveTask | undefined): void {
    const rewrites = (live?.rewrites ?? []).map((entry) => [rewriteKey(entry), entry] as const);
    this.#places.set(task.key, {
      task,
      restored,
      live,
      // The addresses at the cut are the youngest truth: they come last and win.
      networkOf: new Map([...task.aliases, ...task.addresses].map((alias) => [alias.address, linkOf(alias)])),
      presentOn: new Map(present.map((alias) => [linkOf(alias), alias.address])),
      rewrites: new Map(rewrites),
      close: [],
      unsent: [],
    });
  }

  #place(end: ConnectionEnd): Place {
    const place = this.#places.get(end.task);
    if (!place) throw new Error(`the pairing names a task that was not given: ${end.task}`);
    return place;
  }

  bothLive(a: ConnectionEnd, b: ConnectionEnd): boolean {
    return this.#place(a).live !== undefined && this.#place(b).live !== undefined;
  }

  /** The endpoints between which a connection travels from now on; undefined if there is no network for it. */
  wireOf(a: ConnectionEnd, b: ConnectionEnd): { a: Endpoint; b: Endpoint } | undefined {
    const [placeA, placeB] = [this.#place(a), this.#place(b)];
    const network =
      placeA.networkOf.get(a.connection.local.address) ?? placeB.networkOf.get(b.connection.local.address);
    if (network === undefined) return undefined;
    const [addressA, addressB] = [placeA.presentOn.get(network), placeB.presentOn.get(network)];
    if (addressA === undefined || addressB === undefined) return undefined;
    const wireB = { address: addressB, port: b.connection.local.port };
    // Two clients' ends can only collide if a virtual IP stood between: 1.2.3.4:5000 to two of them that meet at one server.
    for (let spare = FIRST_SPARE_PORT - 1; spare < 65_536; spare += 1) {
      const port = spare < FIRST_SPARE_PORT ? a.connection.local.port : spare;
      const wireA = { address: addressA, port };
      const [there, back] = [
        `${endpointText(wireA)}>${endpointText(wireB)}`,
        `${endpointText(wireB)}>${endpointText(wireA)}`,
      ];
      if (this.#wires.has(there) || this.#wires.has(back)) continue;
      this.#wires.add(there);
      return { a: wireA, b: wireB };
    }
    return undefined;
  }

  connect(end: ConnectionEnd, wireLocal: Endpoint, wireRemote: Endpoint): void {
    const { local, remote } = end.connection;
    this.#rewrite(this.#place(end), { socketLocal: local, socketRemote: remote, wireLocal, wireRemote });
  }

  /**
   * A connected UDP socket goes on with whoever has the place of its peer. One end is enough: the other need not be connected, and answers to
   * where the packets come from.
   */
  lead(key: string, { local, remote }: DatagramSocket): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    const present = { socketLocal: local, socketRemote: remote, wireLocal: local, wireRemote: remote, datagrams: true };
    const before = place.rewrites.get(rewriteKey(present));
    const network = place.networkOf.get(local.address);
    // Made in an earlier life, so its peer's address is of that time, too.
    const old = before === undefined && !place.task.addresses.some(({ address }) => address === local.address);
    const target = this.#ownerOf((before ?? present).wireRemote.address, network, old);
    const on = network ?? target?.networkOf.get(remote.address);
    if (on === undefined) return;
    const [from, to] = [place.presentOn.get(on), target?.presentOn.get(on)];
    if (from === undefined) return;
    this.#rewrite(place, {
      ...present,
      wireLocal: { address: from, port: local.port },
      wireRemote: { address: to ?? (before ?? present).wireRemote.address, port: remote.port },
    });
  }

  /** The task that has an address at the cut, or had it. @param earlier one that had it comes first */
  #ownerOf(address: string, network: string | undefined, earlier = false): Place | undefined {
    const has = (all: readonly Alias[]): boolean =>
      all.some((one) => one.address === address && (network === undefined || linkOf(one) === network));
    const places = [...this.#places.values()];
    const now = places.find(({ task }) => has(task.addresses));
    const before = places.find(({ task }) => has(task.aliases));
    return earlier ? (before ?? now) : (now ?? before);
  }

  #rewrite(place: Place, entry: RewriteEntry): void {
    const { socketLocal, socketRemote, wireLocal, wireRemote } = entry;
    if (same(socketLocal, wireLocal) && same(socketRemote, wireRemote)) place.rewrites.delete(rewriteKey(entry));
    else place.rewrites.set(rewriteKey(entry), entry);
  }

  /** Says which bytes of the send queue of `end` its peer does not have. */
  mark(end: ConnectionEnd, peer: ConnectionEnd): void {
    const { sndUna, writeSeq, rcvNxt, state, sequencesKnown } = end.connection;
    if (!sequencesKnown || !SENDING.has(state) || writeSeq === sndUna) return;
    // A running peer may have all of it or nothing. It does not fall silent if something of its own is refused: it sends again soon.
    const from = peer.connection.sequencesKnown ? peer.connection.rcvNxt : sndUna;
    this.#place(end).unsent.push({ writeSeq, rcvNxt, from });
  }

  /** A connection that was just being made goes on to where its target is now. */
  dial(end: ConnectionEnd): boolean {
    if (end.connection.state !== 'SYN_SENT') return false;
    const place = this.#place(end);
    const network = place.networkOf.get(end.connection.local.address);
    if (network === undefined) return false;
    const { local, remote } = end.connection;
    const wire = place.rewrites.get(connectionKey(end.connection))?.wireRemote ?? remote;
    const target = this.#ownerOf(wire.address, network);
    // Between tasks that run on, or with somebody else, it is as it was.
    if (place.live && !target?.restored) return true;
    const [from, to] = [place.presentOn.get(network), target?.presentOn.get(network)];
    if (from === undefined || to === undefined) return false;
    if (place.restored?.proxied === true) return true; // TCP repeats its SYN, and that is for the sidecar
    this.connect(end, { address: from, port: local.port }, { address: to, port: remote.port });
    return true;
  }

  /** The connection ends. In a live task only if its other end was in a task that is being restored. */
  close(end: ConnectionEnd, external = false): void {
    const place = this.#place(end);
    if (place.live && (external || !this.#towardsRestored(place, end))) return;
    place.close.push(end.connection);
    place.rewrites.delete(connectionKey(end.connection));
  }

  #towardsRestored(place: Place, end: ConnectionEnd): boolean {
    const wire = place.rewrites.get(connectionKey(end.connection))?.wireRemote ?? end.connection.remote;
    return [...this.#places.values()].some(
      ({ restored }) => restored?.addresses.some(({ address }) => address === wire.address) ?? false,
    );
  }

  result(): NetworkPlans {
    const plans = new Map<string, NetworkPlan>();
    const live = new Map<string, LivePlan>();
    const former = formerAddresses([...this.#places.values()], this.#input.virtual ?? [], this.#input.taken ?? []);
    for (const [key, place] of this.#places) {
      const led = former(place);
      if (place.restored) plans.set(key, this.#planOf(place, place.restored, led));
      else live.set(key, { rewrites: [...place.rewrites.values()], close: place.close, former: led });
    }
    return { plans, live };
  }

  #planOf(place: Place, task: RestoredTask, former: FormerAddress[]): NetworkPlan {
    const present = new Set(task.newAddresses.map(({ address }) => address));
    // Besides the connections', the addresses at the cut: sockets that are not listed here (UDP) may use them.
    const bound = new Set([
      ...[...task.connections, ...(task.datagrams ?? [])]
        .map(({ local }) => local.address)
        .concat((task.bound ?? []).map(({ local }) => local.address))
        .filter((address) => !isLoopback(address)),
      ...task.addresses.map(({ address }) => address),
    ]);
    const old = [...bound].filter((address) => !present.has(address));
    // Also those that no socket has any more: somebody may remember them.
    const known = new Set([...place.networkOf.keys()].filter((address) => !present.has(address)).slice(-MOST_ALIASES));
    const before = new Map([...task.aliases, ...task.addresses].map((alias) => [alias.address, alias]));
    const aliases = [...before.values()].filter(
      ({ address }) => known.has(address) || (bound.has(address) && !present.has(address)),
    );
    return {
      subnets: [...this.#subnets],
      ownAddresses: old,
      rewrites: [...place.rewrites.values()],
      close: place.close,
      unsent: place.unsent,
      aliases: [...aliases, ...task.newAddresses],
      former,
      bound: (task.bound ?? []).flatMap(({ local, datagrams }) => {
        const wire = place.presentOn.get(place.networkOf.get(local.address) ?? '');
        return wire === undefined || present.has(local.address) ? [] : [{ local, datagrams, wire }];
      }),
    };
  }
}

/** Datagram sockets and connections may have the same ends. */
function rewriteKey(entry: RewriteEntry): string {
  return `${entry.datagrams === true ? 'udp ' : ''}${socketKey(entry)}`;
}

function socketKey(entry: RewriteEntry): string {
  return connectionKey({ local: entry.socketLocal, remote: entry.socketRemote });
}

function same(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
