import type { StreamCut } from '../checkpoint.ts';
import type { Connection, Endpoint } from '../connection.ts';
import { inputEnded, pairStreams, type StreamEnd, type StreamTask } from '../cuts/stream-cut.ts';
import type { Alias } from '../task.ts';

/** What a restored sidecar does with one stream of its record. Same shape as `StreamPlan` in proto/agent.proto. */
export interface StreamPlan {
  readonly id: string;
  /**
   * `RESUME`: the peer has the other end. `OPEN`: the peer has not heard of it, it is opened anew. `ALONE`: the other end was gone at the
   * cut: the application gets what is recorded, then the end. `RESET`: nobody has the other end any more.
   */
  readonly action: 'RESUME' | 'OPEN' | 'ALONE' | 'RESET';
  /** `RESUME`, `OPEN`: present address of the other task, with its application's port. */
  readonly peer?: Endpoint;
  /** `RESUME`: this side calls; else it waits for the call. */
  readonly dial: boolean;
}

/** Same shape as `ProxyPlan` in proto/agent.proto. */
export interface ProxyPlan {
  readonly stack: string;
  /** Of the snapshot: the epoch that the task has reached. */
  readonly epoch: number;
  readonly streams: StreamPlan[];
  /** The task's previous addresses: who knows it by one of them means this task now. */
  readonly previousAddresses: string[];
}

/** Where a task's sockets are bound, and where it is. */
interface Addressed {
  readonly key: string;
  /** Previous addresses. */
  readonly aliases: readonly Alias[];
  /** At the cut, by network. */
  readonly addresses: readonly Alias[];
}

/** A task to be restored beside its sidecar. */
export interface ProxyTask extends StreamTask, Addressed {
  /** The addresses that Swarm has given to the new container, by network. */
  readonly newAddresses: readonly Alias[];
}

/** A task that keeps running while others move. Its sidecar has parked its streams with these. */
export interface StayingTask extends Addressed {
  /** As the kernel lists them in its network namespace: the application's and the sidecar's sockets. */
  readonly connections: readonly Pick<Connection, 'local' | 'remote'>[];
}

export interface ProxyPlanInput {
  readonly stack: string;
  readonly epoch: number;
  readonly tasks: readonly ProxyTask[];
  readonly staying?: readonly StayingTask[];
}

/**
 * Says for each stream of each restored task how it goes on. Streams are known by their ids, so that sockets keep their addresses and
 * only the tunnels have new ones.
 *
 * Between two restored tasks the opener calls. Between a restored and a staying one the restored one does: nobody tells the others
 * where it is now. What the staying one has of a stream is not known here: it answers the call.
 *
 * @returns by task key, one for each restored task
 */
export function planProxies(input: ProxyPlanInput): ReadonlyMap<string, ProxyPlan> {
  const places = new Places(input);
  const plans = new Map<string, StreamPlan[]>(input.tasks.map(({ key }) => [key, []]));
  const { pairs, strays } = pairStreams(input.tasks);
  for (const { opener, acceptor } of pairs) {
    const both = opener !== undefined && acceptor !== undefined;
    if (both && opener.cut.endTaken && acceptor.cut.endTaken) {
      plans.get(opener.task)?.push(resumed(opener, places.between(opener, acceptor.task), true));
      plans.get(acceptor.task)?.push(resumed(acceptor, places.between(acceptor, opener.task), false));
      continue;
    }
    for (const end of [opener, acceptor]) {
      if (end !== undefined) plans.get(end.task)?.push(both ? alone(end.cut) : oneEnded(end, places));
    }
  }
  for (const { task, cut } of strays) plans.get(task)?.push({ id: cut.id, action: 'RESET', dial: false });
  const { stack, epoch } = input;
  return new Map(
    [...plans].map(([key, streams]) => [
      key,
      { stack, epoch, streams, previousAddresses: places.previousAddressesOf(key) },
    ]),
  );
}

function resumed({ cut }: StreamEnd, address: string | undefined, dial: boolean): StreamPlan {
  if (address === undefined) return { id: cut.id, action: 'RESET', dial: false };
  return { id: cut.id, action: 'RESUME', peer: { address, port: farEnd(cut).port }, dial };
}

/** The other end has no application any more. */
function alone(cut: StreamCut): StreamPlan {
  return { id: cut.id, action: cut.endTaken && inputEnded(cut) ? 'ALONE' : 'RESET', dial: false };
}

function oneEnded(end: StreamEnd, places: Places): StreamPlan {
  const { cut } = end;
  if (!cut.endTaken) return alone(cut);
  const { owner, connected } = places.ownerOf(cut);
  if (owner !== undefined && 'connections' in owner) {
    // Whoever has closed both directions may have forgotten the stream by now.
    if (!connected && inputEnded(cut)) return alone(cut);
    return resumed(end, places.between(end, owner.key), true);
  }
  if (inputEnded(cut)) return alone(cut);
  const peer = owner === undefined ? undefined : places.between(end, owner.key);
  if (!cut.opening || peer === undefined) return { id: cut.id, action: 'RESET', dial: false };
  return { id: cut.id, action: 'OPEN', peer: { address: peer, port: cut.target.port }, dial: true };
}

/** The other application's address, as it was when the stream began. */
function farEnd({ role, client, target }: StreamCut): Endpoint {
  return role === 'opener' ? target : client;
}

class Places {
  readonly #restored: readonly ProxyTask[];
  readonly #staying: readonly StayingTask[];
  readonly #all: ReadonlyMap<string, ProxyTask | StayingTask>;

  constructor({ tasks, staying = [] }: ProxyPlanInput) {
    this.#restored = tasks;
    this.#staying = staying;
    this.#all = new Map([...tasks, ...staying].map((task) => [task.key, task]));
  }

  /**
   * Whose application the far end of a stream is. An address that a task had before may be somebody else's now: a task that has
   * the connection knows best, then whoever had the address at the cut, then whoever had it once.
   */
  ownerOf(cut: StreamCut): { readonly owner: ProxyTask | StayingTask | undefined; readonly connected: boolean } {
    const { client, target } = cut;
    const connected = this.#staying.find(({ connections }) =>
      connections.some(({ local, remote }) =>
        cut.role === 'opener'
          ? same(local, target) && same(remote, client)
          : // A virtual address may stand for the server on the client's side.
            same(local, client) && remote.port === target.port,
      ),
    );
    if (connected !== undefined) return { owner: connected, connected: true };
    return { owner: this.#whose(farEnd(cut).address), connected: false };
  }

  /** An address that several tasks had is that of the one that had it last, as far as that is known. */
  previousAddressesOf(key: string): string[] {
    const task = this.#all.get(key);
    if (task === undefined) return [];
    const present = new Set([...this.#all.values()].flatMap((one) => [...presentOn(one).values()]));
    const had = [...task.addresses, ...task.aliases].map(({ address }) => address).filter(isIpv4);
    return [...new Set(had)].filter((address) => !present.has(address) && this.#whose(address)?.key === key);
  }

  /** An address at the cut is the youngest truth. */
  #whose(address: string): ProxyTask | StayingTask | undefined {
    const all = [...this.#restored, ...this.#staying];
    const has = (aliases: readonly Alias[]): boolean => aliases.some((alias) => alias.address === address);
    return all.find(({ addresses }) => has(addresses)) ?? all.find(({ aliases }) => has(aliases));
  }

  /**
   * Where the sidecar of `end` reaches task `other` now: on the network that the connection was made on, or if one of them is no longer
   * there, on any that both are on.
   */
  between(end: StreamEnd, other: string): string | undefined {
    const [near, far] = [this.#all.get(end.task), this.#all.get(other)];
    if (near === undefined || far === undefined) return undefined;
    const [own, its] = [presentOn(near), presentOn(far)];
    const { role, client, target } = end.cut;
    const [nearAddress, farAddress] = role === 'opener' ? [client, target] : [target, client];
    const network = networkOf(near, nearAddress.address) ?? networkOf(far, farAddress.address);
    if (network !== undefined && own.has(network) && its.has(network)) return its.get(network);
    const shared = [...its.keys()].find((name) => own.has(name));
    return shared === undefined ? undefined : its.get(shared);
  }
}

/** The addresses at the cut are the youngest truth: they win. */
function networkOf({ addresses, aliases }: Addressed, address: string): string | undefined {
  return [...addresses, ...aliases].find((alias) => alias.address === address)?.network;
}

function presentOn(task: ProxyTask | StayingTask): ReadonlyMap<string, string> {
  const present = 'newAddresses' in task ? task.newAddresses : task.addresses;
  // Sidecars carry IPv4 only.
  return new Map(present.flatMap(({ network, address }) => (isIpv4(address) ? [[network, address] as const] : [])));
}

function isIpv4(address: string): boolean {
  return !address.includes(':');
}

function same(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}
