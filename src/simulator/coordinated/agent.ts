import type {
  Participant,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOutcome,
} from '../../algorithms/contract.ts';
import type { Part } from '../../algorithms/effects.ts';
import { Executor } from '../../algorithms/executor.ts';
import { micros } from '../world/config.ts';
import type { CoordinatedAgent, CoordinatedContext } from './context.ts';
import type { Process } from '../world/process.ts';
import type { Tentative } from './transports/transport.ts';
import { SimulatedEffects } from './effects.ts';
import { HeldProcess } from './held-process.ts';

/**
 * The agent of one process: runs the executor of src/algorithms with effects that cost what the configuration says. It may die and be
 * started again. What it did to the process outlives it: the freeze until the dead man's switch ends it, the block until it expires. A sidecar
 * outlives it too, and gives the round up.
 */
export class SimulatedAgent implements CoordinatedAgent {
  readonly process: Process;
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
  /** Messages recorded in the open round (counting algorithms). */
  late = 0;
  /** The last report, and who wants to hear of it: a marker may make the cut before the coordinator's word arrives. */
  outcome: ParticipantOutcome | undefined;
  onReport: (() => void) | undefined;
  readonly #world: CoordinatedContext;
  #executor: Executor;
  readonly #heldProcess: HeldProcess;
  readonly #effects: SimulatedEffects;

  constructor(world: CoordinatedContext, process: Process) {
    this.#world = world;
    this.process = process;
    this.#heldProcess = new HeldProcess(world, process, () => this.#switchFired());
    this.#effects = new SimulatedEffects(world, this, this.#heldProcess);
    this.#executor = new Executor(this.#part(0));
  }

  get participant(): Participant | undefined {
    return this.#executor.participant;
  }

  get busy(): boolean {
    return this.#executor.busy;
  }

  /** Neither the participant nor its executor is at work. */
  get idle(): boolean {
    return this.#executor.idle && !this.dead;
  }

  /** A participant that knows the process's channels. */
  #participant(epoch: number): Participant {
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

  /** Feeds one input; `done` when its effects have been carried out. */
  feed(input: ParticipantInput, done?: () => void): void {
    if (this.dead) {
      // A sidecar without a round takes no notice of markers.
      done?.();
      return;
    }
    this.#executor.feed(input, done);
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
    this.#executor.announce(epoch);
    this.outcome = undefined;
    this.collected = false;
    this.#detachIfForgotten(epoch);
  }

  detach(): void {
    this.#executor.withdraw();
    this.dropColour = -1;
  }

  /**
   * Under the kernel interceptor a participant per round, as in reality. A sidecar's outlives its round here, and so does whatever state it has
   * got into.
   * @param made called when it is made
   * @param done told whether the round goes on
   */
  prepare(epoch: number, made: () => void, done: (prepared: boolean) => void): void {
    const make = (): Part => {
      made();
      return this.#part(epoch - 1);
    };
    const { algorithm, now } = this.#world;
    this.#executor.prepare(epoch, now / 1000, algorithm.interceptor === 'kernel' ? make : undefined, done);
  }

  /** @param onReport called at each report, and for one that there is already @returns false when it is not prepared (any more) */
  start(epoch: number, onReport: () => void): boolean {
    if (this.#executor.prepared !== epoch) return false;
    this.onReport = onReport;
    onReport();
    return this.#executor.start(epoch, this.#world.now / 1000);
  }

  abort(reason: string): void {
    if (!this.dead) this.#executor.abort(reason, this.#world.now / 1000);
    this.detach();
  }

  /** Everything begins anew in this epoch: the process has gone back to a checkpoint. */
  restart(epoch: number): void {
    this.life++;
    this.#executor = new Executor(this.#part(epoch));
    this.#heldProcess.forget();
    this.epoch = epoch;
    this.cutEpoch = epoch;
    this.colour = epoch % 2;
    this.detach();
    this.#effects.forget();
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
    const { underWay, waiting } = this.#executor.halt();
    if (!this.collected) this.#effects.forget();
    this.outcome = undefined;
    this.onReport = undefined;
    if (world.algorithm.interceptor === 'proxy') this.#sidecarGivesUp(underWay);
    for (const done of waiting) done();
    world.queue.push(world.now + downUs, () => this.#startAgain(), undefined);
  }

  /** As agent/tasks/recover.ts does: lets go of everything that the journal names, and forgets the round. */
  #startAgain(): void {
    const { process } = this;
    const world = this.#world;
    this.dead = false;
    world.trace.add(world.now, process.name, 'agent-back');
    this.#heldProcess.letGo();
    this.#executor = new Executor(this.#part(this.cutEpoch));
    this.detach();
  }

  /**
   * Its agent cannot be reached any more: all that it can undo by itself, which is everything but the freeze. A step that was being carried
   * out has failed (contract.ts, rule 3): its participant may believe that its part of the round is over.
   */
  #sidecarGivesUp(underWay: ParticipantEffect['kind'] | undefined): void {
    const now = this.#world.now / 1000;
    const reason = 'the agent died';
    this.#executor.feed(
      underWay === undefined ? { kind: 'abort', reason, now } : { kind: 'failed', effect: underWay, reason, now },
    );
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
      if (this.#executor.announced !== epoch) return;
      if (this.busy) this.#detachIfForgotten(epoch);
      else this.detach();
    });
  }

  #part(epoch: number): Part {
    const effects = this.#effects;
    return {
      participant: this.#participant(epoch),
      task: effects,
      channels: effects,
      report: (outcome) => effects.report(outcome),
    };
  }
}
