import { Applications } from './application/applications.ts';
import { micros, type SimulationConfig } from './config.ts';
import { EventQueue } from './event-queue.ts';
import { Faults } from './faults.ts';
import { newMetrics, type Metrics } from './measurement/metrics.ts';
import { nextExponential, nextFraction, nextFrom, prng, type Prng } from './prng.ts';
import { buildGraph, type Channel, type Message, type Process } from './process.ts';
import type { ChannelTable, ProcessTable } from './tables.ts';
import { ArrivalGap } from './measurement/arrival-gap.ts';
import { Trace } from './measurement/trace.ts';

/** More events than this after the last word of the application, without coming to rest, is a fault of its own. */
const MAX_DRAIN_EVENTS = 5_000_000;

/**
 * The clock, the network and the applications of one run; what is done about checkpoints is the business of the subclasses. All
 * randomness comes from the seed: equal configurations give equal traces, byte for byte.
 */
export abstract class World {
  readonly config: SimulationConfig;
  readonly metrics: Metrics = newMetrics();
  readonly processes: readonly Process[];
  readonly channels: readonly Channel[];
  readonly processTable: ProcessTable;
  readonly channelTable: ChannelTable;
  readonly trace: Trace;
  /** What the checkers found. A correct algorithm leaves it empty. */
  readonly violations: string[] = [];
  readonly queue = new EventQueue();
  readonly random: Prng;
  /** At process 0. */
  readonly arrivalGap = new ArrivalGap();
  readonly #faults: Faults;
  readonly #applications: Applications;
  readonly #thinkUs: number;
  readonly #endUs: number;
  readonly #slow = new Map<number, number>();
  #now = 0;
  #drainFrom = Number.POSITIVE_INFINITY;
  #phase: 'working' | 'settling' | 'draining' | 'done' = 'working';

  constructor(config: SimulationConfig) {
    this.config = config;
    this.trace = new Trace(config.trace);
    this.random = prng(config.seed);
    this.#faults = new Faults(this);
    this.#thinkUs = micros(config.thinkMs);
    this.#endUs = micros(config.durationMs);
    const { memory, processTable, processes, channelTable, channels } = buildGraph(config);
    this.processTable = processTable;
    this.processes = processes;
    this.channelTable = channelTable;
    this.channels = channels;
    const tables = { memory, processes: processTable, channels: channelTable };
    this.#applications = new Applications(config.behaviour, this.#thinkUs, tables, this.#appSend);
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
        this.#applications.silent = true;
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
    if (process.frozen) throw new RangeError(`${process.name} cannot send at ${this.#now / 1000} ms: it stands still`);
    this.#applications.sendAs(process.index, position, payload);
  }

  /** An application's message on its way out; its number has been counted. */
  protected abstract transmit(from: number, channel: number, number: number, payload: number): void;
  /** A process dies with all that it had in memory. */
  protected abstract crash(process: Process): void;
  /** No round and no recovery is under way. */
  protected abstract settled(): boolean;
  /** The last checks, when everything has come to rest. */
  protected abstract finalChecks(): void;

  coordinatorCrash(_downUs: number): void {
    return;
  }

  agentCrash(_process: Process, _downUs: number): void {
    return;
  }

  hangUp(_channel: Channel): void {
    return;
  }

  /** Gives a message to the application. The process must be able to run. */
  deliver(message: Message): void {
    const to = this.channelTable.to(message.channel);
    if (to === 0) this.arrivalGap.heard(this.#now);
    this.#traceMessage(to, 'receive', message.channel, message.number);
    this.#applications.deliver(message);
  }

  /** One spontaneous action of the application; returns microseconds until the next. */
  act(process: number): number {
    return this.#applications.act(process);
  }

  scheduleTick(process: number, delayUs: number): void {
    const table = this.processTable;
    table.setTickDue(process, false);
    if (delayUs < 0 || !this.working) {
      table.setNextTick(process, -1);
      return;
    }
    const time = this.#now + Math.max(1, delayUs);
    table.setNextTick(process, time);
    this.queue.push(time, this.#tick, process);
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
    if (this.processTable.tickDue(process.index)) this.#runTick(process.index);
  }

  /** One way through the network, without loss, partition or order. Microseconds, at least 1. */
  networkDelay(bytes: number): number {
    const { latencyMs, jitterMs, jitterDistribution, bytesPerSecond, bandwidthDistribution } = this.config;
    const jitter = jitterMs > 0 ? nextFrom(jitterDistribution, this.random, micros(jitterMs)) : 0;
    const transfer = nextFrom(bandwidthDistribution, this.random, (bytes / bytesPerSecond) * 1e6);
    return Math.max(1, micros(latencyMs) + jitter + transfer);
  }

  /**
   * When something sent now on a reliable channel arrives: losses and partitions only make it late, as they do with TCP. Keeps the order
   * if the channels are FIFO.
   */
  arrival(channel: number, bytes: number): number {
    let time = this.#now + this.networkDelay(bytes) + this.extraDelay(channel);
    let rto = micros(this.config.rtoMs);
    while (this.config.faults.loss > 0 && nextFraction(this.random) < this.config.faults.loss) {
      time += rto;
      rto *= 2;
    }
    if (this.separated(channel)) time += this.#faults.partitionEnd - this.#now + rto;
    return this.config.fifo ? this.channelTable.inOrder(channel, time) : time;
  }

  /** From now on messages on this channel take so much longer (scenarios). */
  slowDown(channel: Channel, byMs: number): void {
    this.#slow.set(channel.index, micros(byMs));
  }

  /** What {@link slowDown} has made of a channel. Microseconds. */
  extraDelay(channel: number): number {
    return this.#slow.size === 0 ? 0 : (this.#slow.get(channel) ?? 0);
  }

  lost(): boolean {
    return this.config.faults.loss > 0 && nextFraction(this.random) < this.config.faults.loss;
  }

  /** The ends of the channel are on different sides of a partition. */
  separated(channel: number): boolean {
    return this.#faults.separated(this.channelTable.from(channel), this.channelTable.to(channel));
  }

  /** At the receiving end of a channel. */
  receiver(channel: number): Process {
    return this.#process(this.channelTable.to(channel));
  }

  /** At the sending end of a channel. */
  sender(channel: number): Process {
    return this.#process(this.channelTable.from(channel));
  }

  #process(index: number): Process {
    const process = this.processes[index];
    if (process === undefined) throw new Error(`no process ${index}`);
    return process;
  }

  /** Not on the coordinator's side of a partition. */
  cutOff(process: Process): boolean {
    return this.#faults.cutOff(process);
  }

  note(who: string, what: string): void {
    this.trace.add(this.#now, who, what);
  }

  violation(text: string): void {
    if (this.violations.length < 100) this.violations.push(`${(this.#now / 1000).toFixed(3)} ms: ${text}`);
  }

  /** Begins the application's work and the faults. Called once by the subclass's constructor. */
  protected begin(): void {
    for (const { index, state } of this.processes) this.scheduleTick(index, nextExponential(state, this.#thinkUs));
    this.#faults.begin();
  }

  /** A process crashes now. */
  crashNow(process: Process): void {
    this.metrics.crashes++;
    this.trace.add(this.#now, process.name, 'crash');
    this.crash(process);
  }

  readonly #tick = (process: number): void => {
    const table = this.processTable;
    if (table.nextTick(process) !== this.#now || table.down(process) || this.#phase === 'draining') return;
    if (table.frozen(process)) table.setTickDue(process, true);
    else this.#runTick(process);
  };

  #runTick(process: number): void {
    this.processTable.setTickDue(process, false);
    this.scheduleTick(process, this.act(process));
  }

  readonly #appSend = (process: number, channel: number, number: number, payload: number): void => {
    this.metrics.messages++;
    this.metrics.messageBytes += this.config.messageBytes;
    this.#traceMessage(process, 'send', channel, number);
    this.transmit(process, channel, number, payload);
  };

  /** Looks names up only if somebody will read them. */
  #traceMessage(process: number, kind: string, channel: number, number: number): void {
    if (this.trace.kept) this.trace.add(this.#now, `p${process}`, kind, this.channels[channel]?.id, number);
    else this.trace.count(this.#now, kind, number);
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
