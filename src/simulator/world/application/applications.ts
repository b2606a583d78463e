import { messageHash, type AppMemory } from '../app-state.ts';
import { behaviours, type AppContext, type Behaviour } from './behaviours.ts';
import type { BehaviourName } from '../config.ts';
import { combine } from '../prng.ts';
import type { Message } from '../process.ts';
import type { ChannelTable, ProcessTable } from '../tables.ts';

/** Takes what an application sends. */
export type Sender = (process: number, channel: number, number: number, payload: number) => void;

/** The programs of all processes. One runs at a time, and never while another does. */
export class Applications implements AppContext {
  /** At the end of a run nothing new is said, so that every message can be accounted for. */
  silent = false;
  /** Of the process that runs. */
  index = 0;
  neighbours = 0;
  readonly #behaviour: Behaviour;
  readonly #thinkUs: number;
  readonly #memory: AppMemory;
  readonly #processes: ProcessTable;
  readonly #channels: ChannelTable;
  readonly #sender: Sender;

  constructor(
    behaviour: BehaviourName,
    thinkUs: number,
    tables: { readonly memory: AppMemory; readonly processes: ProcessTable; readonly channels: ChannelTable },
    sender: Sender,
  ) {
    this.#behaviour = behaviours[behaviour];
    this.#thinkUs = thinkUs;
    this.#memory = tables.memory;
    this.#processes = tables.processes;
    this.#channels = tables.channels;
    this.#sender = sender;
  }

  /** The running application sends something. */
  send(neighbour: number, payload: number): void {
    this.sendAs(this.index, neighbour, payload);
  }

  /** A process sends something; nothing if it has no such neighbour. */
  sendAs(process: number, neighbour: number, payload: number): void {
    const channel = this.#processes.out(process, neighbour);
    if (channel === undefined || this.silent) return;
    this.#sender(process, channel, this.#memory.at(process).countSent(neighbour, payload), payload);
  }

  /** Gives a message to its receiver. */
  deliver({ channel, number, payload }: Message): void {
    const process = this.#channels.to(channel);
    const position = this.#channels.reversePosition(channel);
    const hash = messageHash(number, payload);
    const state = this.#run(process);
    state.countReceived(position, hash);
    state.note(combine(this.#channels.from(channel), hash));
    this.#behaviour.receive(state, this, position, payload);
  }

  /** One spontaneous action; returns microseconds until the next. */
  act(process: number): number {
    const state = this.#run(process);
    state.ticks++;
    state.note(0x7107);
    return this.#behaviour.tick(state, this, this.#thinkUs);
  }

  #run(process: number): ReturnType<AppMemory['at']> {
    this.index = process;
    this.neighbours = this.#processes.neighbours(process);
    return this.#memory.at(process);
  }
}
