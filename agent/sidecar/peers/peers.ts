import type { Endpoint } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { OpenMessage } from '../../../src/streams/wire/preface.ts';
import { InterceptionPolicy } from '../capture/interception-policy.ts';
import { DirectConnections } from '../capture/direct.ts';
import type { Link } from '../sockets/link.ts';
import { SocketReader } from '../capture/listening.ts';
import { Neighbours } from './neighbours.ts';
import type { NeighbourEntry } from './neighbours.ts';
import { checkCaller, PeerLink, dialPeer } from './peer-link.ts';
import type { DialResult, PeerAnswer } from './peer-link.ts';
import { Doubts } from './doubts.ts';
import { Settling } from './settling.ts';
import type { Tunnels } from '../sockets/tunnels.ts';
import type { LocalConnection } from '../../linux/proxy-sets.ts';
import { SetReader } from '../capture/sets.ts';
import { RoundRobin } from '../capture/targets.ts';
import { reachable } from '../../../src/rpc/control/network-view.ts';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';

/**
 * How often it is looked what listens here and who has been asked for: while something changes, and otherwise. A look takes about 0.7 ms of
 * CPU time in a process that has slept.
 */
const LIVELY_TICK_MS = 100;
const QUIET_TICK_MS = 250;
/** For so long after a change it is looked more often: a task that starts, most of all. */
const LIVELY_MS = 10_000;
/** How often it is looked whether connections that pass by are still alive. */
const DIRECT_MS = 2_000;
/** A task of the stack that has not answered is called again; after a while less often: one that gets a sidecar calls by itself. */
const RETRY_MS = 1_000;
const EAGER_TRIES = 10;
/** So many calls may be taken by a kernel and answered by nobody. */
const UNANSWERED_TRIES = 4;
const SLOW_RETRY_MS = 5_000;
const BUSY_RETRY_MS = 100;
/** Most calls at once. */
const MAX_CALLS = 64;
/** Somebody whom the agent does not name is called again after so long, and forgotten if he is silent. */
const FORGET_MS = 60_000;
/** An agent tells of the networks at once, or as soon as it has a processor. Without it nobody is taken for a non-peer until now. */
const VIEW_GRACE_MS = 15_000;

export interface PeersOptions {
  readonly netns: string;
  /** The stack's networks that this task is on, CIDR. Empty: all that the network view names. */
  readonly subnets: readonly string[];
  /** The task's addresses there. */
  readonly own: readonly string[];
  /** Those that it had before. */
  readonly previousAddresses: readonly string[];
  readonly key: Uint8Array;
  /** The epoch that the task has reached. */
  readonly epoch: () => number;
  /** What must end when another sidecar is gone. */
  readonly tunnels: Tunnels;
  readonly log: (message: string, details: object) => void;
}

/** What a sidecar says of its neighbours. */
export interface PeersStatus {
  /** Addresses of tasks that it is linked with. */
  readonly peers: readonly string[];
  /** Connections with these that pass by, being older than one of the two sidecars. Still alive. */
  readonly direct: readonly LocalConnection[];
}

/**
 * Knows which addresses are tasks with sidecars of the same stack (peers). Peer is who has proved it: a link stands ({@link PeerLink}),
 * whoever has called. Whom to call is known from the agent ({@link NetworkView}), and from the set `asked` of the rules.
 *
 * The one who is called answers only when connections between the two go through his sidecar ({@link InterceptionPolicy}), so whoever has got the
 * answer may send streams.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #setReader: SetReader;
  readonly #sockets: SocketReader;
  readonly #neighbours: Neighbours;
  readonly #direct: DirectConnections;
  readonly #policy: InterceptionPolicy;
  readonly #settling: Settling;
  readonly #doubts: Doubts;
  readonly #turns = new RoundRobin();
  readonly #startedAt = performance.now();
  #ports: ReadonlyMap<string, readonly number[]> = new Map();
  #portsText = '';
  #livelyAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #lastFault = '';

  /** @throws SystemCallError when the namespace is gone */
  constructor(options: PeersOptions) {
    this.#options = options;
    this.#setReader = new SetReader(options.netns);
    this.#sockets = new SocketReader(options.netns);
    this.#neighbours = new Neighbours(options.own, options.subnets);
    this.#direct = new DirectConnections(this.#sockets);
    this.#policy = new InterceptionPolicy(options, this.#neighbours, this.#direct);
    this.#settling = new Settling(this.#neighbours);
    this.#doubts = new Doubts({
      acknowledged: (address, withinMs) => this.#neighbours.acknowledged(address, withinMs),
      dial: (address) => this.#dial(this.#neighbours.entry(address)),
      vouchedFor: (address) => this.#neighbours.vouchedFor(address),
      alive: (address) => options.tunnels.probe(address),
      gone: (address, beforeMs, reason) => this.#end(address, beforeMs, reason),
    });
  }

  /** Takes over what a former sidecar of the task has left in the sets. When this resolves nothing unknown passes by any more. */
  async start(): Promise<void> {
    this.#policy.takeOver(this.#setReader);
    this.#look();
    if (this.#neighbours.subnets.length > 0) await this.#policy.sync();
  }

  /** Resolves when all tasks of the stack have been asked once, or after half a second. */
  async networkView(view: NetworkView): Promise<void> {
    const changed = new Set(this.#neighbours.tell(view));
    for (const address of this.#options.tunnels.addresses)
      if (changed.has(address) || !this.#neighbours.names(address)) this.#doubt(address);
    this.#call();
    await this.#policy.carry([]);
    await this.#settling.wait();
    await this.#policy.sync();
  }

  /** Another sidecar has called with role `peer`, and its OPEN is right. Never rejects. */
  async accept(
    link: Link,
    open: Pick<OpenMessage, 'client' | 'server'>,
    early: Buffer,
    answer: (status: PeerAnswer) => Uint8Array,
  ): Promise<void> {
    try {
      checkCaller(link, open);
      const { address } = open.client;
      const { subnets } = this.#neighbours;
      if (!reachable(subnets)(address) || this.#options.own.includes(address)) {
        link.write(answer(subnets.length === 0 ? 'busy' : 'refused'));
        link.end();
        return;
      }
      const entry = this.#neighbours.entry(address);
      entry.callAt = Math.max(entry.callAt, performance.now() + BUSY_RETRY_MS); // it is calling
      await this.#policy.carry([address]);
      if (link.gone) return;
      link.write(answer('accepted'));
      this.#stand(entry, this.#linkOf(entry, link, early));
    } catch (error) {
      this.#options.log('a link was refused', { error: messageOf(error) });
      link.reset();
    }
  }

  /** A stream from this address comes in: its answers must go through the sidecar, too. */
  async admit(address: string): Promise<void> {
    if (!this.#policy.has(address)) await this.#policy.carry([address]);
  }

  /** The task that a captured connection is for. Undefined: nobody listens there any more. */
  target(server: Endpoint): Endpoint | undefined {
    // A task that is linked; neither virtual nor previous addresses are. Nearly all connections are for one.
    if ((this.#neighbours.entries.get(server.address)?.links.size ?? 0) > 0) return server;
    const vip = this.#neighbours.vips().find(({ address }) => address === server.address);
    return vip ? this.#turns.choose(vip, server.port, this.#neighbours.entries) : server;
  }

  /**
   * Every sidecar with which there are tunnels has answered just now, or is known to be gone, and its tunnels end.
   * @returns those of which neither is known in time, for people
   */
  async check(withinMs: number): Promise<string[]> {
    const { tunnels } = this.#options;
    for (const address of tunnels.addresses) tunnels.dropIdle(address);
    const unknown = await this.#doubts.check(tunnels.addresses, withinMs);
    return unknown.map((address) => this.who(address));
  }

  /** Whose address this is, for people. */
  who(address: string): string {
    return `${this.#neighbours.entries.get(address)?.service ?? 'the task'} at ${address}`;
  }

  status(): PeersStatus {
    if (this.#direct.any) this.#direct.prune();
    return { peers: this.#neighbours.linked, direct: this.#direct.all };
  }

  close(): void {
    this.#closed = true;
    this.#doubts.close();
    clearTimeout(this.#timer);
    this.#policy.close();
    for (const entry of this.#neighbours.entries.values()) for (const link of entry.links) link.close();
    this.#setReader.close();
    this.#sockets.close();
  }

  /** Everything that is looked at rather than told. Again and again. */
  #look(): void {
    try {
      const ports = this.#sockets.listening(this.#options.own);
      const text = JSON.stringify([...ports]);
      if (text !== this.#portsText) this.#livelyAt = performance.now();
      this.#portsText = text;
      this.#ports = ports;
      for (const { links } of this.#neighbours.entries.values()) for (const link of links) this.#say(link);
      for (const address of this.#setReader.addresses('asked')) this.#asked(address);
      if (this.#direct.any && performance.now() - this.#direct.prunedAt > DIRECT_MS && this.#direct.prune())
        this.#background(this.#policy.sync());
      this.#forget();
      this.#call();
      this.#lastFault = '';
    } catch (error) {
      const fault = messageOf(error);
      if (fault !== this.#lastFault) this.#options.log('cannot look at the task’s sockets', { error: fault });
      this.#lastFault = fault;
    }
    const lively = performance.now() - this.#livelyAt < LIVELY_MS;
    this.#timer = setTimeout(() => this.#look(), lively ? LIVELY_TICK_MS : QUIET_TICK_MS);
  }

  /** A connection to or from this address waits. */
  #asked(address: string): void {
    if (this.#neighbours.entries.has(address) || this.#options.own.includes(address)) return;
    if (this.#options.previousAddresses.includes(address)) return;
    if (this.#neighbours.vips().some((vip) => vip.address === address)) return;
    this.#neighbours.entry(address);
    this.#livelyAt = performance.now();
  }

  /** Calls all whose time has come. */
  #call(): void {
    let calls = [...this.#neighbours.entries.values()].filter(({ calling }) => calling).length;
    const now = performance.now();
    for (const entry of this.#neighbours.entries.values()) {
      if (calls >= MAX_CALLS) return;
      if (entry.calling || entry.links.size > 0 || entry.callAt > now) continue;
      calls += 1;
      this.#background(this.#callOne(entry));
    }
  }

  async #callOne(entry: NeighbourEntry): Promise<void> {
    entry.calling = true;
    entry.tries += 1;
    const result = await this.#dial(entry);
    entry.calling = false;
    entry.callAt = performance.now() + (entry.tries <= EAGER_TRIES ? RETRY_MS : SLOW_RETRY_MS);
    if (result.kind === 'linked') {
      // It stands.
    } else if (result.kind === 'busy') {
      entry.callAt = performance.now() + BUSY_RETRY_MS;
    } else if (this.#neighbours.entries.get(entry.address) !== entry) {
      // Forgotten meanwhile: the network view says that this is a virtual address, or nobody's.
    } else if (entry.links.size === 0 && this.#mayJudge() && !slow(result, entry.tries)) {
      this.#judge(entry, result.kind, result.reason);
    }
    this.#settling.look();
  }

  /** Calls it. A link that comes of it stands when this resolves. */
  async #dial(entry: NeighbourEntry): Promise<DialResult> {
    const { netns, key, epoch } = this.#options;
    const result = await dialPeer({ netns, key, epoch: epoch() }, entry.address);
    if (result.kind !== 'linked') return result;
    if (this.#closed) {
      result.link.reset();
      return result;
    }
    const link = this.#linkOf(entry, result.link, result.early);
    await this.#policy.carry([entry.address]);
    this.#stand(entry, link);
    return result;
  }

  /** Before the agent has spoken, a virtual address looks like a non-peer. */
  #mayJudge(): boolean {
    return this.#neighbours.view !== undefined || performance.now() - this.#startedAt > VIEW_GRACE_MS;
  }

  /** It has no sidecar, as far as can be seen. */
  #judge(entry: NeighbourEntry, kind: 'non-peer' | 'silent', reason: string): void {
    // The engine names a task that is gone; it lives on at another address.
    if (this.#neighbours.vips().some(({ address }) => address === entry.address)) return;
    // A peer that does not answer may still hold streams; only who refuses has certainly none.
    if (entry.state === 'lost' && kind === 'silent') return;
    if (!entry.own) entry.callAt = performance.now() + FORGET_MS;
    if (entry.state === 'non-peer') {
      if (!entry.own && kind === 'silent') this.#neighbours.forget(entry);
      return;
    }
    entry.state = 'non-peer';
    entry.changedAt = performance.now();
    this.#policy.drop(entry.address);
    if (entry.own) this.#options.log('a task of the stack has no sidecar', { address: entry.address, reason });
    this.#background(this.#policy.sync());
  }

  #linkOf(entry: NeighbourEntry, link: Link, early: Buffer): PeerLink {
    return new PeerLink(link, early, {
      news: (_link, { ports, previousAddresses }) => {
        entry.ports = ports;
        entry.previousAddresses = previousAddresses.filter(reachable(this.#neighbours.subnets));
        // Virtual addresses with a first task behind them are among what is carried from now on.
        if (entry.links.size > 0) this.#background(this.#policy.carry([]));
      },
      closed: (closed) => this.#lose(entry, closed),
    });
  }

  #stand(entry: NeighbourEntry, link: PeerLink): void {
    if (link.gone) return;
    this.#neighbours.keep(entry);
    entry.links.add(link);
    entry.state = 'peer';
    entry.tries = 0;
    entry.changedAt = this.#livelyAt = performance.now();
    this.#say(link);
    this.#options.tunnels.probe(entry.address); // older ones may be with a sidecar that was there before
    this.#options.log('a peer', { address: entry.address, links: entry.links.size });
    this.#settling.look();
    this.#background(this.#policy.carry([]));
  }

  #lose(entry: NeighbourEntry, link: PeerLink): void {
    if (!entry.links.delete(link) || entry.links.size > 0 || this.#closed) return;
    entry.state = 'lost';
    entry.ports = [];
    entry.callAt = 0;
    entry.changedAt = this.#livelyAt = performance.now();
    this.#options.log('a peer is lost', { address: entry.address });
    this.#background(this.#policy.sync());
    this.#doubt(entry.address);
    this.#call();
  }

  /** The sidecar there may be gone. */
  #doubt(address: string): void {
    const { tunnels } = this.#options;
    tunnels.dropIdle(address);
    if (tunnels.has(address)) void this.#doubts.raise(address);
  }

  /** The sidecar that was there is gone. */
  #end(address: string, beforeMs: number, reason: string): void {
    const who = this.who(address);
    this.#options.log('a peer is gone', { address, task: who, reason });
    this.#options.tunnels.abandon(address, beforeMs, `${who} is gone: ${reason}`);
    for (const link of this.#neighbours.entries.get(address)?.links ?? []) link.close();
  }

  #say(link: PeerLink): void {
    link.say({ ports: this.#ports.get(link.own) ?? [], previousAddresses: this.#options.previousAddresses });
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#closed) this.#options.log('a neighbour could not be looked after', { error: messageOf(error) });
    });
  }

  /** Peers that do not come back, and are no longer tasks of the stack, are forgotten. */
  #forget(): void {
    const before = performance.now() - FORGET_MS;
    for (const entry of this.#neighbours.entries.values()) {
      if (entry.own || entry.state !== 'lost' || entry.calling || entry.changedAt > before) continue;
      this.#neighbours.forget(entry);
      this.#background(this.#policy.sync());
    }
  }
}

/** It is there, or may be: it only does not come to answer. Not for ever, or a stranger's server could keep connections waiting. */
function slow(result: DialResult, tries: number): boolean {
  if (result.kind !== 'silent') return false;
  return result.connected ? tries <= UNANSWERED_TRIES : result.local && tries <= EAGER_TRIES;
}
