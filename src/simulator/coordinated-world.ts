import type {
  Algorithm,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOutcome,
  Round,
  RoundEffect,
  RoundInput,
} from '../algorithms/contract.ts';
import { KooTouegRound, type MinimalAlgorithm } from '../algorithms/koo-toueg.ts';
import { MatternCounter } from '../algorithms/mattern.ts';
import { micros, type SimulationConfig } from './config.ts';
import { cutFaults, needlessFaults, restFaults, totalMoney, type Cut } from './cut.ts';
import { KernelTransport } from './kernel-transport.ts';
import { CONTROL_BYTES } from './metrics.ts';
import { nextExponential } from './prng.ts';
import { receivedLabels, sentLabels, SentLog } from './sent-log.ts';
import { StreamTransport } from './stream-transport.ts';
import type { Agent, Network, Tentative, Transport } from './transport.ts';
import type { Channel, Process } from './process.ts';
import { World } from './world.ts';

/** An agent with what only the executor needs to know. */
interface Executor extends Agent {
  inputs: { readonly input: ParticipantInput; readonly done: (() => void) | undefined }[];
  /** Effects of a step are being carried out. */
  stepping: boolean;
  /** Local checkpoints begun or discarded: the end of an older one is void. */
  saves: number;
  saving: boolean;
  /** `recorded` messages of the open round (counting algorithms). */
  late: number;
  /** The last report, and who wants to hear of it: a marker may make the cut before the coordinator's word arrives. */
  outcome: ParticipantOutcome | undefined;
  onReport: (() => void) | undefined;
  /** Epoch that the interceptor is attached for; 0 for none. */
  prepared: number;
}

/** One round under way. */
interface OpenRound {
  readonly round: Round;
  readonly epoch: number;
  readonly startedAt: number;
  readonly counter: MatternCounter | undefined;
  /** Participants are found on the way (Koo & Toueg 1987). */
  readonly minimal: Minimal | undefined;
}

interface Minimal {
  readonly round: KooTouegRound;
  readonly initiator: string;
}

const TICK_US = 100_000;
/** A call whose peer cannot be reached fails after so long (keep-alive). */
const CALL_TIMEOUT_US = 1_000_000;
/** How long after its deadline a round may still be open (late control messages) before that is a fault. */
const ROUND_SLACK = 3;

/**
 * A world whose checkpoints are coordinated: the executor of {@link Participant} and {@link Round} effects, with the costs of the
 * configuration, and the rollback of everybody to the last committed cut after a crash. It plays the agents and the coordinator.
 */
export class CoordinatedWorld extends World implements Network {
  readonly algorithm: Algorithm;
  readonly agents: readonly Executor[];
  /** The last committed cut. */
  committed: Cut;
  /** What the open and past rounds came to, oldest first. */
  readonly outcomes: { readonly epoch: number; readonly ok: boolean; readonly reason: string }[] = [];
  /** A cut that the check before the commit refuses is a fault of the algorithm. Off while a corrupted state is being repaired. */
  refusalIsViolation = true;
  readonly #transport: Transport;
  /** The algorithm, if only those take part who must, and what its senders keep. */
  readonly #minimal: MinimalAlgorithm | undefined;
  readonly #sentLog: SentLog | undefined;
  readonly #names: readonly string[];
  readonly #channels = new Map<string, Channel>();
  readonly #byName = new Map<string, Executor>();
  readonly #money: number;
  #epoch = 0;
  #open: OpenRound | undefined;
  #coordinatorDownUntil = 0;
  #recovering = false;
  #tickScheduled = false;

  constructor(config: SimulationConfig, algorithm: Algorithm) {
    super(config);
    this.algorithm = algorithm;
    this.#minimal = isMinimal(algorithm) ? algorithm : undefined;
    this.#sentLog = this.#minimal === undefined ? undefined : new SentLog(this.channels);
    this.agents = this.processes.map((process) => this.#newExecutor(process));
    for (const channel of this.channels) this.#channels.set(channel.id, channel);
    this.#names = this.processes.map(({ name }) => name);
    for (const agent of this.agents) this.#byName.set(agent.process.name, agent);
    this.#transport =
      algorithm.interceptor === 'kernel'
        ? new KernelTransport(this)
        : new StreamTransport(this, { epochOnMessages: algorithm.name.startsWith('mattern') });
    this.committed = {
      epoch: 0,
      times: this.processes.map(() => 0),
      states: this.processes.map(({ state }) => state.copy()),
      channels: this.channels.map(() => []),
    };
    this.#money = totalMoney(this.committed);
    this.begin();
    if (config.intervalMs > 0) this.#schedulePeriodicRound();
  }

  /**
   * Begins a round now. Refused (false) while one is open or a recovery runs, as the coordinator does. The initiator matters where only
   * those take part who must; without one they take turns.
   */
  startRound(initiator = this.processes[this.#epoch % this.processes.length]): boolean {
    if (this.#open !== undefined || this.#recovering || this.now < this.#coordinatorDownUntil) return false;
    const epoch = ++this.#epoch;
    const { deadlineMs } = this.config;
    const first = initiator?.name ?? '';
    const processes =
      this.#minimal === undefined ? this.#names : [first, ...this.#names.filter((name) => name !== first)];
    const round = this.algorithm.round({ processes, epoch, deadlineMs, keepFrozen: false });
    const minimal = round instanceof KooTouegRound ? { round, initiator: first } : undefined;
    const counter = this.algorithm.name.startsWith('mattern') ? new MatternCounter(this.#names) : undefined;
    this.#open = { round, epoch, startedAt: this.now, counter, minimal };
    this.metrics.roundsStarted++;
    this.trace.add(this.now, 'coordinator', 'round', 'begins', epoch);
    this.#feedRound(this.#open, { kind: 'begin', now: this.now / 1000 });
    this.#scheduleTick();
    return true;
  }

  /** The participants' and interceptors' protocol state becomes whatever the caller makes of it (self-stabilisation tests). */
  corrupt(change: (agent: Agent, epoch: number) => void): void {
    for (const agent of this.agents) change(agent, this.#epoch);
  }

  /** The coordinator's idea of the epoch is corrupted too. */
  corruptEpoch(epoch: number): void {
    this.#epoch = epoch;
  }

  /** A marker that nobody sent stands in a channel. */
  forgeMarker(channel: Channel, epoch: number): void {
    this.#transport.sendMarker(channel, epoch);
  }

  protected override transmit(from: number, channel: number, number: number, payload: number): void {
    if (this.#sentLog !== undefined) {
      this.#sentLog.add(channel, number, payload);
      this.metrics.loggedBytes += this.config.messageBytes;
    }
    this.#transport.transmit(from, channel, number, payload);
  }

  override thaw(process: Process): void {
    super.thaw(process);
    this.#transport.thawed(process);
  }

  // --- Rounds: the coordinator ---------------------------------------------------------------------------------------------------

  #schedulePeriodicRound(): void {
    this.queue.push(
      this.now + micros(this.config.intervalMs),
      () => {
        if (!this.working) return;
        this.startRound();
        this.#schedulePeriodicRound();
      },
      undefined,
    );
  }

  #scheduleTick(): void {
    if (this.#tickScheduled) return;
    this.#tickScheduled = true;
    this.queue.push(this.now + TICK_US, this.#tickAll, undefined);
  }

  readonly #tickAll = (): void => {
    this.#tickScheduled = false;
    const now = this.now / 1000;
    let busy = this.#open !== undefined;
    for (const agent of this.agents) {
      if (!agent.participant.busy || agent.process.down) continue;
      busy = true;
      this.#feed(agent, { kind: 'tick', now });
    }
    if (this.#open !== undefined && now >= this.#coordinatorDownUntil / 1000) {
      const late = this.now - this.#open.startedAt > ROUND_SLACK * micros(this.config.deadlineMs) + 10_000_000;
      if (late) this.violation(`round ${this.#open.epoch} neither ended nor was aborted (${this.#open.round.phase})`);
      this.#feedRound(this.#open, { kind: 'tick', now });
      if (late) this.#open = undefined;
    }
    if (busy) this.#scheduleTick();
  };

  #feedRound(open: OpenRound, input: RoundInput): void {
    this.#stepRound(open, () => open.round.step(input));
  }

  #stepRound(open: OpenRound, step: () => readonly RoundEffect[]): void {
    if (open !== this.#open) return;
    if (this.now < this.#coordinatorDownUntil) return;
    for (const effect of step()) this.#executeRound(open, effect);
    const { phase, reason } = open.round;
    if (phase !== 'aborted' && phase !== 'committed') return;
    if (this.#open === open) this.#open = undefined;
    const ok = phase === 'committed';
    if (ok) {
      this.metrics.roundsCommitted++;
      this.metrics.roundTimeUs += this.now - open.startedAt;
    } else this.metrics.roundsAborted++;
    this.outcomes.push({ epoch: open.epoch, ok, reason: reason ?? '' });
    this.trace.add(this.now, 'coordinator', 'round', phase, open.epoch);
  }

  #executeRound(open: OpenRound, effect: RoundEffect): void {
    if (effect.kind === 'commit') {
      this.#commit(open);
      return;
    }
    const { epoch } = open;
    for (const name of effect.processes) {
      const agent = this.#byName.get(name);
      if (agent === undefined) continue;
      const requests = open.minimal?.round.requestsTo(name);
      this.#control(agent, () => {
        switch (effect.kind) {
          case 'prepare':
            if (open.minimal !== undefined && requests !== undefined && requests.size > 0) {
              const sentBefore = sentLabels(agent.process, this.committed);
              if (this.#minimal?.mustFollow(requests, sentBefore) === false) {
                const { round } = open.minimal;
                this.trace.add(this.now, name, 'declines', 'epoch', epoch);
                this.#toCoordinator(agent, () => this.#stepRound(open, () => round.declined(name)));
                break;
              }
            }
            this.#prepare(agent, open);
            break;
          case 'start':
            if (agent.prepared !== epoch) {
              this.#reply(agent, open, { kind: 'failed', process: name, reason: 'no longer prepared', now: 0 });
              break;
            }
            agent.onReport = () => this.#answer(agent, open);
            agent.onReport();
            this.#feed(agent, { kind: 'start', epoch, now: this.now / 1000 });
            break;
          case 'release':
            this.#feed(agent, { kind: 'release', now: this.now / 1000 }, () =>
              this.#reply(agent, open, { kind: 'released', process: name, now: 0 }),
            );
            break;
          case 'collect': {
            const { stateBytes, costs } = this.config;
            const delay = Math.round((stateBytes / costs.storeBytesPerSecond) * 1e6);
            this.#later(agent, delay, () => this.#reply(agent, open, { kind: 'collected', process: name, now: 0 }));
            break;
          }
          case 'finish':
            this.#detach(agent);
            break;
          case 'abort':
            this.#feed(agent, { kind: 'abort', reason: effect.reason, now: this.now / 1000 });
            this.#detach(agent);
            break;
        }
      });
    }
  }

  /** Interceptor attached: from here on packets of the coming colour are dropped; whatever an earlier round left is gone. */
  #prepare(agent: Executor, open: OpenRound): void {
    const { epoch } = open;
    this.#later(agent, micros(this.config.costs.prepareMs), () => {
      agent.late = 0;
      agent.prepared = epoch;
      agent.outcome = undefined;
      this.#detachIfForgotten(agent, epoch);
      if (this.algorithm.interceptor === 'kernel') {
        // As the real agent does: a participant per round, made when the effects of the one before it have been carried out.
        this.#feed(agent, { kind: 'abort', reason: `round ${epoch} begins`, now: this.now / 1000 }, () => {
          agent.participant = this.#newParticipant(agent.process, epoch - 1);
          agent.colour = (epoch + 1) % 2;
          // Where only some take part colours say nothing; all who do are held until the last of them has saved.
          agent.dropColour = open.minimal === undefined ? epoch % 2 : -1;
        });
      }
      this.#feed(agent, { kind: 'prepare', epoch, now: this.now / 1000 }, () => {
        if (agent.cutEpoch < epoch || agent.cutEpoch > epoch) agent.cutEpoch = epoch - 1;
        if (agent.epoch !== epoch) agent.epoch = epoch - 1;
        this.#reply(agent, open, { kind: 'prepared', process: agent.process.name, now: 0 });
      });
    });
  }

  #detach(agent: Executor): void {
    agent.prepared = 0;
    agent.dropColour = -1;
  }

  /**
   * An agent that was prepared and hears no more detaches by itself, or it would drop the packets of those that have cut for ever. It must
   * then refuse a `start` that comes after all: it may have taken messages of the new colour.
   */
  #detachIfForgotten(agent: Executor, epoch: number): void {
    this.#later(agent, 2 * micros(this.config.deadlineMs), () => {
      if (agent.prepared !== epoch) return;
      if (agent.participant.busy) this.#detachIfForgotten(agent, epoch);
      else this.#detach(agent);
    });
  }

  /** The manifest: the cut is put together and checked before it counts. */
  #commit(open: OpenRound): void {
    const cut = this.#assemble(open);
    const faults = typeof cut === 'string' ? [cut] : this.#cutFaults(cut);
    if (typeof cut !== 'string' && open.minimal !== undefined) {
      const { round, initiator } = open.minimal;
      faults.push(...needlessFaults(cut, this.committed, new Set(round.participants), initiator, this.channels));
    }
    this.queue.push(
      this.now + micros(this.config.costs.commitMs),
      () => {
        if (faults.length > 0 || typeof cut === 'string') {
          this.metrics.cutsRefused++;
          if (this.refusalIsViolation) for (const fault of faults) this.violation(`round ${open.epoch}: ${fault}`);
          this.#feedRound(open, { kind: 'failed', reason: faults[0] ?? 'cut refused', now: this.now / 1000 });
          return;
        }
        if (open === this.#open && this.now >= this.#coordinatorDownUntil) this.#permanent(cut, open);
        this.#feedRound(open, { kind: 'committed', now: this.now / 1000 });
      },
      undefined,
    );
  }

  #permanent(cut: Cut, open: OpenRound): void {
    this.committed = cut;
    const participants = open.minimal?.round.participants.length ?? this.processes.length;
    this.#sentLog?.forget(cut);
    const { metrics, config } = this;
    let channelBytes = 0;
    for (const channel of cut.channels) channelBytes += channel.length * config.messageBytes;
    metrics.recordedBytes += channelBytes;
    metrics.checkpoints += participants;
    // The former cut goes only when the new one is permanent.
    const former = cut.epoch > 0 && metrics.roundsCommitted > 0 ? participants : 0;
    metrics.peakStorageBytes = Math.max(
      metrics.peakStorageBytes,
      (this.processes.length + former) * config.stateBytes + channelBytes,
    );
  }

  /** Those who took no part are in the cut with their last checkpoint. */
  #assemble({ epoch, minimal }: OpenRound): Cut | string {
    const participants = minimal === undefined ? undefined : new Set(minimal.round.participants);
    const parts: (Tentative | undefined)[] = [];
    for (const agent of this.agents) {
      if (participants?.has(agent.process.name) === false) {
        parts.push(undefined);
        continue;
      }
      if (agent.tentative?.epoch !== epoch) return `${agent.process.name} has no checkpoint of round ${epoch}`;
      parts.push(agent.tentative);
    }
    const { committed } = this;
    const states = parts.map((part, i) => part?.state ?? committed.states[i]).filter((state) => state !== undefined);
    const times = parts.map((part, i) => part?.time ?? committed.times[i] ?? 0);
    let fault: string | undefined;
    const channels = this.channels.map((channel) => {
      const from = parts[channel.from.index];
      const to = parts[channel.to.index];
      if (from === undefined || to === undefined) return this.#sentLog?.between(channel, states) ?? [];
      return this.#transport.channelState(channel, from, to, (text) => (fault ??= text));
    });
    for (const channel of channels) this.metrics.recordedMessages += channel.length;
    return fault ?? { epoch, times, states, channels };
  }

  #cutFaults(cut: Cut): string[] {
    const faults = cutFaults(cut, this.channels, this.config.fifo);
    const money = totalMoney(cut);
    if (this.config.behaviour === 'bank' && money !== this.#money)
      faults.push(`${money} money instead of ${this.#money}`);
    return faults;
  }

  // --- Participants: the agents --------------------------------------------------------------------------------------------------

  marker(channel: number, epoch: number, done: () => void): void {
    const agent = this.agents[this.channelTable.to(channel)];
    const id = this.channels[channel]?.id;
    if (agent === undefined || id === undefined) return;
    this.#feed(agent, { kind: 'marker', channel: id, epoch, now: this.now / 1000 }, done);
  }

  recorded(channel: number, bytes: number, added: number): void {
    const agent = this.agents[this.channelTable.to(channel)];
    const id = this.channels[channel]?.id;
    if (agent === undefined || id === undefined) return;
    agent.late += added;
    if (this.#open?.counter !== undefined) this.#countArrived(agent);
    else this.#feed(agent, { kind: 'recorded', channel: id, bytes, now: this.now / 1000 });
  }

  #countArrived(agent: Executor): void {
    if (agent.tentative === undefined || agent.tentative.epoch !== this.#open?.epoch) return;
    let messages = agent.late;
    const { state } = agent.tentative;
    for (const { position } of agent.process.out) messages += state.receivedFrom(position);
    this.#feed(agent, { kind: 'arrived', messages, now: this.now / 1000 });
  }

  #newParticipant(process: Process, epoch: number): Agent['participant'] {
    const { deadlineMs } = this.config;
    const participant = this.algorithm.participant({ process: process.name, epoch, deadlineMs, keepFrozen: false });
    for (const { id } of process.in) participant.step({ kind: 'opened', channel: id, direction: 'in', epoch });
    for (const { id } of process.out) participant.step({ kind: 'opened', channel: id, direction: 'out', epoch });
    return participant;
  }

  #newExecutor(process: Process): Executor {
    return {
      process,
      participant: this.#newParticipant(process, 0),
      epoch: 0,
      cutEpoch: 0,
      colour: 0,
      dropColour: -1,
      tentative: undefined,
      life: 0,
      inputs: [],
      stepping: false,
      saves: 0,
      saving: false,
      late: 0,
      outcome: undefined,
      onReport: undefined,
      prepared: 0,
    };
  }

  /** Inputs are fed one at a time, and never while effects of an earlier step are being carried out. */
  #feed(agent: Executor, input: ParticipantInput, done?: () => void): void {
    agent.inputs.push({ input, done });
    if (!agent.stepping) this.#pump(agent);
  }

  #pump(agent: Executor): void {
    for (let next = agent.inputs.shift(); next !== undefined; next = agent.inputs.shift()) {
      const { done } = next;
      const effects = agent.participant.step(next.input);
      if (!this.#execute(agent, effects, 0, done)) return;
      done?.();
    }
  }

  /** Carries out effects in order. False when it must wait: it goes on by itself then. */
  #execute(
    agent: Executor,
    effects: readonly ParticipantEffect[],
    from: number,
    done: (() => void) | undefined,
  ): boolean {
    for (let i = from; i < effects.length; i++) {
      const effect = effects[i];
      if (effect === undefined) continue;
      const cost = this.#cost(effect);
      if (effect.kind === 'hold') this.block(agent.process);
      if (cost === 0) {
        this.#apply(agent, effect);
        continue;
      }
      agent.stepping = true;
      this.#later(agent, cost, () => {
        this.#apply(agent, effect);
        if (!this.#execute(agent, effects, i + 1, done)) return;
        agent.stepping = false;
        done?.();
        this.#pump(agent);
      });
      return false;
    }
    return true;
  }

  #cost(effect: ParticipantEffect): number {
    const { costs } = this.config;
    switch (effect.kind) {
      case 'hold':
      case 'unhold':
      case 'advance':
        return micros(costs.holdMs);
      case 'freeze':
        return micros(costs.freezeMs);
      case 'thaw':
        return micros(costs.thawMs);
      default:
        return 0;
    }
  }

  #apply(agent: Executor, effect: ParticipantEffect): void {
    const { process } = agent;
    switch (effect.kind) {
      case 'hold':
        process.held = true;
        break;
      case 'freeze':
        process.frozen = true;
        this.trace.add(this.now, process.name, 'freeze');
        break;
      case 'save':
        this.#save(agent, effect.epoch);
        break;
      case 'send-marker':
        this.#transport.sendMarker(this.#channel(effect.channel), effect.epoch);
        break;
      case 'start-recording':
        this.#transport.startRecording(this.#channel(effect.channel));
        break;
      case 'stop-recording':
        this.#transport.stopRecording(this.#channel(effect.channel));
        break;
      case 'pause-channel':
        this.#transport.pause(this.#channel(effect.channel), true);
        break;
      case 'resume-channel':
        this.#transport.pause(this.#channel(effect.channel), false);
        break;
      case 'advance':
        agent.epoch = effect.epoch;
        agent.colour = effect.epoch % 2;
        agent.dropColour = -1;
        process.held = false;
        this.#transport.released(process);
        break;
      case 'unhold':
        process.held = false;
        this.#transport.released(process);
        break;
      case 'thaw':
        this.trace.add(this.now, process.name, 'thaw');
        this.unblock(process);
        this.thaw(process);
        break;
      case 'discard':
        agent.tentative = undefined;
        agent.saves++;
        break;
      case 'report':
        this.#reported(agent, effect.outcome);
        break;
    }
  }

  #reported(agent: Executor, outcome: ParticipantOutcome): void {
    this.trace.add(this.now, agent.process.name, 'report', outcome.kind, outcome.epoch);
    agent.outcome = outcome;
    agent.onReport?.();
  }

  #answer(agent: Executor, open: OpenRound): void {
    const { outcome } = agent;
    const process = agent.process.name;
    if (outcome?.epoch !== open.epoch) return;
    if (outcome.kind === 'saved') this.#reply(agent, open, { kind: 'saved', process, now: 0 });
    else this.#reply(agent, open, { kind: 'failed', process, reason: outcome.reason, now: 0 });
  }

  #save(agent: Executor, epoch: number): void {
    const { process } = agent;
    const { stateBytes, costs } = this.config;
    agent.cutEpoch = epoch;
    // A late `start` may cut after its round has ended: the agent's own clock must end it.
    this.#scheduleTick();
    const save = ++agent.saves;
    agent.tentative = {
      epoch,
      time: this.now,
      state: process.state.copy(),
      ...this.#transport.capture(process),
    };
    this.trace.add(this.now, process.name, 'cut', 'epoch', epoch);
    if (this.#open?.counter !== undefined) this.#sendCounters(agent, this.#open);
    if (this.#open?.minimal !== undefined && this.#open.epoch === epoch) this.#sendRequests(agent, this.#open);
    const duration = micros(costs.dumpBaseMs) + Math.round((stateBytes / costs.dumpBytesPerSecond) * 1e6);
    this.#later(agent, duration, () => {
      if (save === agent.saves) this.#feed(agent, { kind: 'saved', now: this.now / 1000 });
    });
  }

  /** Mattern 1993: what was sent to whom goes to the coordinator, whose sum comes back to each process. */
  #sendCounters(agent: Executor, open: OpenRound): void {
    const { tentative, process } = agent;
    if (tentative === undefined || open.counter === undefined) return;
    const sent = new Map<string, number>();
    process.out.forEach((channel, i) => {
      const unsent = tentative.sending[i]?.length ?? 0;
      sent.set(channel.to.name, tentative.state.sentTo(i) - unsent);
    });
    this.#countArrived(agent);
    this.metrics.controlBytes += 8 * sent.size;
    this.#toCoordinator(agent, () => {
      if (open !== this.#open) return;
      const expected = open.counter?.add(process.name, sent);
      if (expected === undefined) return;
      for (const other of this.agents) {
        const messages = expected.get(other.process.name) ?? 0;
        this.#control(other, () => this.#feed(other, { kind: 'expected', messages, now: this.now / 1000 }));
      }
    });
  }

  /** Koo & Toueg 1987: whom this checkpoint depends upon is asked to take one too. The coordinator passes it on. */
  #sendRequests({ process, tentative }: Executor, open: OpenRound): void {
    const round = open.minimal?.round;
    if (tentative === undefined || round === undefined || this.#minimal === undefined) return;
    // What the socket has taken counts as received, whether or not the process has read it.
    const received = new Map(process.in.map(({ from }, i) => [from.name, (tentative.expected[i] ?? 1) - 1]));
    const cohort = this.#minimal.cohort(received, receivedLabels(process, this.committed));
    this.metrics.controlBytes += 8 * cohort.size;
    const agent = this.agents[process.index];
    if (agent !== undefined)
      this.#toCoordinator(agent, () => this.#stepRound(open, () => round.requested(process.name, cohort)));
  }

  #channel(id: string): Channel {
    const channel = this.#channels.get(id);
    if (channel === undefined) throw new Error(`no channel ${id}`);
    return channel;
  }

  // --- Control messages ----------------------------------------------------------------------------------------------------------

  #controlDelay(): number {
    const { costs, faults } = this.config;
    const jitter = nextExponential(this.random, micros(costs.controlJitterMs));
    return Math.max(1, Math.round((micros(costs.controlLatencyMs) + jitter) * faults.coordinatorSlowness));
  }

  /** Coordinator to agent: fails when they are cut off from each other. */
  #control(agent: Executor, action: () => void): void {
    this.metrics.controlMessages++;
    this.metrics.controlBytes += CONTROL_BYTES;
    if (this.cutOff(agent.process)) this.#unreachable(agent);
    else this.#later(agent, this.#controlDelay(), action);
  }

  #reply(agent: Executor, open: OpenRound, input: RoundInput): void {
    this.#toCoordinator(agent, () => this.#feedRound(open, { ...input, now: this.now / 1000 }));
  }

  #toCoordinator(agent: Executor, action: () => void): void {
    this.metrics.controlMessages++;
    this.metrics.controlBytes += CONTROL_BYTES;
    if (this.cutOff(agent.process)) this.#unreachable(agent);
    else this.queue.push(this.now + this.#controlDelay(), action, undefined);
  }

  #unreachable(agent: Executor): void {
    const open = this.#open;
    if (open === undefined) return;
    const process = agent.process.name;
    this.queue.push(
      this.now + CALL_TIMEOUT_US,
      () => this.#feedRound(open, { kind: 'failed', process, reason: 'agent unreachable', now: this.now / 1000 }),
      undefined,
    );
  }

  /** Something that happens at the agent after a delay, unless the agent has died meanwhile. */
  #later(agent: Executor, delayUs: number, action: () => void): void {
    const { life } = agent;
    const run = (): void => {
      if (life === agent.life && !agent.process.down) action();
    };
    this.queue.push(this.now + delayUs, run, undefined);
  }

  // --- Faults --------------------------------------------------------------------------------------------------------------------

  protected override settled(): boolean {
    return (
      this.#open === undefined &&
      !this.#recovering &&
      this.agents.every(({ participant, stepping }) => !participant.busy && !stepping)
    );
  }

  /** A coordinator that comes back gives up what it finds open. */
  override coordinatorCrash(downUs: number): void {
    this.#coordinatorDownUntil = this.now + downUs;
    this.trace.add(this.now, 'coordinator', 'crash');
    this.queue.push(
      this.#coordinatorDownUntil,
      () => {
        if (this.now < this.#coordinatorDownUntil || this.#open === undefined) return;
        this.#feedRound(this.#open, { kind: 'failed', reason: 'the coordinator was restarted', now: this.now / 1000 });
      },
      undefined,
    );
  }

  protected override crash(process: Process): void {
    process.down = true;
    process.frozen = true;
    this.block(process);
    const agent = this.agents[process.index];
    if (agent !== undefined) agent.life++;
    const crashedAt = this.now;
    if (this.#recovering) return;
    this.#recovering = true;
    this.queue.push(this.now + micros(this.config.costs.detectMs), () => this.#rollBack(crashedAt), undefined);
  }

  /** Everybody goes back to the last committed cut: the only recovery that coordinated checkpointing needs. */
  #rollBack(crashedAt: number): void {
    if (this.#open !== undefined) {
      const open = this.#open;
      this.#coordinatorDownUntil = Math.min(this.#coordinatorDownUntil, this.now);
      this.#feedRound(open, { kind: 'failed', reason: 'a process crashed', now: this.now / 1000 });
      this.#open = undefined;
    }
    const cut = this.committed;
    this.trace.add(this.now, 'coordinator', 'rollback', 'epoch', cut.epoch);
    const { metrics, config } = this;
    metrics.recoveries++;
    for (const { index } of this.channels) this.channelTable.nextGeneration(index);
    for (const agent of this.agents) {
      const { process } = agent;
      const state = cut.states[process.index];
      if (state === undefined) throw new Error('cut without state');
      process.state.load(state);
      metrics.processesRolledBack++;
      metrics.rollbackCheckpoints++;
      metrics.lostWorkUs += crashedAt - (cut.times[process.index] ?? 0);
      this.#restart(agent);
    }
    metrics.maxRollbackCheckpoints = Math.max(metrics.maxRollbackCheckpoints, 1);
    metrics.controlMessages += 4 * this.processes.length;
    metrics.controlBytes += 4 * CONTROL_BYTES * this.processes.length;
    this.#sentLog?.reset(cut);
    this.channels.forEach((channel) => {
      const messages = cut.channels[channel.index] ?? [];
      const { messageBytes } = config;
      this.#transport.reset(
        channel,
        messages.map(({ number, payload }) => ({
          channel: channel.index,
          number,
          payload,
          bytes: messageBytes,
          generation: this.channelTable.generation(channel.index),
        })),
      );
    });
    const restore =
      micros(config.costs.restoreBaseMs) + Math.round((config.stateBytes / config.costs.restoreBytesPerSecond) * 1e6);
    this.queue.push(this.now + restore, () => this.#releaseAll(crashedAt), undefined);
  }

  #restart(agent: Executor): void {
    const { process } = agent;
    agent.life++;
    agent.participant = this.#newParticipant(process, this.#epoch);
    agent.inputs = [];
    agent.stepping = false;
    process.held = false;
    agent.epoch = this.#epoch;
    agent.cutEpoch = this.#epoch;
    agent.colour = this.#epoch % 2;
    this.#detach(agent);
    agent.tentative = undefined;
    agent.saves++;
    agent.late = 0;
    agent.outcome = undefined;
    agent.onReport = undefined;
    process.frozen = true;
    process.down = false;
    this.scheduleTick(process.index, -1);
    this.block(process);
  }

  #releaseAll(crashedAt: number): void {
    const again = this.agents.some(({ process }) => process.down);
    this.metrics.recoveryTimeUs += this.now - crashedAt;
    this.trace.add(this.now, 'coordinator', again ? 'restore-failed' : 'restored');
    if (again) {
      // Somebody crashed while being restored: once more.
      this.queue.push(this.now + micros(this.config.costs.detectMs), () => this.#rollBack(this.now), undefined);
      return;
    }
    this.#recovering = false;
    for (const { process } of this.agents) {
      this.unblock(process);
      this.thaw(process);
      this.scheduleTick(process.index, micros(this.config.thinkMs) + (process.index % 97));
    }
  }

  protected override finalChecks(): void {
    if (this.#open !== undefined)
      this.violation(`round ${this.#open.epoch} was never ended (${this.#open.round.phase})`);
    for (const process of this.processes) if (process.held) this.violation(`${process.name} stayed held`);
    for (const fault of restFaults(this.processes, this.channels, this.config.fifo)) this.violation(fault);
    const money = this.processes.reduce((sum, { state }) => sum + state.balance, 0);
    if (this.config.behaviour === 'bank' && money !== this.#money) {
      this.violation(`at rest: ${money} money instead of ${this.#money}`);
    }
  }
}

function isMinimal(algorithm: Algorithm): algorithm is MinimalAlgorithm {
  return 'cohort' in algorithm && 'mustFollow' in algorithm;
}
