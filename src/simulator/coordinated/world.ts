import type { Algorithm, ParticipantInput } from '../../algorithms/contract.ts';
import { micros, type SimulationConfig } from '../world/config.ts';
import { SimulatedAgent } from './agent.ts';
import type { CoordinatedContext } from './context.ts';
import { ControlPlane } from './control-plane.ts';
import { Coordinator, type RoundOutcome } from './coordinator.ts';
import { Cuts } from './cuts/cuts.ts';
import { FreezeCheck } from './freeze-check.ts';
import { MinimalParticipation } from './cuts/minimal-participation.ts';
import { Rollback } from './cuts/rollback.ts';
import { restFaults, type GlobalCheckpoint } from '../world/global-checkpoint.ts';
import { KernelTransport } from './transports/kernel-transport.ts';
import type { Channel, Process } from '../world/process.ts';
import { StreamTransport } from './transports/stream-transport.ts';
import type { Agent, Transport } from './transports/transport.ts';
import { World } from '../world/world.ts';

/**
 * A world whose checkpoints are coordinated: agents and a coordinator that execute the effects of participants and rounds, at the costs of
 * the configuration, and the rollback of everybody to the last committed cut after a crash.
 */
export class CoordinatedWorld extends World implements CoordinatedContext {
  readonly algorithm: Algorithm;
  readonly agents: readonly SimulatedAgent[];
  readonly transport: Transport;
  /** If only those take part who must. */
  readonly minimal: MinimalParticipation | undefined;
  readonly cuts: Cuts;
  readonly freezeCheck: FreezeCheck;
  readonly control: ControlPlane;
  readonly coordinator: Coordinator;
  readonly #rollback: Rollback;
  readonly #byId: ReadonlyMap<string, Channel>;
  /** An agent that was at work when last asked. */
  #busyAgent = 0;

  constructor(config: SimulationConfig, algorithm: Algorithm) {
    super(config);
    this.algorithm = algorithm;
    this.#byId = new Map(this.channels.map((channel) => [channel.id, channel]));
    this.minimal = MinimalParticipation.of(this, algorithm);
    this.freezeCheck = new FreezeCheck(this);
    this.transport =
      algorithm.interceptor === 'kernel'
        ? new KernelTransport(this)
        : new StreamTransport(this, { epochOnMessages: algorithm.name.startsWith('mattern') });
    this.agents = this.processes.map((process) => new SimulatedAgent(this, process));
    this.cuts = new Cuts(this);
    this.control = new ControlPlane(this);
    this.coordinator = new Coordinator(this);
    this.#rollback = new Rollback(this);
    this.begin();
    if (config.intervalMs > 0) this.#schedulePeriodicRound();
  }

  /** The last committed cut. */
  get committed(): GlobalCheckpoint {
    return this.cuts.committed;
  }

  /** What past rounds came to, oldest first. */
  get outcomes(): readonly RoundOutcome[] {
    return this.coordinator.outcomes;
  }

  /**
   * Begins a round now. Refused (false) while one is open or a recovery runs, as the coordinator does. The initiator matters where only
   * those take part who must; without one they take turns.
   */
  startRound(initiator = this.processes[this.coordinator.epoch % this.processes.length]): boolean {
    return !this.#rollback.running && this.coordinator.start(initiator);
  }

  /** The participants' and interceptors' protocol state becomes whatever the caller makes of it (self-stabilisation tests). */
  corrupt(change: (agent: Agent, epoch: number) => void): void {
    for (const agent of this.agents) change(agent, this.coordinator.epoch);
  }

  /** A marker that nobody sent stands in a channel. */
  forgeMarker(channel: Channel, epoch: number): void {
    this.transport.sendMarker(channel, epoch);
  }

  /** @throws Error if there is none */
  channel(id: string): Channel {
    const channel = this.#byId.get(id);
    if (channel === undefined) throw new Error(`no channel ${id}`);
    return channel;
  }

  feed(process: Process, input: ParticipantInput, done?: () => void): void {
    this.agents[process.index]?.feed(input, done);
  }

  marker(channel: number, epoch: number, done: () => void): void {
    const { id, to } = this.#at(channel);
    this.agents[to.index]?.feed({ kind: 'marker', channel: id, epoch, now: this.now / 1000 }, done);
  }

  recorded(channel: number, bytes: number, added: number): void {
    const { id, to } = this.#at(channel);
    const agent = this.agents[to.index];
    if (agent === undefined) return;
    agent.late += added;
    if (this.coordinator.counts) this.coordinator.countArrived(agent);
    else agent.feed({ kind: 'recorded', channel: id, bytes, now: this.now / 1000 });
  }

  override thaw(process: Process): void {
    super.thaw(process);
    this.transport.thawed(process);
  }

  override coordinatorCrash(downUs: number): void {
    this.coordinator.crash(downUs);
  }

  /** Ignored in a recovery: a node that fails then is not simulated. */
  override agentCrash(process: Process, downUs: number): void {
    const agent = this.agents[process.index];
    if (agent === undefined || agent.dead || process.down || this.#rollback.running) return;
    this.coordinator.agentDies(agent);
    agent.die(downUs);
  }

  override hangUp(channel: Channel): void {
    this.transport.hangUp(channel);
  }

  protected override transmit(from: number, channel: number, number: number, payload: number): void {
    this.minimal?.log(channel, number, payload);
    this.transport.transmit(from, channel, number, payload);
  }

  protected override crash(process: Process): void {
    this.#rollback.crash(process);
  }

  protected override settled(): boolean {
    if (this.coordinator.openPhase !== undefined || this.#rollback.running) return false;
    const { agents } = this;
    // Asked after every event: begins with the one who was not ready last time.
    for (let i = 0; i < agents.length; i++) {
      const index = (this.#busyAgent + i) % agents.length;
      if (agents[index]?.idle !== false) continue;
      this.#busyAgent = index;
      return false;
    }
    return true;
  }

  protected override finalChecks(): void {
    const { openPhase } = this.coordinator;
    if (openPhase !== undefined) this.violation(`${openPhase} was never ended`);
    for (const process of this.processes) if (process.blocked) this.violation(`${process.name} stayed blocked`);
    for (const fault of restFaults(this.processes, this.channels, this.config.fifo)) this.violation(fault);
    const money = this.cuts.restingMoneyFault();
    if (money !== undefined) this.violation(money);
  }

  #schedulePeriodicRound(): void {
    const due = (): void => {
      if (!this.working) return;
      this.startRound();
      this.#schedulePeriodicRound();
    };
    this.queue.push(this.now + micros(this.config.intervalMs), due, undefined);
  }

  #at(index: number): Channel {
    const channel = this.channels[index];
    if (channel === undefined) throw new Error(`no channel ${index}`);
    return channel;
  }
}
