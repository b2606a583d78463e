import { isIPv4 } from 'node:net';
import type Docker from 'dockerode';
import { z } from 'zod';
import { messageOf } from '../../src/model/errors.ts';
import type { NetworkView } from '../../src/rpc/control/network-view.ts';
import type { NetworkViewSource } from './network-views.ts';

/** How often the engine is asked about a network: while something changes or is about to, and otherwise. */
const FAST_MS = 500;
const SLOW_MS = 2_000;
/** For so long after a change it is asked more often: changes seldom come alone. */
const LIVELY_MS = 10_000;

/** The engine's load balancer of a network appears among its containers under this name and the network's. */
const BALANCER = 'lb-';

/**
 * What `docker network inspect --verbose` says. The engines of all nodes that have a task on the network know all its services and tasks (by
 * gossip), workers too. `Containers` are those on this node.
 */
const inspectSchema = z.object({
  IPAM: z
    .object({ Config: z.array(z.object({ Subnet: z.string().nullish(), Gateway: z.string().nullish() })).nullish() })
    .nullish(),
  Containers: z.record(z.string(), z.object({ IPv4Address: z.string() })).nullish(),
  Services: z
    .record(z.string(), z.object({ VIP: z.string(), Tasks: z.array(z.object({ EndpointIP: z.string() })).nullish() }))
    .nullish(),
});

/** One network as sidecars need it. */
export interface NetworkFacts {
  readonly subnets: readonly string[];
  /** By name; containers that belong to no service are under the empty name. */
  readonly services: readonly { readonly name: string; readonly vip?: string; readonly tasks: readonly string[] }[];
  /** Gateways, and the load balancer of this node. */
  readonly others: readonly string[];
  /** Containers of this node that the network does not yet know as tasks. */
  readonly coming: readonly string[];
}

export interface DiscoveryOptions {
  /** Asks the engine about a network, by name. See {@link engineInspect}. */
  readonly inspect: (network: string) => Promise<unknown>;
  readonly log: { warn(details: object, message: string): void };
}

/** Asks this node's engine. */
export function engineInspect(engine: Docker): (network: string) => Promise<unknown> {
  // dockerode's types do not have the options of `inspect`.
  type Inspect = (options: { verbose: boolean }) => Promise<unknown>;
  return async (name) => {
    const network = engine.getNetwork(name);
    return (network.inspect as Inspect).call(network, { verbose: true });
  };
}

interface Watched {
  readonly name: string;
  facts: NetworkFacts | undefined;
  /** The same as text, to see changes. */
  text: string;
  changedAt: number;
  timer: NodeJS.Timeout | undefined;
  asking: boolean;
  /** Somebody has come who wants to know now. */
  again: boolean;
  fault: string;
}

interface Watch {
  readonly stack: string;
  readonly networks: readonly string[];
  readonly changed: (view: NetworkView) => void;
  told: string;
}

/** Finds out by asking the engine who is on the networks of stacks: one question a network, however many tasks want to know. */
export class Discovery implements NetworkViewSource {
  readonly #options: DiscoveryOptions;
  readonly #networks = new Map<string, Watched>();
  readonly #watches = new Set<Watch>();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /**
   * @param networks names of overlay networks that this node is on
   * @param changed is called with the view as soon as all of them are known, and whenever it is another one
   */
  watch(stack: string, networks: readonly string[], changed: (view: NetworkView) => void): () => void {
    const watch: Watch = { stack, networks, changed, told: '' };
    this.#watches.add(watch);
    for (const name of networks) {
      let network = this.#networks.get(name);
      if (!network) {
        network = {
          name,
          facts: undefined,
          text: '',
          changedAt: 0,
          timer: undefined,
          asking: false,
          again: false,
          fault: '',
        };
        this.#networks.set(name, network);
      }
      network.changedAt = performance.now(); // a task has come: more may
      this.#askNow(network);
    }
    return () => this.#unwatch(watch);
  }

  close(): void {
    for (const watch of [...this.#watches]) this.#unwatch(watch);
  }

  #unwatch(watch: Watch): void {
    this.#watches.delete(watch);
    for (const [name, network] of this.#networks) {
      if ([...this.#watches].some(({ networks }) => networks.includes(name))) continue;
      clearTimeout(network.timer);
      this.#networks.delete(name);
    }
  }

  #askNow(network: Watched): void {
    clearTimeout(network.timer);
    if (network.asking) network.again = true;
    else void this.#ask(network);
  }

  /** Never rejects. */
  async #ask(network: Watched): Promise<void> {
    network.asking = true;
    let waits = SLOW_MS;
    try {
      const facts = factsOf(await this.#options.inspect(network.name));
      const text = JSON.stringify(facts);
      if (text !== network.text) network.changedAt = performance.now();
      network.text = text;
      network.facts = facts;
      network.fault = '';
      for (const watch of this.#watches) if (watch.networks.includes(network.name)) this.#tell(watch);
      if (facts.coming.length > 0 || performance.now() - network.changedAt < LIVELY_MS) waits = FAST_MS;
    } catch (error) {
      const fault = messageOf(error);
      if (fault !== network.fault)
        this.#options.log.warn(
          { network: network.name, reason: fault },
          'the engine does not tell who is on a network',
        );
      network.fault = fault;
    }
    network.asking = false;
    if (this.#networks.get(network.name) !== network) return;
    if (network.again) waits = 0;
    network.again = false;
    network.timer = setTimeout(() => void this.#ask(network), waits);
  }

  #tell(watch: Watch): void {
    const facts = watch.networks.map((name) => this.#networks.get(name)?.facts);
    if (facts.some((each) => each === undefined)) return;
    const view = networkViewOf(
      watch.stack,
      facts.filter((each) => each !== undefined),
    );
    const text = JSON.stringify(view);
    if (text === watch.told) return;
    watch.told = text;
    watch.changed(view);
  }
}

/** In an order of its own, for the engine's is another one each time. @throws ZodError when the engine answers something else */
export function factsOf(inspected: unknown): NetworkFacts {
  const { IPAM, Containers, Services } = inspectSchema.parse(inspected);
  const services = Object.entries(Services ?? {})
    .map(([name, { VIP, Tasks }]) => {
      const vip = addressOf(VIP);
      const tasks = addressesOf((Tasks ?? []).map(({ EndpointIP }) => EndpointIP));
      return { name, ...(vip === undefined ? {} : { vip }), tasks };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const known = new Set(services.flatMap(({ tasks }) => tasks));
  const config = IPAM?.Config ?? [];
  const here = Object.entries(Containers ?? {});
  const addresses = (balancers: boolean): string[] =>
    here.filter(([id]) => id.startsWith(BALANCER) === balancers).map(([, { IPv4Address }]) => IPv4Address);
  return {
    subnets: config.map(({ Subnet }) => Subnet ?? '').filter((subnet) => isIPv4(subnet.split('/')[0] ?? '')),
    services,
    others: addressesOf([...config.map(({ Gateway }) => Gateway ?? ''), ...addresses(true)]),
    coming: addressesOf(addresses(false)).filter((address) => !known.has(address)),
  };
}

/**
 * Whose a service is can be told by its name only, on a worker: services of stack `a` are called `a_…`. So are those of a stack `a_b`; its
 * tasks do not have the key of `a`, and the sidecars find out.
 */
export function networkViewOf(stack: string, networks: readonly NetworkFacts[]): NetworkView {
  const services = networks.flatMap((network) => network.services);
  const isOwn = (name: string): boolean => name.startsWith(`${stack}_`);
  const own = services.filter(({ name }) => isOwn(name));
  const foreign = services.filter(({ name }) => !isOwn(name));
  return {
    subnets: networks.flatMap(({ subnets }) => subnets),
    tasks: services.flatMap(({ name, tasks }) =>
      name === '' ? [] : tasks.map((address) => ({ address, service: name, own: isOwn(name) })),
    ),
    vips: own.flatMap(({ name, vip, tasks }) =>
      vip === undefined ? [] : [{ address: vip, service: name, backends: [...tasks] }],
    ),
    nonPeers: [
      ...foreign.flatMap(({ vip }) => vip ?? []),
      ...foreign.filter(({ name }) => name === '').flatMap(({ tasks }) => tasks),
      ...networks.flatMap(({ others }) => others),
    ],
  };
}

/** `10.0.2.3/24` → `10.0.2.3`; undefined for what is no IPv4 address, as the engine's `<nil>`. */
function addressOf(text: string): string | undefined {
  const address = text.split('/')[0] ?? '';
  return isIPv4(address) ? address : undefined;
}

function addressesOf(texts: readonly string[]): string[] {
  return [...new Set(texts.flatMap((text) => addressOf(text) ?? []))].sort();
}
