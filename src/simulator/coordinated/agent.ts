import type {
  Participant,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOutcome,
} from '../../algorithms/contract.ts';
import { micros } from '../world/config.ts';
import type { CoordinatedWorld } from './world.ts';
import type { Process } from '../world/process.ts';
import type { Agent, Tentative } from './transport.ts';
import { Grip } from './grip.ts';

/**
 * The agent of one process: executes its participant's effects by the rules of src/algorithms/contract.ts, each at the cost that the
 * configuration gives it. It may die and be started again. What it did to the process outlives it: the freeze until the dead man's
 * switch ends it, the block until it expires. A sidecar outlives it too, and gives the round up.
 */
export class SimulatedAgent implements Agent {
  readonly process: Process;
  participant: Participant;
  epoch = 0;
  cutEpoch = 0;
  colour = 0;
  dropColour = -1;
  tentative: Tentative | undefined;
  life = 0;
  /** The agent has died. */
  dead = false;
  /** Calls of the coordinator that wait for an answer. */
  calls = 0;
  /** The tentative checkpoint lies in the store: it outlives the agent. */
  collected = false;
  /** Epoch that the interceptor is attached for; 0 for none. */
  prepared = 0;
  /** Messages recorded in the open round (counting algorithms). */
  late = 0;
  /** The last report, and who wants to hear of it: a marker may make the cut before the coordinator's word arrives. */
  outcome: ParticipantOutcome | undefined;
  onReport: (() => void) | undefined;
  readonly #world: CoordinatedWorld;
  #inputs: { readonly input: ParticipantInput; readonly done: (() => void) | undefined }[] = [];
  /** Effects of a step are being carried out. */
  #stepping = false;
  /** The one that takes its time. */
  #underWay: ParticipantEffect['kind'] | undefined;
  /** Told when they have been. */
  #stepDone: (() => void) | undefined;
  /** Local checkpoints begun or discarded: the end of an older one is void. */
  #saves = 0;
  readonly #grip: Grip;

  constructor(world: CoordinatedWorld, process: Process) {
    this.#world = world;
    this.process = process;
    this.#grip = new Grip(world, process, () => this.#switchFired());
    this.participant = this.newParticipant(0);
  }

  /** Neither the participant nor its executor is at work. */
  get idle(): boolean {
    return !this.#stepping && !this.participant.busy && !this.dead;
  }

  /** A participant that knows the process's channels. */
  newParticipant(epoch: number): Participant {
    const { process } = this;
    const { algorithm, config } = this.#world;
    const { deadlineMs } = config;
    const participant = algorithm.participant({ process: process.name, epoch, deadlineMs, keepFrozen: false });
    const { transport } = this.#world;
    for (const channel of process.in)
      if (transport.knows(channel, 'receiver'))
        participant.step({ kind: 'opened', channel: channel.id, direction: 'in', epoch });
    for (const channel of process.out)
      if (transport.knows(channel, 'sender'))
        participant.step({ kind: 'opened', channel: channel.id, direction: 'out', epoch });
    return participant;
  }

  /** Feeds one input; `done` when its effects have been carried out. One at a time, and never while effects of an earlier step are. */
  feed(input: ParticipantInput, done?: () => void): void {
    if (this.dead) {
      // A sidecar without a round takes no notice of markers.
      done?.();
      return;
    }
    this.#inputs.push({ input, done });
    if (!this.#stepping) this.#pump();
  }

  /** Something that happens here after a delay, unless the agent has died meanwhile. */
  later(delayUs: number, action: () => void): void {
    const { life } = this;
    const run = (): void => {
      if (life === this.life && !this.process.down) action();
    };
    this.#world.queue.push(this.#world.now + delayUs, run, undefined);
  }

  /** Interceptor attached for a round: whatever an earlier one left is gone. */
  attach(epoch: number): void {
    this.late = 0;
    this.prepared = epoch;
    this.outcome = undefined;
    this.collected = false;
    this.#detachIfForgotten(epoch);
  }

  detach(): void {
    this.prepared = 0;
    this.dropColour = -1;
  }

  /** Everything begins anew in this epoch: the process has gone back to a checkpoint. */
  restart(epoch: number): void {
    this.life++;
    this.participant = this.newParticipant(epoch);
    this.#inputs = [];
    this.#stepping = false;
    this.#underWay = undefined;
    this.#stepDone = undefined;
    this.#grip.forget();
    this.epoch = epoch;
    this.cutEpoch = epoch;
    this.colour = epoch % 2;
    this.detach();
    this.#discard();
    this.late = 0;
    this.calls = 0;
    this.outcome = undefined;
    this.onReport = undefined;
  }

  /** The agent dies in the middle of whatever it does, and is started again after so long. */
  die(downUs: number): void {
    const world = this.#world;
    world.metrics.agentCrashes++;
    world.trace.add(world.now, this.process.name, 'agent-dies');
    this.life++;
    this.dead = true;
    const dropped = [this.#stepDone, ...this.#inputs.map(({ done }) => done)];
    this.#inputs = [];
    this.#stepping = false;
    this.#stepDone = undefined;
    if (!this.collected) this.#discard();
    this.outcome = undefined;
    this.onReport = undefined;
    if (world.algorithm.interceptor === 'proxy') this.#sidecarGivesUp();
    this.#underWay = undefined;
    for (const done of dropped) done?.();
    world.queue.push(world.now + downUs, () => this.#startAgain(), undefined);
  }

  /** As agent/tasks/recover.ts does: lets go of everything that the journal names, and forgets the round. */
  #startAgain(): void {
    const { process } = this;
    const world = this.#world;
    this.dead = false;
    world.trace.add(world.now, process.name, 'agent-back');
    this.#grip.letGo();
    this.detach();
    this.participant = this.newParticipant(this.cutEpoch);
  }

  /**
   * Its agent cannot be reached any more: all that it can undo by itself, which is everything but the freeze. A step that was being carried
   * out has failed (contract.ts, rule 3): its participant may believe that its part of the round is over.
   */
  #sidecarGivesUp(): void {
    const now = this.#world.now / 1000;
    const reason = 'the agent died';
    const input: ParticipantInput =
      this.#underWay === undefined
        ? { kind: 'abort', reason, now }
        : { kind: 'failed', effect: this.#underWay, reason, now };
    for (const effect of this.participant.step(input)) {
      if (effect.kind !== 'thaw' && effect.kind !== 'report' && effect.kind !== 'discard') this.#apply(effect);
    }
  }

  #switchFired(): void {
    this.dropColour = -1;
    if (this.dead) return;
    const world = this.#world;
    world.violation(`${this.process.name} had to be let go by its dead man's switch although its agent lived`);
    this.feed({ kind: 'failed', effect: 'save', reason: "the dead man's switch fired", now: world.now / 1000 });
  }

  /**
   * An agent that was prepared and hears no more detaches by itself, or it would drop the packets of those that have cut for ever. It must
   * then refuse a `start` that comes after all: it may have taken messages of the new colour.
   */
  #detachIfForgotten(epoch: number): void {
    this.later(2 * micros(this.#world.config.deadlineMs), () => {
      if (this.prepared !== epoch) return;
      if (this.participant.busy) this.#detachIfForgotten(epoch);
      else this.detach();
    });
  }

  #pump(): void {
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      const { done } = next;
      const effects = this.participant.step(next.input);
      if (!this.#execute(effects, 0, done)) return;
      done?.();
    }
  }

  /** Carries out effects in order. False when it must wait: it goes on by itself then. */
  #execute(effects: readonly ParticipantEffect[], from: number, done: (() => void) | undefined): boolean {
    for (let i = from; i < effects.length; i++) {
      const effect = effects[i];
      if (effect === undefined) continue;
      const cost = this.#cost(effect);
      if (effect.kind === 'hold') this.#world.block(this.process);
      if (cost === 0) {
        this.#apply(effect);
        continue;
      }
      this.#stepping = true;
      this.#underWay = effect.kind;
      this.#stepDone = done;
      this.later(cost, () => {
        this.#apply(effect);
        if (!this.#execute(effects, i + 1, done)) return;
        this.#stepping = false;
        this.#underWay = undefined;
        this.#stepDone = undefined;
        done?.();
        this.#pump();
      });
      return false;
    }
    return true;
  }

  #cost(effect: ParticipantEffect): number {
    const { costs } = this.#world.config;
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

  #apply(effect: ParticipantEffect): void {
    const { process } = this;
    const world = this.#world;
    const { transport, trace, now } = world;
    switch (effect.kind) {
      case 'hold':
        this.#grip.hold();
        break;
      case 'freeze':
        this.#grip.freeze();
        break;
      case 'save':
        this.#save(effect.epoch);
        break;
      case 'send-marker':
        transport.sendMarker(world.channel(effect.channel), effect.epoch);
        break;
      case 'start-recording':
        transport.startRecording(world.channel(effect.channel));
        break;
      case 'stop-recording':
        transport.stopRecording(world.channel(effect.channel));
        break;
      case 'pause-channel':
        transport.pause(world.channel(effect.channel), true);
        break;
      case 'resume-channel':
        transport.pause(world.channel(effect.channel), false);
        break;
      case 'advance':
        this.epoch = effect.epoch;
        this.colour = effect.epoch % 2;
        this.dropColour = -1;
        this.#grip.release();
        break;
      case 'unhold':
        this.#grip.release();
        break;
      case 'thaw':
        this.#grip.thaw();
        break;
      case 'discard':
        this.#discard();
        break;
      case 'report':
        trace.add(now, process.name, 'report', effect.outcome.kind, effect.outcome.epoch);
        this.outcome = effect.outcome;
        this.onReport?.();
        break;
    }
  }

  #save(epoch: number): void {
    const { process } = this;
    const world = this.#world;
    const { stateBytes, costs } = world.config;
    this.cutEpoch = epoch;
    // A late `start` may cut after its round has ended: the agent's own clock must end it.
    world.coordinator.scheduleTick();
    const save = ++this.#saves;
    this.tentative = { epoch, time: world.now, state: process.state.copy(), ...world.transport.capture(process) };
    world.trace.add(world.now, process.name, 'cut', 'epoch', epoch);
    world.coordinator.hasCut(this, this.tentative);
    const duration = micros(costs.dumpBaseMs) + Math.round((stateBytes / costs.dumpBytesPerSecond) * 1e6);
    this.later(duration, () => {
      if (save === this.#saves) this.feed({ kind: 'saved', now: world.now / 1000 });
    });
  }

  #discard(): void {
    this.tentative = undefined;
    this.collected = false;
    this.#saves++;
  }
}
