import type { DirectConnections } from './direct.ts';
import type { Neighbours } from '../peers/neighbours.ts';
import { KernelSets } from './sets.ts';
import type { SetReader, WantedSets } from './sets.ts';
import { listeningEnds } from './targets.ts';

export interface InterceptionPolicyOptions {
  readonly netns: string;
  /** The task's addresses. */
  readonly own: readonly string[];
  readonly log: (message: string, details: object) => void;
}

/**
 * Decides for which addresses (of tasks and virtual ones) connections go through the sidecar, and keeps the sets of the rules accordingly.
 *
 * An address becomes one of these in three steps, so that no connection is torn: (1) it is no non-peer any more, so new connections with it
 * wait, (2) connections that exist are noted as passing by, (3) everything else with it goes through the sidecar.
 */
export class InterceptionPolicy {
  readonly #own: readonly string[];
  readonly #neighbours: Neighbours;
  readonly #direct: DirectConnections;
  readonly #sets: KernelSets;
  /** Addresses whose connections go through the sidecar. */
  readonly #carried = new Set<string>();
  /** Those in step 1. */
  readonly #gated = new Set<string>();

  constructor({ netns, own, log }: InterceptionPolicyOptions, neighbours: Neighbours, direct: DirectConnections) {
    this.#own = own;
    this.#neighbours = neighbours;
    this.#direct = direct;
    this.#sets = new KernelSets(netns, log);
  }

  /** Goes on with what a former sidecar of the task has left in the sets. */
  takeOver(left: SetReader): void {
    // Connections with its peers that are not noted as passing by were its own: they must get their reset.
    for (const address of left.addresses('peers')) {
      this.#carried.add(address);
      this.#neighbours.entry(address).state = 'lost';
    }
    this.#direct.takeOver(left.connections('direct'));
  }

  has(address: string): boolean {
    return this.#carried.has(address);
  }

  /** The three steps, for these addresses and for the virtual ones that now have a peer behind them. */
  async carry(addresses: readonly string[]): Promise<void> {
    const vips = this.#neighbours
      .vips()
      .filter((vip) => this.#neighbours.classOf(vip, addresses) === 'peer')
      .map((vip) => vip.address);
    const fresh = new Set([...addresses, ...vips].filter((address) => !this.#carried.has(address)));
    if (fresh.size > 0) {
      for (const address of fresh) this.#gated.add(address);
      await this.sync();
      this.#direct.note(fresh);
      for (const address of fresh) {
        this.#gated.delete(address);
        this.#carried.add(address);
        const entry = this.#neighbours.entries.get(address);
        // Not a peer before a link stands, and no non-peer any more.
        if (entry?.links.size === 0) entry.state = 'lost';
      }
    }
    await this.sync();
  }

  /** It is a non-peer after all: its connections pass by, from the next {@link sync} on. */
  drop(address: string): void {
    this.#carried.delete(address);
  }

  /** Resolves when the sets are as what is known now demands. */
  sync(): Promise<void> {
    return this.#sets.want(this.#wanted());
  }

  close(): void {
    this.#sets.close();
  }

  #wanted(): WantedSets {
    const { entries, subnets, view } = this.#neighbours;
    const vips = this.#neighbours.vips();
    const classes = new Map(vips.map((vip) => [vip.address, this.#neighbours.classOf(vip)]));
    for (const address of this.#carried) {
      const state = entries.get(address)?.state;
      const vip = classes.get(address);
      if (state !== 'peer' && state !== 'lost' && (vip === undefined || vip === 'non-peer'))
        this.#carried.delete(address);
    }
    const carriedVips = vips.filter(({ address }) => this.#carried.has(address));
    const live = carriedVips.filter(({ backends }) => backends.some((task) => entries.get(task)?.state === 'peer'));
    const nonPeers = [
      ...this.#own,
      ...(view?.tasks ?? []).filter(({ own }) => !own).map(({ address }) => address),
      ...(view?.nonPeers ?? []),
      ...[...entries.values()].filter(({ state }) => state === 'non-peer').map(({ address }) => address),
      ...[...classes].filter(([, kind]) => kind === 'non-peer').map(([address]) => address),
    ];
    return {
      subnets,
      peers: [...this.#carried],
      vips: live.map(({ address }) => address),
      waiting: carriedVips.filter((vip) => !live.includes(vip)).map(({ address }) => address),
      nonPeers: nonPeers.filter((address) => !this.#carried.has(address) && !this.#gated.has(address)),
      listening: listeningEnds(entries, carriedVips).filter(({ address }) => this.#carried.has(address)),
      direct: this.#direct.all,
    };
  }
}
