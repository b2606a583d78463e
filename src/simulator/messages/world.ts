import type { Envelope, MessageAlgorithm, MessageEffect } from '../../algorithms/message/contract.ts';
import type { SimulationConfig } from '../world/config.ts';
import { restFaults } from '../world/global-checkpoint.ts';
import { Checkpoints } from './checkpoints.ts';
import type { MessageContext } from './context.ts';
import { LineRollback } from './line-rollback.ts';
import { LogReplay } from './log-replay.ts';
import { newNode, type Node } from './node.ts';
import { Recovery } from './recovery.ts';
import { SendOrders } from './rollback-check.ts';
import { StableLog } from './stable-log.ts';
import { CONTROL_BYTES } from '../world/measurement/metrics.ts';
import type { Channel, Process } from '../world/process.ts';
import { World } from '../world/world.ts';

interface Arrival {
  readonly message: Envelope;
  readonly channel: number;
  readonly generation: number;
}

/** A world in which nobody coordinates: every message passes its participant, and a crash is recovered by rollback or by replay. */
export class MessageWorld extends World implements MessageContext {
  readonly algorithm: MessageAlgorithm;
  readonly nodes: readonly Node[];
  readonly stableLog: StableLog;
  readonly checkpoints: Checkpoints;
  readonly recovery: Recovery;
  /** For the checkers, where events are logged. */
  readonly sendOrders = new SendOrders();
  readonly #lineRollback: LineRollback;
  readonly #logReplay: LogReplay;
  /** By {@link #key}. */
  readonly #byEnds = new Map<number, Channel>();
  /** A process that was being recovered when last asked. */
  #away = 0;
  /** What the application said, in {@link act}, of its next action. */
  #nextTick = -1;

  constructor(config: SimulationConfig, algorithm: MessageAlgorithm) {
    // The sidecar's streams are FIFO: message numbers tell repetitions.
    super({ ...config, fifo: true });
    this.algorithm = algorithm;
    for (const channel of this.channels) this.#byEnds.set(this.#key(channel.from.index, channel.to.index), channel);
    this.stableLog = new StableLog(this);
    this.checkpoints = new Checkpoints(this, this.stableLog);
    this.recovery = new Recovery(this);
    this.#lineRollback = new LineRollback(this, this.recovery);
    this.#logReplay = new LogReplay(this, this.recovery, this.stableLog);
    // The first waiting times are drawn from the processes' own numbers: before checkpoint 0, or a replay would draw them again.
    this.begin();
    this.nodes = this.processes.map((process) => newNode(process, algorithm));
    this.checkpoints.begin();
  }

  /** @throws Error if there is none */
  node(index: number): Node {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no process ${index}`);
    return node;
  }

  override act(process: number): number {
    const node = this.node(process);
    this.#nextTick = -1;
    this.execute(node, node.participant.step({ kind: 'act' }));
    return this.#nextTick;
  }

  /** Carries out effects in order; a checkpoint stops the process, and the rest follows when it runs again. */
  execute(node: Node, effects: readonly MessageEffect[]): void {
    for (let i = 0; i < effects.length; i++) {
      const effect = effects[i];
      switch (effect?.kind) {
        case 'checkpoint':
          node.awaited = effects.slice(i + 1);
          this.checkpoints.take(node, effect.forced);
          return;
        case 'transmit':
          this.send(effect.message);
          break;
        case 'deliver':
          this.#deliver(node, effect.message);
          break;
        case 'act':
          this.#nextTick = super.act(node.process.index);
          this.stableLog.happened(node);
          break;
        case 'log':
          this.stableLog.log(node, effect.determinant);
          break;
        case undefined:
          break;
      }
    }
  }

  /** A basic checkpoint now, if the process runs (scenarios). */
  checkpointNow(process: Process): void {
    const node = this.node(process.index);
    if (process.frozen || process.down || node.replay !== undefined) return;
    this.execute(node, node.participant.step({ kind: 'checkpoint' }));
  }

  /** Puts a message on its way. */
  send(message: Envelope): void {
    const channel = this.#channel(message.from, message.to).index;
    this.metrics.piggybackBytes += message.piggybackBytes;
    const generation = this.channelTable.generation(channel);
    const time = this.arrival(channel, message.bytes + message.piggybackBytes);
    this.queue.push(time, this.#arrive, { message, channel, generation });
  }

  /** Takes what has come, as long as the process runs. */
  drain(node: Node): void {
    while (node.inbox.length > 0 && !node.process.frozen && node.replay === undefined) {
      const message = node.inbox.shift();
      if (message === undefined || this.#isRepetition(message)) continue;
      this.execute(node, node.participant.step({ kind: 'receive', message }));
    }
  }

  countControl(messages: number): void {
    this.metrics.controlMessages += messages;
    this.metrics.controlBytes += messages * CONTROL_BYTES;
  }

  protected override transmit(from: number, channel: number, number: number, payload: number): void {
    const node = this.node(from);
    const bytes = this.config.messageBytes;
    const to = this.channelTable.to(channel);
    if (this.algorithm.recovery === 'replay') this.sendOrders.note(channel, number, node.participant.order);
    const effects = node.participant.step({ kind: 'send', to, number, payload, bytes });
    // Output is withheld until the log is stable: as good as blocked for whoever waits for it.
    if (effects.length === 0) this.block(node.process);
    this.execute(node, effects);
  }

  protected override crash(process: Process): void {
    this.recovery.crash(process, (crashedAt) => {
      if (this.algorithm.recovery === 'rollback') this.#lineRollback.recover(crashedAt);
      else this.#logReplay.recover(crashedAt);
    });
  }

  protected override settled(): boolean {
    // Checkpoints need not be waited for: with some algorithms there is always one under way.
    if (this.recovery.running) return false;
    const { nodes } = this;
    // Asked after every event: begins with the one who was not ready last time.
    for (let i = 0; i < nodes.length; i++) {
      const index = (this.#away + i) % nodes.length;
      const node = nodes[index];
      if (node === undefined || (!node.process.down && node.replay === undefined)) continue;
      this.#away = index;
      return false;
    }
    return true;
  }

  protected override finalChecks(): void {
    for (const fault of restFaults(this.processes, this.channels, true)) this.violation(fault);
    this.checkpoints.countStorage();
    if (this.algorithm.recovery === 'rollback') this.#lineRollback.countUseless();
    else this.metrics.loggedBytes += this.nodes.reduce((sum, { participant }) => sum + participant.sentLogBytes, 0);
  }

  readonly #arrive = ({ message, channel, generation }: Arrival): void => {
    if (generation !== this.channelTable.generation(channel) || this.processTable.down(message.to)) return;
    const node = this.node(message.to);
    node.inbox.push(message);
    if (node.replay === undefined) this.drain(node);
    else this.#logReplay.repeat(node);
  };

  #isRepetition(message: Envelope): boolean {
    const channel = this.#channel(message.from, message.to);
    const received = channel.to.state.receivedFrom(channel.reversePosition);
    if (message.number > received + 1) {
      this.violation(`${channel.id}: message ${message.number} came after ${received}: one is lost`);
    }
    return message.number <= received;
  }

  #deliver(node: Node, envelope: Envelope): void {
    const { number, payload, bytes } = envelope;
    const channel = this.#channel(envelope.from, envelope.to).index;
    if (this.algorithm.recovery === 'rollback') this.#lineRollback.depend(node, envelope);
    this.deliver({ channel, number, payload, bytes, generation: this.channelTable.generation(channel) });
    this.stableLog.happened(node);
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
