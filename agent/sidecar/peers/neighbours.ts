import type { Neighbour, Vip } from '../capture/targets.ts';
import { classOfVip } from '../capture/targets.ts';
import type { PeerLink } from './peer-link.ts';
import { viewWithin } from '../../../src/rpc/control/network-view.ts';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';

/** What is known of one address. */
export interface NeighbourEntry extends Neighbour {
  state: Neighbour['state'];
  ports: readonly number[];
  /** Addresses that it had before. */
  previousAddresses: readonly string[];
  readonly address: string;
  /** The agent says that it is a task of the stack. */
  own: boolean;
  /** Whose task it is, as the agent has said last. */
  service: string | undefined;
  readonly links: Set<PeerLink>;
  calling: boolean;
  /** When to call (again). Milliseconds of `performance.now()`. */
  callAt: number;
  tries: number;
  changedAt: number;
}

/** Whoever has been heard of on the stack's networks, by address: from the agent ({@link NetworkView}), by a call, or from the rules. */
export class Neighbours {
  readonly #own: readonly string[];
  /** The networks that it was told at the beginning. */
  readonly #given: readonly string[];
  #subnets: readonly string[];
  #view: NetworkView | undefined;
  readonly #entries = new Map<string, NeighbourEntry>();

  /**
   * @param own this task's addresses
   * @param subnets the stack's networks that it is on, CIDR. Empty: all that the network view names
   */
  constructor(own: readonly string[], subnets: readonly string[]) {
    this.#own = own;
    this.#given = this.#subnets = subnets;
  }

  /** The stack's networks, CIDR. */
  get subnets(): readonly string[] {
    return this.#subnets;
  }

  /** What the agent has said last, as far as it can be reached from here. */
  get view(): NetworkView | undefined {
    return this.#view;
  }

  get entries(): ReadonlyMap<string, NeighbourEntry> {
    return this.#entries;
  }

  /** Addresses of those with whom a link stands. */
  get linked(): string[] {
    return [...this.#entries.values()].filter(({ links }) => links.size > 0).map(({ address }) => address);
  }

  /** The entry of this address, a new one if nothing was known of it. */
  entry(address: string): NeighbourEntry {
    let entry = this.#entries.get(address);
    if (!entry) {
      entry = {
        address,
        state: 'unknown',
        ports: [],
        previousAddresses: [],
        own: false,
        service: undefined,
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

  /** Enters it again: it may have been forgotten meanwhile. */
  keep(entry: NeighbourEntry): void {
    this.#entries.set(entry.address, entry);
  }

  forget({ address }: NeighbourEntry): void {
    this.#entries.delete(address);
  }

  /**
   * What the agent says: its tasks are entered; others with whom there was no link are forgotten.
   * @returns addresses that have become another service's
   */
  tell(view: NetworkView): string[] {
    if (this.#given.length === 0) this.#subnets = view.subnets;
    const mine = viewWithin(view, this.#subnets);
    this.#view = mine;
    const tasks = new Map(mine.tasks.filter(({ own }) => own).map(({ address, service }) => [address, service]));
    for (const address of this.#own) tasks.delete(address);
    const changed: string[] = [];
    for (const [address, service] of tasks) {
      const entry = this.entry(address);
      if (entry.service !== undefined && entry.service !== service) changed.push(address);
      entry.own = true;
      entry.service = service;
    }
    for (const { address } of mine.vips) this.#entries.delete(address);
    for (const entry of this.#entries.values()) {
      if (tasks.has(entry.address)) continue;
      entry.own = false;
      if (entry.state === 'unknown' || entry.state === 'non-peer') this.#entries.delete(entry.address);
    }
    return changed;
  }

  /** The agent says that a task of the stack has this address, or it has said nothing at all. */
  names(address: string): boolean {
    return this.#view === undefined || this.#entries.get(address)?.own === true;
  }

  /** A link with it stands, and the agent names it. */
  vouchedFor(address: string): boolean {
    return (this.#entries.get(address)?.links.size ?? 0) > 0 && this.names(address);
  }

  /** As PeerLink.acknowledges, by any link with this address. Undefined when there is none (any more). */
  async acknowledged(address: string, withinMs: number): Promise<boolean | undefined> {
    const links = [...(this.#entries.get(address)?.links ?? [])];
    const answers = await Promise.all(links.map((link) => link.acknowledges(withinMs)));
    if (answers.includes(true)) return true;
    return links.every(({ gone }) => gone) ? undefined : false;
  }

  /**
   * Virtual addresses, and those that a task had before and whose sidecar is gone: it is their one backend. Engines name a task
   * for seconds after its end.
   */
  vips(): Vip[] {
    const vips: Vip[] = [...(this.#view?.vips ?? [])];
    const others = (this.#view?.tasks ?? []).filter(({ own }) => !own);
    const taken = new Set([
      ...this.#own,
      ...vips.map(({ address }) => address),
      ...others.map(({ address }) => address),
      ...this.linked,
    ]);
    // Who has come last had it last.
    for (const { address, previousAddresses } of [...this.#entries.values()].reverse()) {
      for (const old of previousAddresses.filter((one) => !taken.has(one))) {
        taken.add(old);
        vips.push({ address: old, backends: [address] });
      }
    }
    return vips;
  }

  /** As {@link classOfVip}. @param becoming those that are about to be peers */
  classOf({ backends }: Vip, becoming: readonly string[] = []): ReturnType<typeof classOfVip> {
    const others = backends.filter((address) => !this.#own.includes(address));
    if (others.some((address) => becoming.includes(address))) return 'peer';
    return classOfVip(others.map((address) => this.#entries.get(address)));
  }
}
