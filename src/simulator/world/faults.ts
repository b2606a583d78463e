import { micros, type SimulationConfig } from './config.ts';
import type { EventQueue } from './event-queue.ts';
import { combine, nextBelow, nextExponential, prng, type Prng } from './prng.ts';
import type { Channel, Process } from './process.ts';

/** What faults need of the world, and do to it. */
export interface Victim {
  readonly config: SimulationConfig;
  readonly queue: EventQueue;
  readonly now: number;
  /** The application has work to do: afterwards nothing breaks any more. */
  readonly working: boolean;
  readonly processes: readonly Process[];
  readonly channels: readonly Channel[];
  crashNow(process: Process): void;
  /** The coordinator stops for so long. */
  coordinatorCrash(downUs: number): void;
  /** The agent of this process stops for so long. */
  agentCrash(process: Process, downUs: number): void;
  /** The application at the channel's sending end hangs up. */
  hangUp(channel: Channel): void;
  note(who: string, what: string): void;
}

/** Crashes, partitions, deaths of agents and of the coordinator, connections that end. They have random numbers of their own, so that the same ones hit every algorithm. */
export class Faults {
  readonly #victim: Victim;
  readonly #random: Prng;
  /** By process: the side it is on. */
  #partition: Uint8Array | undefined;
  #partitionEnd = 0;

  constructor(victim: Victim) {
    this.#victim = victim;
    this.#random = prng(combine(victim.config.seed, 0xfa17));
  }

  begin(): void {
    const victim = this.#victim;
    const { faults, processes } = victim.config;
    this.#repeat((faults.mtbfSeconds * 1e6) / processes, () => this.#crashSomebody());
    this.#repeat(1e6 / faults.partitionsPerSecond, () => this.#divide());
    this.#repeat(1e6 / faults.coordinatorCrashesPerSecond, () =>
      victim.coordinatorCrash(micros(faults.coordinatorDownMs)),
    );
    this.#repeat(1e6 / faults.agentCrashesPerSecond, () =>
      victim.agentCrash(this.#oneOf(victim.processes), micros(faults.agentDownMs)),
    );
    this.#repeat(1e6 / faults.reconnectsPerSecond, () => victim.hangUp(this.#oneOf(victim.channels)));
  }

  /** These two are on different sides of a partition. */
  separated(a: number, b: number): boolean {
    return this.#partition !== undefined && this.#partition[a] !== this.#partition[b];
  }

  /** Not on the coordinator's side of a partition (that of process 0). */
  cutOff(process: Process): boolean {
    return this.#partition !== undefined && this.#partition[process.index] !== this.#partition[0];
  }

  /** When the present partition ends. */
  get partitionEnd(): number {
    return this.#partitionEnd;
  }

  /** `meanUs` is the mean time between two; 0 or infinite for never. */
  #repeat(meanUs: number, action: () => void): void {
    if (meanUs <= 0 || meanUs === Number.POSITIVE_INFINITY) return;
    const victim = this.#victim;
    const next = (): void => {
      victim.queue.push(victim.now + 1 + nextExponential(this.#random, meanUs), fire, undefined);
    };
    const fire = (): void => {
      if (!victim.working) return;
      action();
      next();
    };
    next();
  }

  #crashSomebody(): void {
    const process = this.#oneOf(this.#victim.processes);
    if (!process.down) this.#victim.crashNow(process);
  }

  #oneOf<T>(list: readonly T[]): T {
    const one = list[nextBelow(this.#random, list.length)];
    if (one === undefined) throw new RangeError('nothing to choose from');
    return one;
  }

  #divide(): void {
    if (this.#partition !== undefined) return;
    const victim = this.#victim;
    this.#partition = new Uint8Array(victim.processes.length);
    for (let i = 0; i < this.#partition.length; i++) this.#partition[i] = nextBelow(this.#random, 2);
    this.#partitionEnd = victim.now + micros(victim.config.faults.partitionMs);
    victim.note('network', 'partition');
    victim.queue.push(
      this.#partitionEnd,
      () => {
        this.#partition = undefined;
        victim.note('network', 'healed');
      },
      undefined,
    );
  }
}
