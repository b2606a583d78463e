import type { Endpoint } from '../../../src/model/connection.ts';

/** One task of the stack (or somebody who may be one), by address. */
export interface Neighbour {
  /**
   * `unknown`: not yet asked, or it has not answered yet. `non-peer`: no sidecar of this stack. `peer`: linked. `lost`: was linked, and has
   * not been found to be a non-peer since.
   */
  readonly state: 'unknown' | 'non-peer' | 'peer' | 'lost';
  /** Where it listens, as it says; only of a peer. */
  readonly ports: readonly number[];
}

export interface Vip {
  readonly address: string;
  readonly backends: readonly string[];
}

/**
 * What becomes of connections to a virtual address: `peer` through the sidecar to a task behind it, `non-peer` to the engine's load
 * balancer (no task behind it has a sidecar), `unknown` they wait. As soon as one task has a sidecar, tasks without are not chosen: a
 * balancer would hide from whom its connections are.
 */
export function classOfVip(backends: readonly (Neighbour | undefined)[]): 'unknown' | 'non-peer' | 'peer' {
  if (backends.some((task) => task?.state === 'peer' || task?.state === 'lost')) return 'peer';
  return backends.some((task) => task?.state === 'unknown') ? 'unknown' : 'non-peer';
}

/** Where linked tasks listen, under their own addresses and under the virtual ones in front of them. */
export function listeningEnds(neighbours: ReadonlyMap<string, Neighbour>, vips: readonly Vip[]): Endpoint[] {
  const ends: Endpoint[] = [];
  for (const [address, task] of neighbours)
    if (task.state === 'peer') ends.push(...task.ports.map((port) => ({ address, port })));
  for (const { address, backends } of vips) {
    const ports = backends.flatMap((backend) => linkedPorts(neighbours.get(backend)));
    ends.push(...[...new Set(ports)].map((port) => ({ address, port })));
  }
  return ends;
}

function linkedPorts(task: Neighbour | undefined): readonly number[] {
  return task?.state === 'peer' ? task.ports : [];
}

/** Chooses the task for each connection to a virtual address: in turn those that are linked and listen on its port. */
export class RoundRobin {
  readonly #turns = new Map<string, number>();

  /** @returns undefined if none listens */
  choose({ address, backends }: Vip, port: number, neighbours: ReadonlyMap<string, Neighbour>): Endpoint | undefined {
    const able = backends.filter((backend) => linkedPorts(neighbours.get(backend)).includes(port));
    const key = `${address} ${port}`;
    const turn = this.#turns.get(key) ?? 0;
    this.#turns.set(key, turn + 1);
    const chosen = able[turn % able.length];
    return chosen === undefined ? undefined : { address: chosen, port };
  }
}
