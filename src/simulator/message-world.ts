import type {
  Determinant,
  Envelope,
  MessageAlgorithm,
  MessageEffect,
  MessageParticipant,
  MessageParticipantState,
} from '../algorithms/message-contract.ts';
import { DETERMINANT_BYTES, OWN_ACTION } from '../algorithms/message-contract.ts';
import { recoveryLine, uselessCheckpoints, type Dependency } from '../algorithms/recovery-line.ts';
import type { AppState } from './application.ts';
import { micros, type SimulationConfig } from './config.ts';
import { restFaults } from './cut.ts';
import { planReplay, type Event } from './replay-plan.ts';
import { CONTROL_BYTES } from './metrics.ts';
import { nextFraction } from './prng.ts';
import type { Channel, Process } from './process.ts';
import { World } from './world.ts';

/** One local checkpoint. */
export interface Checkpoint {
  /** 0 is the initial state; interval k begins with checkpoint k. */
  readonly number: number;
  readonly time: number;
  readonly app: AppState;
  readonly state: MessageParticipantState;
  /** The dump has ended. Only the process itself, alive, can use one that has not. */
  complete: boolean;
}

/** A process with its participant, its logger and its past. */
export interface Node {
  readonly process: Process;
  readonly participant: MessageParticipant;
  inbox: Envelope[];
  checkpoints: Checkpoint[];
  interval: number;
  dependencies: Dependency[];
  /** By sender: the newest of them. */
  readonly lastDependencies: Map<number, Dependency>;
  life: number;
  /** Its past since the oldest checkpoint, by state number; what the checkers compare a replay with. */
  events: Event[];
  /** Determinants on stable storage, in order. */
  stable: Determinant[];
  logPending: Determinant[];
  logWriting: boolean;
  /** What is still to be repeated; undefined when the process runs freely. */
  replay: Determinant[] | undefined;
  /** What follows a checkpoint that is being taken: the delivery that forced it. */
  awaited: MessageEffect[];
  replayReady: boolean;
  /** By state number: the digests that the replay must come to. */
  expected: ReadonlyMap<number, number> | undefined;
}

const LAZY_FLUSH_US = 50_000;
const REPLAY_EVENT_US = 20;
/** Counting useless checkpoints tries every one: beyond this much work it is left out (-1 in the metrics). */
const MAX_USELESS_WORK = 20_000_000;

/** A world in which nobody coordinates: every message passes its participant, and a crash is recovered by rollback or by replay. */
export class MessageWorld extends World {
  readonly algorithm: MessageAlgorithm;
  readonly nodes: readonly Node[];
  readonly #byEnds = new Map<number, Channel>();
  /** By process: all determinants up to this number are recoverable. */
  readonly #stableOrders: Float64Array;
  #recovering = false;
  #nextTick = -1;

  constructor(config: SimulationConfig, algorithm: MessageAlgorithm) {
    // The sidecar's streams are FIFO: message numbers tell repetitions.
    super({ ...config, fifo: true });
    this.algorithm = algorithm;
    this.#stableOrders = new Float64Array(config.processes);
    for (const channel of this.channels) this.#byEnds.set(this.#key(channel.from.index, channel.to.index), channel);
    // The first waiting times are drawn from the processes' own numbers: before checkpoint 0, or a replay would draw them again.
    this.begin();
    this.nodes = this.processes.map((process) => this.#newNode(process));
    if (config.intervalMs <= 0) return;
    for (const node of this.nodes) this.#scheduleCheckpoint(node);
    if (algorithm.recovery === 'rollback') this.#scheduleCollection();
  }

  // --- Applications --------------------------------------------------------------------------------------------------------------

  protected override transmit(from: number, channel: number, number: number, payload: number): void {
    const node = this.#node(from);
    const bytes = this.config.messageBytes;
    const effects = node.participant.step({ kind: 'send', to: this.channelTable.to(channel), number, payload, bytes });
    // Output is withheld until the log is stable: as good as blocked for whoever waits for it.
    if (effects.length === 0) this.block(node.process);
    this.#execute(node, effects, 0);
  }

  override act(process: number): number {
    const node = this.#node(process);
    this.#nextTick = -1;
    this.#execute(node, node.participant.step({ kind: 'act' }), 0);
    return this.#nextTick;
  }

  readonly #arrive = (item: {
    readonly message: Envelope;
    readonly channel: Channel;
    readonly generation: number;
  }): void => {
    const { message, channel, generation } = item;
    if (generation !== this.channelTable.generation(channel.index) || channel.to.down) return;
    const node = this.#node(channel.to.index);
    node.inbox.push(message);
    if (node.replay === undefined) this.#drain(node);
    else this.#repeat(node);
  };

  #drain(node: Node): void {
    while (node.inbox.length > 0 && !node.process.frozen && node.replay === undefined) {
      const message = node.inbox.shift();
      if (message === undefined || this.#isRepetition(message)) continue;
      this.#execute(node, node.participant.step({ kind: 'receive', message }), 0);
    }
  }

  #isRepetition(message: Envelope): boolean {
    const channel = this.#channel(message.from, message.to);
    const received = channel.to.state.receivedFrom(channel.reversePosition);
    if (message.number > received + 1) {
      this.violation(`${channel.id}: message ${message.number} came after ${received}: one is lost`);
    }
    return message.number <= received;
  }

  /** Carries out effects in order; a checkpoint stops the process, and the rest follows when it runs again. */
  #execute(node: Node, effects: readonly MessageEffect[], from: number): void {
    for (let i = from; i < effects.length; i++) {
      const effect = effects[i];
      switch (effect?.kind) {
        case 'checkpoint':
          node.awaited = effects.slice(i + 1);
          this.#checkpoint(node, effect.forced);
          return;
        case 'transmit':
          this.#send(effect.message);
          break;
        case 'deliver':
          this.#deliver(node, effect.message);
          break;
        case 'act':
          this.#nextTick = super.act(node.process.index);
          this.#happened(node);
          break;
        case 'log':
          this.#log(node, effect.determinant);
          break;
        case undefined:
          break;
      }
    }
  }

  #send(message: Envelope): void {
    const channel = this.#channel(message.from, message.to);
    this.metrics.piggybackBytes += message.piggybackBytes;
    const generation = this.channelTable.generation(channel.index);
    const time = this.arrival(channel.index, message.bytes + message.piggybackBytes);
    this.queue.push(time, this.#arrive, { message, channel, generation });
  }

  #deliver(node: Node, envelope: Envelope): void {
    const { number, payload, bytes } = envelope;
    const channel = this.#channel(envelope.from, envelope.to);
    if (this.algorithm.recovery === 'rollback') this.#depend(node, envelope);
    this.deliver({
      channel: channel.index,
      number,
      payload,
      bytes,
      generation: this.channelTable.generation(channel.index),
    });
    this.#happened(node);
  }

  // --- Logs ----------------------------------------------------------------------------------------------------------------------

  /** The event whose determinant was last logged has been carried out: the state after it is what a replay must come to. */
  #happened(node: Node): void {
    const event = node.events.at(-1);
    if (event === undefined || event.digest !== undefined) return;
    const { digest } = node.process.state;
    if (event.expected !== undefined && event.expected !== digest) {
      this.violation(`${node.process.name}: replay differs at state ${event.determinant.order}`);
    }
    event.digest = digest;
  }

  #log(node: Node, determinant: Determinant): void {
    const expected = node.replay === undefined ? undefined : node.expected?.get(determinant.order);
    node.events.push({ determinant, digest: undefined, expected, time: this.now });
    if (determinant.order <= (node.stable.at(-1)?.order ?? 0)) return;
    node.logPending.push(determinant);
    if (!node.logWriting) this.#write(node);
  }

  #write(node: Node): void {
    node.logWriting = true;
    const { life } = node;
    const wait = this.algorithm.logging === 'lazy' ? LAZY_FLUSH_US : 0;
    this.queue.push(
      this.now + wait,
      () => {
        if (life !== node.life) return;
        const batch = node.logPending.splice(0);
        this.metrics.loggedBytes += batch.length * DETERMINANT_BYTES;
        this.#countControl(2);
        const done = (): void => {
          if (life !== node.life) return;
          node.stable.push(...batch);
          this.#becameStable(node, batch);
          if (node.logPending.length > 0) this.#write(node);
          else node.logWriting = false;
        };
        this.queue.push(this.now + micros(this.config.costs.logWriteMs), done, undefined);
      },
      undefined,
    );
  }

  #becameStable(node: Node, added: readonly Determinant[]): void {
    const { index } = node.process;
    const last = node.checkpoints.findLast(({ complete }) => complete);
    let order = Math.max(last?.state.order ?? 0, this.#stableOrders[index] ?? 0);
    for (const determinant of added) if (determinant.order === order + 1) order++;
    this.#stableOrders[index] = order;
    const effects = node.participant.step({ kind: 'stable', orders: this.#stableOrders });
    if (effects.length > 0 && !node.process.frozen) this.unblock(node.process);
    this.#execute(node, effects, 0);
  }

  // --- Checkpoints ---------------------------------------------------------------------------------------------------------------

  #scheduleCheckpoint(node: Node): void {
    const delay = Math.round(micros(this.config.intervalMs) * (0.5 + nextFraction(this.random)));
    this.queue.push(
      this.now + delay,
      () => {
        if (!this.working) return;
        if (!node.process.frozen && !node.process.down && node.replay === undefined) {
          this.#execute(node, node.participant.step({ kind: 'checkpoint' }), 0);
        }
        this.#scheduleCheckpoint(node);
      },
      undefined,
    );
  }

  #checkpoint(node: Node, forced: boolean): void {
    const { process, life } = node;
    const { costs, stateBytes } = this.config;
    const checkpoint: Checkpoint = {
      number: ++node.interval,
      time: this.now,
      app: process.state.copy(),
      state: node.participant.capture(),
      complete: false,
    };
    node.checkpoints.push(checkpoint);
    this.metrics.checkpoints++;
    if (forced) this.metrics.forcedCheckpoints++;
    this.trace.add(this.now, process.name, 'cut', forced ? 'forced' : 'basic', checkpoint.number);
    process.frozen = true;
    this.block(process);
    const dump = costs.freezeMs + costs.dumpBaseMs + costs.thawMs;
    const duration = micros(dump) + Math.round((stateBytes / costs.dumpBytesPerSecond) * 1e6);
    this.queue.push(
      this.now + duration,
      () => {
        if (life !== node.life) return;
        checkpoint.complete = true;
        this.unblock(process);
        // What the message that forced the checkpoint waits for comes first.
        process.frozen = false;
        if (this.algorithm.recovery === 'replay') this.#completed(node);
        this.#execute(node, node.awaited.splice(0), 0);
        this.thaw(process);
        this.#drain(node);
        if (this.metrics.checkpoints % Math.ceil(this.nodes.length / 8) === 0) this.#countStorage();
      },
      undefined,
    );
  }

  /** Logging: the checkpoint makes older ones, and everybody's messages to this process before it, superfluous. */
  #completed(node: Node): void {
    const settled = node.checkpoints.findLast(({ complete, state }) => complete && this.#isStable(state));
    if (settled !== undefined) {
      node.checkpoints = node.checkpoints.filter((checkpoint) => checkpoint.number >= settled.number);
      const { order } = settled.state;
      node.events = node.events.filter((event) => event.determinant.order > order);
      node.stable = node.stable.filter((determinant) => determinant.order > order);
      this.#forgetSent(node, settled);
    }
    this.#becameStable(node, node.stable);
  }

  /** Nothing that the state depends on can be lost any more. */
  #isStable(state: MessageParticipantState): boolean {
    for (const [process, order] of state.vector) {
      const own = this.#node(process);
      const saved = own.checkpoints.findLast(({ complete }) => complete)?.state.order ?? 0;
      if (order > Math.max(this.#stableOrders[process] ?? 0, saved)) return false;
    }
    return true;
  }

  #forgetSent(node: Node, checkpoint: Checkpoint): void {
    for (const channel of node.process.in) {
      const below = checkpoint.app.receivedFrom(channel.reversePosition) + 1;
      this.#node(channel.from.index).participant.forgetSent(node.process.index, below);
    }
    this.#countControl(node.process.in.length);
  }

  #countStorage(): void {
    let bytes = 0;
    for (const node of this.nodes) {
      bytes += node.checkpoints.length * this.config.stateBytes;
      bytes += node.participant.sentLogBytes + node.stable.length * DETERMINANT_BYTES;
    }
    this.metrics.peakStorageBytes = Math.max(this.metrics.peakStorageBytes, bytes);
  }

  // --- Rollback to a recovery line -----------------------------------------------------------------------------------------------

  #depend(node: Node, { from, piggyback }: Envelope): void {
    const fromInterval = piggyback.interval ?? 0;
    const toInterval = node.interval;
    const known = node.lastDependencies.get(from);
    if (known?.fromInterval === fromInterval && known.toInterval === toInterval) return;
    const dependency: Dependency = { from, fromInterval, to: node.process.index, toInterval };
    node.lastDependencies.set(from, dependency);
    node.dependencies.push(dependency);
  }

  /** Garbage collection (Elnozahy et al. 2002, section 3.1.4): what lies before the line of a failure of everybody is never needed. */
  #scheduleCollection(): void {
    this.queue.push(
      this.now + micros(this.config.intervalMs),
      () => {
        if (!this.working) return;
        this.#collect();
        this.#scheduleCollection();
      },
      undefined,
    );
  }

  #collect(): void {
    const start = this.nodes.map(({ checkpoints }) => checkpoints.findLast(({ complete }) => complete)?.number ?? 0);
    const line = recoveryLine(
      start,
      this.nodes.flatMap(({ dependencies }) => dependencies),
    );
    this.nodes.forEach((node, i) => {
      const keep = node.checkpoints.find(({ number }) => number === line[i]);
      if (keep === undefined || keep === node.checkpoints[0]) return;
      node.checkpoints = node.checkpoints.filter(({ number }) => number >= keep.number);
      this.#forgetSent(node, keep);
    });
    this.#countControl(2 * this.nodes.length);
  }

  protected override crash(process: Process): void {
    const node = this.#node(process.index);
    process.down = true;
    process.frozen = true;
    node.life++;
    node.inbox = [];
    node.awaited = [];
    node.logPending = [];
    node.logWriting = false;
    this.block(process);
    for (const { index } of [...process.in, ...process.out]) this.channelTable.nextGeneration(index);
    const crashedAt = this.now;
    if (this.#recovering) return;
    this.#recovering = true;
    const { costs } = this.config;
    this.queue.push(
      this.now + micros(costs.detectMs),
      () => {
        this.#recovering = false;
        if (this.algorithm.recovery === 'rollback') this.#rollBack(crashedAt);
        else this.#replay(crashedAt);
      },
      undefined,
    );
  }

  #rollBack(crashedAt: number): void {
    const start = this.nodes.map(({ process, checkpoints, interval }) =>
      process.down ? (checkpoints.findLast(({ complete }) => complete)?.number ?? 0) : interval + 1,
    );
    const line = recoveryLine(
      start,
      this.nodes.flatMap(({ dependencies }) => dependencies),
    );
    const back: Node[] = [];
    this.nodes.forEach((node, i) => {
      const number = line[i] ?? 0;
      if (number > node.interval) return;
      const checkpoint = node.checkpoints.find((one) => one.number === number);
      if (checkpoint === undefined) {
        this.violation(`${node.process.name}: checkpoint ${number} of the recovery line is gone`);
        return;
      }
      this.#countRollback(node, checkpoint, crashedAt);
      this.#restore(node, checkpoint);
      node.interval = number;
      node.dependencies = node.dependencies.filter(({ toInterval }) => toInterval < number);
      node.lastDependencies.clear();
      back.push(node);
    });
    this.#afterRestore(back, crashedAt);
    for (const node of back) {
      const { life } = node;
      this.queue.push(this.now + this.#restoreTime(), () => this.#runAgain(node, life), undefined);
    }
  }

  #countRollback(node: Node, checkpoint: Checkpoint, crashedAt: number): void {
    const { metrics } = this;
    const passed = node.checkpoints.filter(({ number, complete }) => complete && number >= checkpoint.number).length;
    metrics.processesRolledBack++;
    metrics.rollbackCheckpoints += passed;
    metrics.maxRollbackCheckpoints = Math.max(metrics.maxRollbackCheckpoints, passed);
    if (this.algorithm.recovery === 'rollback') metrics.lostWorkUs += Math.max(0, crashedAt - checkpoint.time);
  }

  #restore(node: Node, checkpoint: Checkpoint): void {
    const { process } = node;
    node.life++;
    node.inbox = [];
    node.awaited = [];
    node.logPending = [];
    node.logWriting = false;
    node.checkpoints = node.checkpoints.filter(({ number }) => number <= checkpoint.number);
    checkpoint.complete = true;
    process.state.load(checkpoint.app);
    process.down = false;
    process.frozen = true;
    this.scheduleTick(process.index, -1);
    this.block(process);
    node.participant.restore(checkpoint.state);
    this.trace.add(this.now, process.name, 'restore', 'checkpoint', checkpoint.number);
  }

  /** Channels of processes that went back begin anew: the sender gives again what the receiver's state has not. */
  #afterRestore(back: readonly Node[], crashedAt: number): void {
    const { metrics } = this;
    metrics.recoveries++;
    metrics.recoveryTimeUs += this.now - crashedAt + this.#restoreTime();
    this.#countControl(4 * this.nodes.length);
    const channels = new Set(back.flatMap(({ process }) => [...process.in, ...process.out]));
    for (const { participant, process } of this.nodes) {
      if (process.down) continue;
      for (const node of back) participant.step({ kind: 'recovered', process: node.process.index });
    }
    for (const channel of channels) {
      this.channelTable.nextGeneration(channel.index);
      const receiver = this.#node(channel.to.index);
      receiver.inbox = receiver.inbox.filter(({ from }) => from !== channel.from.index);
      // A message that waits for the checkpoint it has forced may come from a state that is undone: it comes again.
      receiver.awaited = receiver.awaited.filter(
        (effect) => effect.kind !== 'deliver' || effect.message.from !== channel.from.index,
      );
      if (channel.from.down || channel.to.down) continue;
      const received = channel.to.state.receivedFrom(channel.reversePosition);
      if (this.algorithm.recovery === 'rollback') this.#checkOrphan(channel);
      const again = this.#node(channel.from.index).participant.sentFrom(channel.to.index, received + 1);
      for (const message of again) this.#send(message);
    }
  }

  #checkOrphan(channel: Channel): void {
    const sent = channel.from.state.sentTo(channel.position);
    const received = channel.to.state.receivedFrom(channel.reversePosition);
    if (received > sent) this.violation(`${channel.id}: orphan message, ${received} delivered but only ${sent} sent`);
  }

  #restoreTime(): number {
    const { costs, stateBytes } = this.config;
    return micros(costs.restoreBaseMs) + Math.round((stateBytes / costs.restoreBytesPerSecond) * 1e6);
  }

  #runAgain(node: Node, life: number): void {
    if (life !== node.life || node.process.down) return;
    this.unblock(node.process);
    this.thaw(node.process);
    this.scheduleTick(node.process.index, micros(this.config.thinkMs) + (node.process.index % 97));
    this.#drain(node);
  }

  // --- Replay of what was logged -------------------------------------------------------------------------------------------------

  #replay(crashedAt: number): void {
    const back: Node[] = [];
    // Who was still being replayed knows only a part of its past, and may wait for what has just been lost: it begins again.
    for (const { replay, process } of this.nodes) if (replay !== undefined) process.down = true;
    for (const { node, checkpoint, determinants, target } of planReplay(this.nodes)) {
      if (this.algorithm.orphanFree === true && !node.process.down) {
        this.violation(`${node.process.name} has to go back to state ${target} although it did not crash`);
      }
      const lost = node.events.find(({ determinant }) => determinant.order > target);
      if (lost !== undefined) this.metrics.lostWorkUs += Math.max(0, crashedAt - lost.time);
      this.#countRollback(node, checkpoint, crashedAt);
      const expected = new Map<number, number>();
      for (const { determinant, digest } of node.events) {
        if (digest !== undefined && determinant.order <= target) expected.set(determinant.order, digest);
      }
      this.#restore(node, checkpoint);
      node.expected = expected;
      node.events = node.events.filter(({ determinant }) => determinant.order <= checkpoint.state.order);
      node.stable = node.stable.filter(({ order }) => order <= target);
      this.#stableOrders[node.process.index] = Math.min(this.#stableOrders[node.process.index] ?? 0, target);
      node.replay = [...determinants];
      node.replayReady = false;
      back.push(node);
    }
    this.#afterRestore(back, crashedAt);
    for (const node of back) {
      const { life } = node;
      const duration = this.#restoreTime() + REPLAY_EVENT_US * (node.replay?.length ?? 0);
      this.metrics.recoveryTimeUs += REPLAY_EVENT_US * (node.replay?.length ?? 0);
      const begin = (): void => {
        if (life !== node.life || node.process.down) return;
        node.replayReady = true;
        this.#becameStable(node, node.stable);
        this.#repeat(node);
      };
      this.queue.push(this.now + duration, begin, undefined);
    }
  }

  /** Repeats as many logged events as have what they need; a message that has not come yet will call this again. */
  #repeat(node: Node): void {
    const { replay, process } = node;
    if (replay === undefined || !node.replayReady || process.down) return;
    for (let next = replay[0]; next !== undefined; next = replay[0]) {
      if (next.sender === OWN_ACTION) {
        replay.shift();
        this.act(process.index);
        continue;
      }
      const { sender, number } = next;
      const at = node.inbox.findIndex((message) => message.from === sender && message.number === number);
      const message = node.inbox[at];
      if (message === undefined) return;
      node.inbox.splice(at, 1);
      replay.shift();
      this.#execute(node, node.participant.step({ kind: 'receive', message }), 0);
    }
    node.replay = undefined;
    node.expected = undefined;
    for (const channel of process.out) {
      if (!channel.to.down && this.#node(channel.to.index).replay === undefined) this.#checkOrphan(channel);
    }
    this.trace.add(this.now, process.name, 'replayed', 'state', node.participant.order);
    this.#runAgain(node, node.life);
  }

  // --- End -----------------------------------------------------------------------------------------------------------------------

  protected override settled(): boolean {
    // Checkpoints need not be waited for: with some algorithms there is always one under way.
    return !this.#recovering && this.nodes.every(({ process, replay }) => !process.down && replay === undefined);
  }

  protected override finalChecks(): void {
    for (const fault of restFaults(this.processes, this.channels, true)) this.violation(fault);
    this.#countStorage();
    if (this.algorithm.recovery === 'replay') {
      this.metrics.loggedBytes += this.nodes.reduce((sum, { participant }) => sum + participant.sentLogBytes, 0);
      return;
    }
    const dependencies = this.nodes.flatMap((node) => node.dependencies);
    const checkpoints = this.nodes.reduce((sum, { interval }) => sum + interval, 0);
    this.metrics.uselessCheckpoints =
      checkpoints * (dependencies.length + this.nodes.length) > MAX_USELESS_WORK
        ? -1
        : uselessCheckpoints(
            this.nodes.map(({ interval }) => interval),
            dependencies,
          );
  }

  #countControl(messages: number): void {
    this.metrics.controlMessages += messages;
    this.metrics.controlBytes += messages * CONTROL_BYTES;
  }

  #newNode(process: Process): Node {
    const participant = this.algorithm.participant(process.index);
    const state = participant.capture();
    return {
      process,
      participant,
      inbox: [],
      checkpoints: [{ number: 0, time: 0, app: process.state.copy(), state, complete: true }],
      interval: 0,
      dependencies: [],
      lastDependencies: new Map(),
      life: 0,
      events: [],
      stable: [],
      logPending: [],
      logWriting: false,
      replay: undefined,
      awaited: [],
      replayReady: false,
      expected: undefined,
    };
  }

  #node(index: number): Node {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no process ${index}`);
    return node;
  }

  #key(from: number, to: number): number {
    return from * this.config.processes + to;
  }

  #channel(from: number, to: number): Channel {
    const channel = this.#byEnds.get(this.#key(from, to));
    if (channel === undefined) throw new Error(`no channel p${from}>p${to}`);
    return channel;
  }
}
