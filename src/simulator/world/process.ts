import { AppMemory, type AppState } from './app-state.ts';
import type { SimulationConfig } from './config.ts';
import { ChannelTable, ProcessTable } from './tables.ts';
import { neighbours } from './topology.ts';

/** One simulated process: the application and what holds it back. What changes with every event lies in the tables. */
export class Process {
  readonly index: number;
  readonly name: string;
  /** What the application remembers; changes with it. */
  readonly state: AppState;
  /** By position: the neighbour of `out[i]` is that of `in[i]`. */
  readonly out: Channel[] = [];
  readonly in: Channel[] = [];
  /** Since when it has been blocked, -1 if it is not, and for how long in all. */
  blockedSince = -1;
  blockedUs = 0;
  readonly #table: ProcessTable;

  constructor(index: number, state: AppState, table: ProcessTable) {
    this.index = index;
    this.name = `p${index}`;
    this.state = state;
    this.#table = table;
  }

  /** No thread runs. */
  get frozen(): boolean {
    return this.#table.frozen(this.index);
  }

  set frozen(is: boolean) {
    this.#table.setFrozen(this.index, is);
  }

  /** Nothing enters or leaves. */
  get blocked(): boolean {
    return this.#table.blocked(this.index);
  }

  set blocked(is: boolean) {
    this.#table.setHeld(this.index, is);
  }

  /** Crashed, and not recovered. */
  get down(): boolean {
    return this.#table.down(this.index);
  }

  set down(is: boolean) {
    this.#table.setDown(this.index, is);
  }
}

/** What stays as it is about a channel; the rest is in the {@link ChannelTable}. */
export interface Channel {
  readonly index: number;
  /** `p0>p1`. */
  readonly id: string;
  readonly from: Process;
  readonly to: Process;
  /** Among the sender's outgoing and the receiver's incoming channels. */
  readonly position: number;
  readonly reversePosition: number;
}

/** A message on its way. */
export interface Message {
  /** Number of the channel. */
  readonly channel: number;
  /** 1, 2, 3 … in the channel. */
  readonly number: number;
  readonly payload: number;
  readonly bytes: number;
  readonly generation: number;
}

export interface Graph {
  readonly memory: AppMemory;
  readonly processTable: ProcessTable;
  readonly processes: readonly Process[];
  readonly channelTable: ChannelTable;
  readonly channels: readonly Channel[];
}

/**
 * All processes in their initial states, and the channels between them, those of one sender one after the other.
 * @throws RangeError when there is no such topology
 */
export function buildGraph({ processes: size, topology, degree, seed }: SimulationConfig): Graph {
  const lists = neighbours(topology, size, degree);
  const counts = lists.map(({ length }) => length);
  const memory = new AppMemory(seed, counts);
  const processTable = new ProcessTable(counts);
  const processes = lists.map((_, index) => new Process(index, memory.of(index), processTable));
  const positions = lists.map((list) => new Map(list.map((other, position) => [other, position])));
  const channels: Channel[] = [];
  for (const from of processes) {
    for (const [position, other] of (lists[from.index] ?? []).entries()) {
      const to = processes[other];
      const reversePosition = positions[other]?.get(from.index);
      if (to === undefined || reversePosition === undefined) throw new Error(`one-sided edge ${from.index}-${other}`);
      const id = `${from.name}>${to.name}`;
      const channel: Channel = { index: channels.length, id, from, to, position, reversePosition };
      channels.push(channel);
      from.out[position] = channel;
      to.in[reversePosition] = channel;
    }
  }
  return { memory, processTable, processes, channelTable: new ChannelTable(channels), channels };
}
