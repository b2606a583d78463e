import type { Endpoint } from '../../../src/model/connection.ts';
import { connectionKey } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { OpenMessage } from '../../../src/wire/preface.ts';
import { checkCaller, PeerLink, dialPeer } from './peer-link.ts';
import type { PeerAnswer } from './peer-link.ts';
import type { Link } from './link.ts';
import { SocketReader, passingBy } from './listening.ts';
import type { LocalConnection } from './set-contents.ts';
import { KernelSets, SetReader } from './sets.ts';
import type { WantedSets } from './sets.ts';
import { RoundRobin, classOfVip, listeningEnds } from './targets.ts';
import type { Neighbour, Vip } from './targets.ts';
import { reachable, worldWithin } from './world.ts';
import type { World } from './world.ts';

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
const SLOW_RETRY_MS = 5_000;
const BUSY_RETRY_MS = 100;
/** Most calls at once. */
const MAX_CALLS = 64;
/** Somebody whom the agent does not name is called again after so long, and forgotten if he is silent. */
const FORGET_MS = 60_000;
/** An agent tells of the world at once. Without it nobody is taken for a stranger until now. */
const WORLD_GRACE_MS = 3_000;
/** What `world` waits for at most: that all tasks have been asked. */
const SETTLE_MS = 500;

export interface PeersOptions {
  readonly netns: string;
  /** The stack's networks that this task is on, CIDR. Empty: all that the world names. */
  readonly subnets: readonly string[];
  /** The task's addresses there. */
  readonly own: readonly string[];
  /** Those that it had in earlier lives. */
  readonly former: readonly string[];
  readonly key: Uint8Array;
  /** The epoch that the task has reached. */
  readonly epoch: () => number;
  readonly log: (message: string, details: object) => void;
}

interface Entry extends Neighbour {
  state: Neighbour['state'];
  ports: readonly number[];
  /** Addresses that it had in earlier lives. */
  former: readonly string[];
  readonly address: string;
  /** The agent says that it is a task of the stack. */
  own: boolean;
  readonly links: Set<PeerLink>;
  calling: boolean;
  /** When to call (again). Milliseconds of `performance.now()`. */
  callAt: number;
  tries: number;
  changedAt: number;
}

/** What a sidecar says of its neighbours. */
export interface PeersStatus {
  /** Addresses of tasks that it is linked with. */
  readonly peers: readonly string[];
  /** Connections with these that pass by, being older than one of the two sidecars. Still alive. */
  readonly direct: readonly LocalConnection[];
}

/**
 * Knows which addresses are tasks with sidecars of the same stack (peers), and keeps the sets of the rules accordingly. Peer is who has
 * proved it: a link stands ({@link PeerLink}), whoever has called. Whom to call is known from the agent ({@link World}), and from the set
 * `asked` of the rules.
 *
 * An address becomes a peer in three steps, so that no connection is torn: (1) it is no stranger any more, so new connections with it wait,
 * (2) connections that exist are noted as passing by, (3) everything else with it goes through the sidecar. The one who is called answers
 * only after that, so whoever has got the answer may send streams.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #sets: KernelSets;
  readonly #setReader: SetReader;
  readonly #sockets: SocketReader;
  readonly #entries = new Map<string, Entry>();
  /** Addresses (of tasks and virtual ones) whose connections go through the sidecar. */
  readonly #carried = new Set<string>();
  /** Those in step 1. */
  readonly #gated = new Set<string>();
  readonly #direct = new Map<string, LocalConnection>();
  readonly #turns = new RoundRobin();
  readonly #startedAt = performance.now();
  #subnets: readonly string[];
  #world: World | undefined;
  #ports: ReadonlyMap<string, readonly number[]> = new Map();
  #portsText = '';
  #livelyAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #directAt = 0;
  #settled: (() => void)[] = [];
  #lastFault = '';

  /** @throws SystemCallError when the namespace is gone */
  constructor(options: PeersOptions) {
    this.#options = options;
    this.#subnets = options.subnets;
    this.#sets = new KernelSets(options.netns, options.log);
    this.#setReader = new SetReader(options.netns);
    this.#sockets = new SocketReader(options.netns);
  }

  /** Takes over what a former sidecar of the task has left in the sets. When this resolves nothing unknown passes by any more. */
  async start(): Promise<void> {
    // Connections with its peers that are not noted as passing by were its own: they must get their reset.
    for (const address of this.#setReader.addresses('peers')) {
      this.#carried.add(address);
      this.#entry(address).state = 'lost';
    }
    for (const connection of this.#setReader.connections('direct'))
      this.#direct.set(connectionKey(connection), connection);
    this.#look();
    if (this.#subnets.length > 0) await this.#sync();
  }

  /** Resolves when all tasks of the stack have been asked once, or after half a second. */
  async world(world: World): Promise<void> {
    if (this.#options.subnets.length === 0) this.#subnets = world.subnets;
    const mine = worldWithin(world, this.#subnets);
    this.#world = mine;
    const tasks = new Set(mine.tasks.filter(({ own }) => own).map(({ address }) => address));
    for (const address of this.#options.own) tasks.delete(address);
    for (const address of tasks) this.#entry(address).own = true;
    for (const { address } of mine.vips) this.#entries.delete(address);
    for (const entry of this.#entries.values()) {
      if (tasks.has(entry.address)) continue;
      entry.own = false;
      if (entry.state === 'unknown' || entry.state === 'stranger') this.#entries.delete(entry.address);
    }
    this.#call();
    await this.#carry([]);
    await this.#settle();
  }

  /** Another sidecar has called with role `peer`, and its OPEN is right. Never rejects. */
  async accept(
    link: Link,
    open: OpenMessage,
    early: Buffer,
    answer: (status: PeerAnswer) => Uint8Array,
  ): Promise<void> {
    try {
      checkCaller(link, open);
      const { address } = open.client;
      if (!reachable(this.#subnets)(address) || this.#options.own.includes(address)) {
        link.write(answer(this.#subnets.length === 0 ? 'busy' : 'refused'));
        link.end();
        return;
      }
      const entry = this.#entry(address);
      entry.callAt = Math.max(entry.callAt, performance.now() + BUSY_RETRY_MS); // it is calling
      await this.#carry([address]);
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
    if (!this.#carried.has(address)) await this.#carry([address]);
  }

  /** The task that a captured connection is for. Undefined: nobody listens there any more. */
  target(server: Endpoint): Endpoint | undefined {
    // A task that is linked; neither virtual nor former addresses are. Nearly all connections are for one.
    if ((this.#entries.get(server.address)?.links.size ?? 0) > 0) return server;
    const vip = this.#vips().find(({ address }) => address === server.address);
    return vip ? this.#turns.choose(vip, server.port, this.#entries) : server;
  }

  status(): PeersStatus {
    if (this.#direct.size > 0) this.#pruneDirect();
    return { peers: this.#linkedAddresses(), direct: [...this.#direct.values()] };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#sets.close();
    for (const entry of this.#entries.values()) for (const link of entry.links) link.close();
    this.#setReader.close();
    this.#sockets.close();
  }

  #linkedAddresses(): string[] {
    return [...this.#entries.values()].filter(({ links }) => links.size > 0).map(({ address }) => address);
  }

  #entry(address: string): Entry {
    let entry = this.#entries.get(address);
    if (!entry) {
      entry = {
        address,
        state: 'unknown',
        ports: [],
        former: [],
        own: false,
        links: new Set(),
        calling: false,
        callAt: 0,
        tries: 0,
        changedAt: performance.now(),
      };
      this.#entries.set(address, entry);
    }
    return entry;
  }

  /** Everything that is looked at rather than told. Again and again. */
  #look(): void {
    try {
      const ports = this.#sockets.listening(this.#options.own);
      const text = JSON.stringify([...ports]);
      if (text !== this.#portsText) this.#livelyAt = performance.now();
      this.#portsText = text;
      this.#ports = ports;
      for (const { links } of this.#entries.values()) for (const link of links) this.#say(link);
      for (const address of this.#setReader.addresses('asked')) this.#asked(address);
      if (this.#direct.size > 0 && performance.now() - this.#directAt > DIRECT_MS && this.#pruneDirect())
        this.#background(this.#sync());
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
    if (this.#entries.has(address) || this.#options.own.includes(address)) return;
    if (this.#options.former.includes(address)) return;
    if (this.#vips().some((vip) => vip.address === address)) return;
    this.#entry(address);
    this.#livelyAt = performance.now();
  }

  /** Calls all whose time has come. */
  #call(): void {
    let calls = [...this.#entries.values()].filter(({ calling }) => calling).length;
    const now = performance.now();
    for (const entry of this.#entries.values()) {
      if (calls >= MAX_CALLS) return;
      if (entry.calling || entry.links.size > 0 || entry.callAt > now) continue;
      calls += 1;
      this.#background(this.#callOne(entry));
    }
  }

  async #callOne(entry: Entry): Promise<void> {
    const { netns, key, epoch } = this.#options;
    entry.calling = true;
    entry.tries += 1;
    const result = await dialPeer({ netns, key, epoch: epoch() }, entry.address);
    entry.calling = false;
    entry.callAt = performance.now() + (entry.tries <= EAGER_TRIES ? RETRY_MS : SLOW_RETRY_MS);
    if (result.kind === 'linked') {
      if (this.#closed) {
        result.link.reset();
        return;
      }
      const link = this.#linkOf(entry, result.link, result.early);
      await this.#carry([entry.address]);
      this.#stand(entry, link);
    } else if (result.kind === 'busy') {
      entry.callAt = performance.now() + BUSY_RETRY_MS;
    } else if (this.#entries.get(entry.address) !== entry) {
      // Forgotten meanwhile: the world says that this is a virtual address, or nobody's.
    } else if (entry.links.size === 0 && this.#mayJudge()) {
      this.#judge(entry, result.kind, result.reason);
    }
    this.#wakeSettled();
  }

  /** Before the agent has spoken, a virtual address looks like a stranger. */
  #mayJudge(): boolean {
    return this.#world !== undefined || performance.now() - this.#startedAt > WORLD_GRACE_MS;
  }

  /** It has no sidecar, as far as can be seen. */
  #judge(entry: Entry, kind: 'stranger' | 'silent', reason: string): void {
    // The engine names a task that is gone; it lives on at another address.
    if (this.#vips().some(({ address }) => address === entry.address)) return;
    // A peer that does not answer may still hold streams; only who refuses has certainly none.
    if (entry.state === 'lost' && kind === 'silent') return;
    if (!entry.own) entry.callAt = performance.now() + FORGET_MS;
    if (entry.state === 'stranger') {
      if (!entry.own && kind === 'silent') this.#entries.delete(entry.address);
      return;
    }
    entry.state = 'stranger';
    entry.changedAt = performance.now();
    this.#carried.delete(entry.address);
    if (entry.own) this.#options.log('a task of the stack has no sidecar', { address: entry.address, reason });
    this.#background(this.#sync());
  }

  #linkOf(entry: Entry, link: Link, early: Buffer): PeerLink {
    return new PeerLink(link, early, {
      news: (_link, { ports, former }) => {
        entry.ports = ports;
        entry.former = former.filter(reachable(this.#subnets));
        // Virtual addresses with a first task behind them are among what is carried from now on.
        if (entry.links.size > 0) this.#background(this.#carry([]));
      },
      closed: (closed) => this.#lose(entry, closed),
    });
  }

  #stand(entry: Entry, link: PeerLink): void {
    if (link.gone) return;
    this.#entries.set(entry.address, entry); // it may have been forgotten meanwhile
    entry.links.add(link);
    entry.state = 'peer';
    entry.tries = 0;
    entry.changedAt = this.#livelyAt = performance.now();
    this.#say(link);
    this.#options.log('a peer', { address: entry.address, links: entry.links.size });
    this.#wakeSettled();
    this.#background(this.#carry([]));
  }

  #lose(entry: Entry, link: PeerLink): void {
    if (!entry.links.delete(link) || entry.links.size > 0 || this.#closed) return;
    entry.state = 'lost';
    entry.ports = [];
    entry.callAt = 0;
    entry.changedAt = this.#livelyAt = performance.now();
    this.#options.log('a peer is lost', { address: entry.address });
    this.#background(this.#sync());
    this.#call();
  }

  /** The three steps, for these addresses and for the virtual ones that now have a peer behind them. */
  async #carry(addresses: readonly string[]): Promise<void> {
    const vips = this.#vips()
      .filter((vip) => this.#classOf(vip.backends, addresses) === 'peer')
      .map((vip) => vip.address);
    const fresh = new Set([...addresses, ...vips].filter((address) => !this.#carried.has(address)));
    if (fresh.size > 0) {
      for (const address of fresh) this.#gated.add(address);
      await this.#sync();
      for (const connection of passingBy(this.#sockets.connections(), fresh))
        this.#direct.set(connectionKey(connection), connection);
      for (const address of fresh) {
        this.#gated.delete(address);
        this.#carried.add(address);
        const entry = this.#entries.get(address);
        // Not a peer before a link stands, and no stranger any more.
        if (entry?.links.size === 0) entry.state = 'lost';
      }
    }
    await this.#sync();
  }

  #say(link: PeerLink): void {
    link.say({ ports: this.#ports.get(link.own) ?? [], former: this.#options.former });
  }

  /**
   * Virtual addresses, and those that a task had in an earlier life and whose sidecar is gone: it is their one backend. Engines name a task
   * for seconds after its end.
   */
  #vips(): Vip[] {
    const vips: Vip[] = [...(this.#world?.vips ?? [])];
    const others = (this.#world?.tasks ?? []).filter(({ own }) => !own);
    const taken = new Set([
      ...this.#options.own,
      ...vips.map(({ address }) => address),
      ...others.map(({ address }) => address),
      ...this.#linkedAddresses(),
    ]);
    // Who has come last had it last.
    for (const { address, former } of [...this.#entries.values()].reverse()) {
      for (const old of former.filter((one) => !taken.has(one))) {
        taken.add(old);
        vips.push({ address: old, backends: [address] });
      }
    }
    return vips;
  }

  #classOf(backends: readonly string[], becoming: readonly string[] = []): ReturnType<typeof classOfVip> {
    const others = backends.filter((address) => !this.#options.own.includes(address));
    if (others.some((address) => becoming.includes(address))) return 'peer';
    return classOfVip(others.map((address) => this.#entries.get(address)));
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#closed) this.#options.log('a neighbour could not be looked after', { error: messageOf(error) });
    });
  }

  #sync(): Promise<void> {
    return this.#sets.want(this.#wanted());
  }

  #wanted(): WantedSets {
    const vips = this.#vips();
    const entries = [...this.#entries.values()];
    const classes = new Map(vips.map(({ address, backends }) => [address, this.#classOf(backends)]));
    for (const address of this.#carried) {
      const state = this.#entries.get(address)?.state;
      const vip = classes.get(address);
      if (state !== 'peer' && state !== 'lost' && (vip === undefined || vip === 'stranger'))
        this.#carried.delete(address);
    }
    const carriedVips = vips.filter(({ address }) => this.#carried.has(address));
    const live = carriedVips.filter(({ backends }) =>
      backends.some((task) => this.#entries.get(task)?.state === 'peer'),
    );
    const strangers = [
      ...this.#options.own,
      ...(this.#world?.tasks ?? []).filter(({ own }) => !own).map(({ address }) => address),
      ...(this.#world?.strangers ?? []),
      ...entries.filter(({ state }) => state === 'stranger').map(({ address }) => address),
      ...[...classes].filter(([, kind]) => kind === 'stranger').map(([address]) => address),
    ];
    return {
      subnets: this.#subnets,
      peers: [...this.#carried],
      vips: live.map(({ address }) => address),
      waiting: carriedVips.filter((vip) => !live.includes(vip)).map(({ address }) => address),
      strangers: strangers.filter((address) => !this.#carried.has(address) && !this.#gated.has(address)),
      listening: listeningEnds(this.#entries, carriedVips).filter(({ address }) => this.#carried.has(address)),
      direct: [...this.#direct.values()],
    };
  }

  /** @returns whether one has ended */
  #pruneDirect(): boolean {
    this.#directAt = performance.now();
    const alive = new Set(this.#sockets.connections().map(connectionKey));
    const ended = [...this.#direct.keys()].filter((key) => !alive.has(key));
    for (const key of ended) this.#direct.delete(key);
    return ended.length > 0;
  }

  /** Peers that do not come back, and are no longer tasks of the stack, are forgotten. */
  #forget(): void {
    const before = performance.now() - FORGET_MS;
    for (const entry of this.#entries.values()) {
      if (entry.own || entry.state !== 'lost' || entry.calling || entry.changedAt > before) continue;
      this.#entries.delete(entry.address);
      this.#background(this.#sync());
    }
  }

  /** All tasks of the stack have been asked at least once. */
  async #settle(): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SETTLE_MS);
      this.#settled.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#wakeSettled();
    await settled;
    await this.#sync();
  }

  #wakeSettled(): void {
    for (const { own, state } of this.#entries.values()) if (own && state === 'unknown') return;
    for (const wake of this.#settled.splice(0)) wake();
  }
}
