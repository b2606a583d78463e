import {
  behaviours,
  cloneAppState,
  messageHash,
  newAppState,
  type AppContext,
  type AppState,
  type Behaviour,
} from './application.ts';
import { micros, type SimulationConfig } from './config.ts';
import { EventQueue } from './event-queue.ts';
import { newMetrics, type Metrics } from './metrics.ts';
import { combine, nextBelow, nextExponential, nextFraction, prng, type Prng } from './prng.ts';
import { neighbours } from './topology.ts';
import { Trace } from './trace.ts';

/** One simulated process: the application and what holds it back. */
export interface Process {
  readonly index: number;
  readonly name: string;
  state: AppState;
  /** By position: the neighbour of `out[i]` is that of `in[i]`. */
  readonly out: Channel[];
  readonly in: Channel[];
  readonly context: AppContext;
  /** No thread runs. */
  frozen: boolean;
  /** Crashed, and not recovered. */
  down: boolean;
  /** When its next spontaneous action is due; -1 for never. */
  nextTick: number;
  /** An action became due while the process was frozen. */
  tickDue: boolean;
  blockedSince: number;
  blockedUs: number;
}

export interface Channel {
  readonly index: number;
  /** `p0>p1`. */
  readonly id: string;
  readonly from: Process;
  readonly to: Process;
  readonly position: number;
  readonly reversePosition: number;
  /** Earliest arrival that keeps the order (FIFO). */
  lastArrival: number;
  /** Messages of an earlier generation are gone: an end of the channel has crashed or gone back. */
  generation: number;
}

export interface Message {
  readonly channel: Channel;
  /** 1, 2, 3 … in the channel. */
  readonly number: number;
  readonly payload: number;
  readonly bytes: number;
  readonly generation: number;
  /** What the algorithm lets ride on it. */
  readonly piggyback: unknown;
}

/** More events than this after the last word of the application, without coming to rest, is a fault of its own. */
const MAX_DRAIN_EVENTS = 5_000_000;

/**
 * The clock, the network and the applications of one run; what is done about checkpoints is the business of the subclasses. All
 * randomness comes from the seed: equal configurations give equal traces, byte for byte.
 */
export abstract class World {
  readonly config: SimulationConfig;
  readonly metrics: Metrics = newMetrics();
  readonly processes: Process[] = [];
  readonly channels: Channel[] = [];
  readonly trace: Trace;
  /** What the checkers found. A correct algorithm leaves it empty. */
  readonly violations: string[] = [];
  readonly queue = new EventQueue();
  readonly random: Prng;
  /** Faults have numbers of their own, so that the same failures hit every algorithm. */
  readonly #faultRandom: Prng;
  protected readonly behaviour: Behaviour;
  readonly #thinkUs: number;
  readonly #endUs: number;
  #now = 0;
  #drainFrom = Number.POSITIVE_INFINITY;
  #phase: 'working' | 'settling' | 'draining' | 'done' = 'working';
  #partition: Uint8Array | undefined;
  #partitionEnd = 0;

  constructor(config: SimulationConfig) {
    this.config = config;
    this.trace = new Trace(config.trace);
    this.random = prng(config.seed);
    this.#faultRandom = prng(combine(config.seed, 0xfa17));
    this.behaviour = behaviours[config.behaviour];
    this.#thinkUs = micros(config.thinkMs);
    this.#endUs = micros(config.durationMs);
    this.#build();
  }

  /** Simulated time, microseconds. */
  get now(): number {
    return this.#now;
  }

  /** From 0 to 1: how far the working time has come. */
  get progress(): number {
    const time = this.#endUs === 0 ? 1 : this.#now / this.#endUs;
    const messages = this.config.messageLimit > 0 ? this.metrics.messages / this.config.messageLimit : 0;
    return Math.min(1, Math.max(time, messages));
  }

  get finished(): boolean {
    return this.#phase === 'done';
  }

  get working(): boolean {
    return this.#phase === 'working';
  }

  /** Runs at most this many events. True when the run is over. */
  advance(events: number): boolean {
    for (let i = 0; i < events; i++) {
      if (this.#phase === 'working' && this.#workIsOver()) this.#phase = 'settling';
      if (this.#phase === 'settling' && (this.settled() || this.queue.size === 0)) {
        this.#phase = 'draining';
        this.#drainFrom = this.metrics.events;
      }
      if (this.queue.size === 0 || this.metrics.events - this.#drainFrom > MAX_DRAIN_EVENTS) {
        this.#finish();
        return true;
      }
      this.#now = this.queue.nextTime;
      this.metrics.events++;
      this.queue.runNext();
    }
    return false;
  }

  run(): this {
    while (!this.advance(1_000_000));
    return this;
  }

  /** Has something done at a simulated time (scenarios). */
  at(timeMs: number, action: () => void): void {
    this.queue.push(micros(timeMs), action, undefined);
  }

  /** Lets a process send one message now, as if its program had done so (scenarios). */
  sendFrom(process: Process, to: Process, payload: number): void {
    const position = process.out.findIndex((channel) => channel.to === to);
    if (position < 0) throw new RangeError(`${process.name} has no channel to ${to.name}`);
    this.#appSend(process, position, payload);
  }

  /** An application's message on its way out; its number has been counted. */
  protected abstract transmit(channel: Channel, number: number, payload: number): void;
  /** A process dies with all that it had in memory. */
  protected abstract crash(process: Process): void;
  /** No round and no recovery is under way. */
  protected abstract settled(): boolean;
  /** The last checks, when everything has come to rest. */
  protected abstract finalChecks(): void;
  /** The coordinator stops for so long. */
  protected coordinatorCrash(_downUs: number): void {
    return;
  }

  /** Gives a message to the application. The process must be able to run. */
  deliver(message: Message): void {
    const { channel, number, payload } = message;
    const process = channel.to;
    const state = process.state;
    const position = channel.reversePosition;
    state.received++;
    state.receivedFrom[position] = (state.receivedFrom[position] ?? 0) + 1;
    const hash = messageHash(number, payload);
    state.receivedHash[position] = ((state.receivedHash[position] ?? 0) + hash) | 0;
    state.digest = combine(state.digest, combine(channel.from.index, hash));
    this.trace.add(this.#now, process.name, 'receive', channel.id, number);
    this.behaviour.receive(state, process.context, position, payload);
  }

  /** One spontaneous action of the application; returns microseconds until the next. */
  act(process: Process): number {
    const state = process.state;
    state.ticks++;
    state.digest = combine(state.digest, 0x7107);
    return this.behaviour.tick(state, process.context, this.#thinkUs);
  }

  scheduleTick(process: Process, delayUs: number): void {
    process.tickDue = false;
    if (delayUs < 0 || !this.working) {
      process.nextTick = -1;
      return;
    }
    process.nextTick = this.#now + Math.max(1, delayUs);
    this.queue.push(process.nextTick, this.#tick, process);
  }

  block(process: Process): void {
    if (process.blockedSince < 0) process.blockedSince = this.#now;
  }

  unblock(process: Process): void {
    if (process.blockedSince < 0) return;
    process.blockedUs += this.#now - process.blockedSince;
    process.blockedSince = -1;
  }

  /** Threads run on: an action that was due is done now. */
  thaw(process: Process): void {
    process.frozen = false;
    if (process.tickDue) this.#runTick(process);
  }

  /** One way through the network, without loss, partition or order. Microseconds, at least 1. */
  networkDelay(bytes: number): number {
    const { latencyMs, jitterMs, bytesPerSecond } = this.config;
    const jitter = jitterMs > 0 ? nextExponential(this.random, micros(jitterMs)) : 0;
    return Math.max(1, micros(latencyMs) + jitter + Math.round((bytes / bytesPerSecond) * 1e6));
  }

  /**
   * When something sent now on a reliable channel arrives: losses and partitions only make it late, as they do with TCP. Keeps the order
   * if the channels are FIFO.
   */
  arrival(channel: Channel, bytes: number): number {
    let time = this.#now + this.networkDelay(bytes);
    let rto = micros(this.config.rtoMs);
    while (this.config.faults.loss > 0 && nextFraction(this.random) < this.config.faults.loss) {
      time += rto;
      rto *= 2;
    }
    if (this.separated(channel.from, channel.to)) time += this.#partitionEnd - this.#now + rto;
    if (this.config.fifo) {
      time = Math.max(time, channel.lastArrival);
      channel.lastArrival = time;
    }
    return time;
  }

  lost(): boolean {
    return this.config.faults.loss > 0 && nextFraction(this.random) < this.config.faults.loss;
  }

  separated(a: Process, b: Process): boolean {
    return this.#partition !== undefined && this.#partition[a.index] !== this.#partition[b.index];
  }

  /** On the coordinator's side of a partition (that of process 0). */
  cutOff(process: Process): boolean {
    return this.#partition !== undefined && this.#partition[process.index] !== this.#partition[0];
  }

  violation(text: string): void {
    if (this.violations.length < 100) this.violations.push(`${(this.#now / 1000).toFixed(3)} ms: ${text}`);
  }

  copyState(process: Process): AppState {
    return cloneAppState(process.state);
  }

  #build(): void {
    const { processes, topology, degree, seed } = this.config;
    const lists = neighbours(topology, processes, degree);
    for (let index = 0; index < processes; index++) {
      const count = lists[index]?.length ?? 0;
      const process: Process = {
        index,
        name: `p${index}`,
        state: newAppState(seed, index, count),
        out: [],
        in: [],
        context: {
          process: index,
          neighbours: count,
          send: (position, payload) => this.#appSend(process, position, payload),
        },
        frozen: false,
        down: false,
        nextTick: -1,
        tickDue: false,
        blockedSince: -1,
        blockedUs: 0,
      };
      this.processes.push(process);
    }
    lists.forEach((list, index) => {
      list.forEach((other, position) => {
        const from = this.processes[index];
        const to = this.processes[other];
        if (from === undefined || to === undefined) return;
        const reversePosition = lists[other]?.indexOf(index) ?? -1;
        const channel: Channel = {
          index: this.channels.length,
          id: `${from.name}>${to.name}`,
          from,
          to,
          position,
          reversePosition,
          lastArrival: 0,
          generation: 0,
        };
        this.channels.push(channel);
        from.out[position] = channel;
        to.in[reversePosition] = channel;
      });
    });
  }

  /** Begins the application's work and the faults. Called once by the subclass's constructor. */
  protected begin(): void {
    for (const process of this.processes) {
      this.scheduleTick(process, nextExponential(process.state, this.#thinkUs));
    }
    const { faults, processes } = this.config;
    if (faults.mtbfSeconds > 0) this.#repeat((faults.mtbfSeconds * 1e6) / processes, () => this.#crashSomebody());
    if (faults.partitionsPerSecond > 0) this.#repeat(1e6 / faults.partitionsPerSecond, () => this.#divide());
    if (faults.coordinatorCrashesPerSecond > 0) {
      this.#repeat(1e6 / faults.coordinatorCrashesPerSecond, () =>
        this.coordinatorCrash(micros(faults.coordinatorDownMs)),
      );
    }
  }

  #repeat(meanUs: number, action: () => void): void {
    const next = (): void => {
      this.queue.push(this.#now + 1 + nextExponential(this.#faultRandom, meanUs), fire, undefined);
    };
    const fire = (): void => {
      if (!this.working) return;
      action();
      next();
    };
    next();
  }

  #crashSomebody(): void {
    const process = this.processes[nextBelow(this.#faultRandom, this.processes.length)];
    if (process !== undefined && !process.down) this.crashNow(process);
  }

  /** A process crashes now. */
  crashNow(process: Process): void {
    this.metrics.crashes++;
    this.trace.add(this.#now, process.name, 'crash');
    this.crash(process);
  }

  #divide(): void {
    if (this.#partition !== undefined) return;
    this.#partition = new Uint8Array(this.processes.length);
    for (let i = 0; i < this.#partition.length; i++) this.#partition[i] = nextBelow(this.#faultRandom, 2);
    this.#partitionEnd = this.#now + micros(this.config.faults.partitionMs);
    this.trace.add(this.#now, 'network', 'partition');
    this.queue.push(
      this.#partitionEnd,
      () => {
        this.#partition = undefined;
        this.trace.add(this.#now, 'network', 'healed');
      },
      undefined,
    );
  }

  readonly #tick = (process: Process): void => {
    if (process.nextTick !== this.#now || process.down || this.#phase === 'draining') return;
    if (process.frozen) process.tickDue = true;
    else this.#runTick(process);
  };

  #runTick(process: Process): void {
    process.tickDue = false;
    this.scheduleTick(process, this.act(process));
  }

  #appSend(process: Process, position: number, payload: number): void {
    // At the end of a run nothing new is said, so that every message can be accounted for.
    const channel = process.out[position];
    if (channel === undefined || this.#phase === 'draining') return;
    const state = process.state;
    const number = (state.sentTo[position] ?? 0) + 1;
    state.sentTo[position] = number;
    state.sentHash[position] = ((state.sentHash[position] ?? 0) + messageHash(number, payload)) | 0;
    this.metrics.messages++;
    this.metrics.messageBytes += this.config.messageBytes;
    this.trace.add(this.#now, process.name, 'send', channel.id, number);
    this.transmit(channel, number, payload);
  }

  #workIsOver(): boolean {
    const { messageLimit } = this.config;
    return this.queue.nextTime > this.#endUs || (messageLimit > 0 && this.metrics.messages >= messageLimit);
  }

  #finish(): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    if (this.queue.size > 0) this.violation(`the run does not come to rest: ${this.queue.size} events are left`);
    for (const process of this.processes) {
      if (process.frozen) this.violation(`${process.name} stayed frozen`);
      if (process.down) this.violation(`${process.name} was never recovered`);
      this.unblock(process);
    }
    this.finalChecks();
  }
}
