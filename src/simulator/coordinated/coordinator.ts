import type { Round, RoundEffect, RoundInput } from '../../algorithms/contract.ts';
import { KooTouegRound } from '../../algorithms/coordinated/koo-toueg.ts';
import { MatternCounter } from '../../algorithms/coordinated/mattern.ts';
import { micros } from '../world/config.ts';
import type { CoordinatedAgent, CoordinatedContext } from './context.ts';
import type { Process } from '../world/process.ts';
import type { Tentative } from './transports/transport.ts';

/** One round under way. */
interface OpenRound {
  readonly round: Round;
  readonly epoch: number;
  readonly startedAt: number;
  readonly initiator: string;
  readonly counter: MatternCounter | undefined;
}

/** What a round came to. */
export interface RoundOutcome {
  readonly epoch: number;
  readonly ok: boolean;
  readonly reason: string;
}

const TICK_US = 100_000;
/** How long after its deadline a round may still be open (late control messages) before that is a fault. */
const ROUND_SLACK = 3;

/** The coordinator: executes the effects of one round at a time through the agents, and may die and come back. */
export class Coordinator {
  /** What past rounds came to, oldest first. */
  readonly outcomes: RoundOutcome[] = [];
  /** A cut that the check before the commit refuses is a fault of the algorithm. Off while a corrupted state is being repaired. */
  refusalIsViolation = true;
  /** Number of the last round. */
  epoch = 0;
  readonly #world: CoordinatedContext;
  readonly #names: readonly string[];
  readonly #byName: ReadonlyMap<string, CoordinatedAgent>;
  #open: OpenRound | undefined;
  #downUntil = 0;
  readonly #silencesUs: number[] = [];
  /** Outcomes whose gap has been noted. */
  #noted = 0;
  #tickScheduled = false;

  constructor(world: CoordinatedContext) {
    this.#world = world;
    this.#names = world.processes.map(({ name }) => name);
    this.#byName = new Map(world.agents.map((agent) => [agent.process.name, agent]));
  }

  /** Phase of the round under way. */
  get openPhase(): string | undefined {
    return this.#open === undefined ? undefined : `round ${this.#open.epoch} (${this.#open.round.phase})`;
  }

  /** The open round counts messages (Mattern 1993). */
  get counts(): boolean {
    return this.#open?.counter !== undefined;
  }

  /** Begins a round. False while one is open or the coordinator is down. */
  start(initiator: Process | undefined): boolean {
    const world = this.#world;
    if (this.#open !== undefined || world.now < this.#downUntil) return false;
    const epoch = ++this.epoch;
    const { deadlineMs } = world.config;
    const first = initiator?.name ?? '';
    const minimal = world.minimal !== undefined;
    const processes = minimal ? [first, ...this.#names.filter((name) => name !== first)] : this.#names;
    const round = world.algorithm.round({ processes, epoch, deadlineMs, keepFrozen: false });
    const counter = world.algorithm.name.startsWith('mattern') ? new MatternCounter(this.#names) : undefined;
    this.#open = { round, epoch, startedAt: world.now, initiator: first, counter };
    this.#noteSilence();
    world.metrics.roundsStarted++;
    world.trace.add(world.now, 'coordinator', 'round', 'begins', epoch);
    this.#feed(this.#open, { kind: 'begin', now: world.now / 1000 });
    this.scheduleTick();
    return true;
  }

  /** By committed round: the longest time without a message at process 0, from its beginning to that of the next. Microseconds. */
  get silencesUs(): readonly number[] {
    this.#noteSilence();
    return this.#silencesUs;
  }

  scheduleTick(): void {
    if (this.#tickScheduled) return;
    this.#tickScheduled = true;
    this.#world.queue.push(this.#world.now + TICK_US, this.#tick, undefined);
  }

  /** Calls that this agent has not answered fail. */
  agentDies(agent: CoordinatedAgent): void {
    if (agent.calls > 0) this.#world.control.refused(agent);
    agent.calls = 0;
  }

  /** The round that is open now, if there is one, hears after a delay that it has failed. */
  failLater(delayUs: number, reason: string): void {
    const open = this.#open;
    if (open === undefined) return;
    const { queue, now } = this.#world;
    queue.push(now + delayUs, () => this.#fail(open, reason), undefined);
  }

  /** A coordinator that comes back gives up what it finds open. */
  crash(downUs: number): void {
    const { queue, trace, now } = this.#world;
    this.#downUntil = now + downUs;
    trace.add(now, 'coordinator', 'crash');
    queue.push(
      this.#downUntil,
      () => {
        if (this.#open === undefined || this.#world.now < this.#downUntil) return;
        this.#fail(this.#open, 'the coordinator was restarted');
      },
      undefined,
    );
  }

  /** Everybody goes back to a checkpoint: the open round has failed, and nothing of it may come any more. */
  giveUp(reason: string): void {
    if (this.#open === undefined) return;
    this.#downUntil = Math.min(this.#downUntil, this.#world.now);
    this.#fail(this.#open, reason);
    this.#open = undefined;
  }

  /** A process has made its cut: counters and requests leave. A late cut of an earlier round has nobody to tell. */
  hasCut(agent: CoordinatedAgent, tentative: Tentative): void {
    const open = this.#open;
    if (open?.epoch !== tentative.epoch) return;
    if (open.counter !== undefined) this.#sendCounters(agent, tentative, open);
    this.#sendRequests(agent, tentative, open);
  }

  /** The process has recorded more late messages (Mattern 1993). */
  countArrived(agent: CoordinatedAgent): void {
    const { tentative, process } = agent;
    if (tentative === undefined || tentative.epoch !== this.#open?.epoch) return;
    let messages = agent.late;
    for (const { position } of process.out) messages += tentative.state.receivedFrom(position);
    agent.feed({ kind: 'arrived', messages, now: this.#world.now / 1000 });
  }

  #noteSilence(): void {
    const longest = this.#world.arrivalGap.take();
    if (this.#noted === this.outcomes.length) return;
    this.#noted = this.outcomes.length;
    if (this.outcomes.at(-1)?.ok === true) this.#silencesUs.push(longest);
  }

  readonly #tick = (): void => {
    const world = this.#world;
    this.#tickScheduled = false;
    const now = world.now / 1000;
    let busy = this.#open !== undefined;
    for (const agent of world.agents) {
      if (!agent.busy || agent.process.down || agent.dead) continue;
      busy = true;
      agent.feed({ kind: 'tick', now });
    }
    const open = this.#open;
    if (open !== undefined && world.now >= this.#downUntil) {
      const late = world.now - open.startedAt > ROUND_SLACK * micros(world.config.deadlineMs) + 10_000_000;
      if (late) world.violation(`round ${open.epoch} neither ended nor was aborted (${open.round.phase})`);
      this.#feed(open, { kind: 'tick', now });
      if (late) this.#open = undefined;
    }
    if (busy) this.scheduleTick();
  };

  #fail(open: OpenRound, reason: string): void {
    this.#feed(open, { kind: 'failed', reason, now: this.#world.now / 1000 });
  }

  #feed(open: OpenRound, input: RoundInput): void {
    this.#step(open, () => open.round.step(input));
  }

  #step(open: OpenRound, step: () => readonly RoundEffect[]): void {
    const { now, metrics, trace } = this.#world;
    if (open !== this.#open || now < this.#downUntil) return;
    for (const effect of step()) this.#execute(open, effect);
    const { phase, reason } = open.round;
    if (phase !== 'aborted' && phase !== 'committed') return;
    if (this.#open === open) this.#open = undefined;
    const ok = phase === 'committed';
    if (ok) {
      metrics.roundsCommitted++;
      metrics.roundTimeUs += now - open.startedAt;
    } else metrics.roundsAborted++;
    this.outcomes.push({ epoch: open.epoch, ok, reason: reason ?? '' });
    trace.add(now, 'coordinator', 'round', phase, open.epoch);
  }

  #execute(open: OpenRound, effect: RoundEffect): void {
    if (effect.kind === 'commit') {
      this.#commit(open);
      return;
    }
    // Only rounds that keep their processes frozen end by it; none is started here.
    if (effect.kind === 'hand-over') return;
    for (const name of effect.processes) {
      const agent = this.#byName.get(name);
      if (agent === undefined) continue;
      agent.calls += effect.kind === 'finish' || effect.kind === 'abort' ? 0 : 1;
      this.#world.control.toAgent(agent, () => this.#atAgent(agent, open, effect));
    }
  }

  /** A call has reached an agent. */
  #atAgent(
    agent: CoordinatedAgent,
    open: OpenRound,
    effect: Exclude<RoundEffect, { kind: 'commit' | 'hand-over' }>,
  ): void {
    const world = this.#world;
    const { epoch, round } = open;
    const process = agent.process.name;
    const now = world.now / 1000;
    switch (effect.kind) {
      case 'prepare':
        if (round instanceof KooTouegRound && world.minimal?.declines(agent, round) === true) {
          world.trace.add(world.now, process, 'declines', 'epoch', epoch);
          agent.calls--;
          world.control.toCoordinator(agent, () => this.#step(open, () => round.declined(process)));
        } else this.#prepare(agent, open);
        break;
      case 'start':
        if (!agent.start(epoch, () => this.#report(agent, open)))
          this.#reply(agent, open, { kind: 'failed', process, reason: 'no longer prepared', now: 0 });
        break;
      case 'release':
        agent.feed({ kind: 'release', now }, () => this.#reply(agent, open, { kind: 'released', process, now: 0 }));
        break;
      case 'collect': {
        const { stateBytes, costs } = world.config;
        const delay = Math.round((stateBytes / costs.storeBytesPerSecond) * 1e6);
        agent.later(delay, () => {
          agent.collected = agent.tentative?.epoch === epoch;
          const lost = { kind: 'failed', process, reason: 'its checkpoint is gone', now: 0 } as const;
          this.#reply(agent, open, agent.collected ? { kind: 'collected', process, now: 0 } : lost);
        });
        break;
      }
      case 'finish':
        agent.detach();
        break;
      case 'abort':
        agent.abort(effect.reason);
        break;
    }
  }

  /** From here on packets of the coming colour are dropped. */
  #prepare(agent: CoordinatedAgent, open: OpenRound): void {
    const world = this.#world;
    const { epoch } = open;
    agent.later(micros(world.config.costs.prepareMs), () => {
      agent.attach(epoch);
      const answer = (prepared: boolean): void => {
        if (!prepared) {
          this.#reply(agent, open, { kind: 'failed', process: agent.process.name, reason: 'given up', now: 0 });
          return;
        }
        if (agent.cutEpoch !== epoch) agent.cutEpoch = epoch - 1;
        if (agent.epoch !== epoch) agent.epoch = epoch - 1;
        this.#reply(agent, open, { kind: 'prepared', process: agent.process.name, now: 0 });
      };
      // Only if the round is still on: nobody would ever take the colours off again else.
      const made = (): void => {
        agent.colour = (epoch + 1) % 2;
        // Where only some take part colours say nothing; all who do are blocked until the last of them has saved.
        agent.dropColour = world.minimal === undefined ? epoch % 2 : -1;
      };
      agent.prepare(epoch, made, answer);
    });
  }

  #report(agent: CoordinatedAgent, open: OpenRound): void {
    const { outcome } = agent;
    const process = agent.process.name;
    if (outcome?.epoch !== open.epoch) return;
    if (outcome.kind === 'saved') this.#reply(agent, open, { kind: 'saved', process, now: 0 });
    else this.#reply(agent, open, { kind: 'failed', process, reason: outcome.reason, now: 0 });
  }

  #reply(agent: CoordinatedAgent, open: OpenRound, input: RoundInput): void {
    const world = this.#world;
    if (agent.dead) return;
    agent.calls = Math.max(0, agent.calls - 1);
    world.control.toCoordinator(agent, () => this.#feed(open, { ...input, now: world.now / 1000 }));
  }

  /** The manifest: the cut is put together and checked before it counts. */
  #commit(open: OpenRound): void {
    const world = this.#world;
    const cut = world.cuts.assemble(open.round, open.epoch);
    const faults = typeof cut === 'string' ? [cut] : world.cuts.faults(cut);
    if (typeof cut !== 'string') faults.push(...(world.minimal?.needless(cut, open.round, open.initiator) ?? []));
    world.queue.push(
      world.now + micros(world.config.costs.commitMs),
      () => {
        const now = world.now / 1000;
        if (faults.length > 0 || typeof cut === 'string') {
          world.metrics.cutsRefused++;
          if (this.refusalIsViolation) for (const fault of faults) world.violation(`round ${open.epoch}: ${fault}`);
          this.#fail(open, faults[0] ?? 'cut refused');
          return;
        }
        if (open === this.#open && world.now >= this.#downUntil) world.cuts.makePermanent(cut, open.round);
        this.#feed(open, { kind: 'committed', now });
      },
      undefined,
    );
  }

  /** Mattern 1993: what was sent to whom goes to the coordinator, whose sum comes back to each process. */
  #sendCounters(agent: CoordinatedAgent, tentative: Tentative, open: OpenRound): void {
    const { control, agents } = this.#world;
    const { process } = agent;
    const sent = new Map<string, number>();
    process.out.forEach((channel, i) => {
      const unsent = tentative.sending[i]?.length ?? 0;
      sent.set(channel.to.name, tentative.state.sentTo(i) - unsent);
    });
    this.countArrived(agent);
    control.count(0, 8 * sent.size);
    control.toCoordinator(agent, () => {
      if (open !== this.#open) return;
      const expected = open.counter?.add(process.name, sent);
      if (expected === undefined) return;
      for (const other of agents) {
        const messages = expected.get(other.process.name) ?? 0;
        control.toAgent(other, () => other.feed({ kind: 'expected', messages, now: this.#world.now / 1000 }));
      }
    });
  }

  /** Koo & Toueg 1987: whom this checkpoint depends upon is asked to take one too. The coordinator passes it on. */
  #sendRequests(agent: CoordinatedAgent, tentative: Tentative, open: OpenRound): void {
    const { minimal, control } = this.#world;
    const { round } = open;
    if (minimal === undefined || !(round instanceof KooTouegRound)) return;
    const cohort = minimal.cohort(agent, tentative);
    control.count(0, 8 * cohort.size);
    control.toCoordinator(agent, () => this.#step(open, () => round.requested(agent.process.name, cohort)));
  }
}
