import { statSync } from 'node:fs';
import type { FormerAddress } from '../../src/model/plans/former-addresses.ts';
import { messageOf } from '../../src/model/errors.ts';
import type { NetworkView } from '../../src/rpc/control/network-view.ts';
import { KernelInterceptor } from './interceptor.ts';

export interface FormerAddressesOptions {
  /** Who is on networks (agent/sidecars/discovery.ts). */
  readonly source: {
    watch(stack: string, networks: readonly string[], changed: (view: NetworkView) => void): () => void;
  };
  readonly log: { warn(details: object, message: string): void };
  /** For tests: puts the rules in. */
  readonly set?: (netns: string, former: readonly FormerAddress[]) => Promise<void>;
}

/** Belongs to no stack: all services are somebody else's to the view, with all their virtual addresses. */
const NO_STACK = '\0';

/**
 * Leads new connections to former addresses of a stack, in its tasks' namespaces, for as long as nobody else has these addresses: the engine tells who
 * is on the networks. An old task may still be there for a while (it stands still until Swarm ends it), and is nobody else.
 */
export class FormerAddresses {
  readonly #options: FormerAddressesOptions;
  readonly #watches = new Map<string, () => void>();

  constructor(options: FormerAddressesOptions) {
    this.#options = options;
  }

  /**
   * Replaces what was led before in the container.
   * @param set false: the rules are there already
   * @throws SwarmcutError `failed`
   */
  async lead(containerId: string, netns: string, former: readonly FormerAddress[], set = true): Promise<void> {
    const before = this.#watches.get(containerId);
    before?.();
    this.#watches.delete(containerId);
    if (former.length === 0 && before === undefined) return;
    if (set) await this.#set(netns, former);
    if (former.length > 0) this.#watch(containerId, netns, former);
  }

  close(): void {
    for (const end of this.#watches.values()) end();
    this.#watches.clear();
  }

  #watch(containerId: string, netns: string, former: readonly FormerAddress[]): void {
    const namespace = identityOf(netns);
    const absent = new Set<string>();
    let led = former.length;
    let last: Promise<void> = Promise.resolve();
    const changed = (view: NetworkView): void => {
      // The namespace's path names a process, whose number another may have by now.
      if (identityOf(netns) !== namespace) {
        this.#watches.get(containerId)?.();
        this.#watches.delete(containerId);
        return;
      }
      const free = former.filter((one) => !isTaken(one, view, absent));
      if (free.length === led) return;
      led = free.length;
      last = last
        .then(() => this.#set(netns, free))
        .catch((error: unknown) =>
          this.#options.log.warn(
            { containerId, reason: messageOf(error) },
            'former addresses are not led as they should be',
          ),
        );
    };
    const networks = [...new Set(former.map(({ network }) => network))];
    this.#watches.set(containerId, this.#options.source.watch(NO_STACK, networks, changed));
  }

  #set(netns: string, former: readonly FormerAddress[]): Promise<void> {
    return (this.#options.set ?? ((path, all) => new KernelInterceptor({ netns: path }).setFormer(all)))(netns, former);
  }
}

/** @param absent addresses that nobody had at an earlier look; added to */
function isTaken({ address, service }: FormerAddress, view: NetworkView, absent: Set<string>): boolean {
  if (view.nonPeers.includes(address)) return true;
  const task = view.tasks.find((one) => one.address === address);
  if (task === undefined) absent.add(address);
  return task !== undefined && (task.service !== service || absent.has(address));
}

function identityOf(netns: string): number | undefined {
  return statSync(netns, { throwIfNoEntry: false })?.ino;
}
