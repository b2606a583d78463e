import type { ParticipantOutcome } from '../../algorithms/contract.ts';
import type { ChannelEffects, Result, TaskEffects } from '../../algorithms/effects.ts';
import { micros } from '../world/config.ts';
import type { HeldProcess } from './held-process.ts';
import type { CoordinatedAgent, CoordinatedContext } from './context.ts';

/**
 * What an agent does to its simulated process, each effect at the cost that the configuration gives it. When the agent has died, a sidecar
 * goes on with what needs no agent, at once.
 */
export class SimulatedEffects implements TaskEffects<Result>, ChannelEffects {
  readonly #world: CoordinatedContext;
  readonly #agent: CoordinatedAgent;
  readonly #heldProcess: HeldProcess;

  constructor(world: CoordinatedContext, agent: CoordinatedAgent, heldProcess: HeldProcess) {
    this.#world = world;
    this.#agent = agent;
    this.#heldProcess = heldProcess;
  }

  block(): Result {
    this.#world.block(this.#agent.process);
    return this.#after(this.#world.config.costs.blockMs, () => this.#heldProcess.block());
  }

  freeze(): Result {
    return this.#after(this.#world.config.costs.freezeMs, () => this.#heldProcess.freeze());
  }

  save(epoch: number): Result {
    const world = this.#world;
    const agent = this.#agent;
    const { process } = agent;
    const { stateBytes, costs } = world.config;
    agent.cutEpoch = epoch;
    // A late `start` may cut after its round has ended: the agent's own clock must end it.
    world.coordinator.scheduleTick();
    agent.tentative = { epoch, time: world.now, state: process.state.copy(), ...world.transport.capture(process) };
    world.trace.add(world.now, process.name, 'cut', 'epoch', epoch);
    world.coordinator.hasCut(agent, agent.tentative);
    const duration = micros(costs.dumpBaseMs) + Math.round((stateBytes / costs.dumpBytesPerSecond) * 1e6);
    return (ended) => agent.later(duration, () => ended(world.now / 1000));
  }

  advance(epoch: number): Result {
    const agent = this.#agent;
    return this.#after(this.#world.config.costs.blockMs, () => {
      agent.epoch = epoch;
      agent.colour = epoch % 2;
      agent.dropColour = -1;
      this.#heldProcess.release();
    });
  }

  unblock(): Result {
    return this.#after(this.#world.config.costs.blockMs, () => this.#heldProcess.release());
  }

  thaw(): Result {
    if (this.#agent.dead) return undefined;
    return this.#after(this.#world.config.costs.thawMs, () => this.#heldProcess.thaw());
  }

  discard(): Result {
    if (!this.#agent.dead) this.forget();
    return undefined;
  }

  /** The checkpoint is gone. */
  forget(): void {
    this.#agent.tentative = undefined;
    this.#agent.collected = false;
  }

  report(outcome: ParticipantOutcome): Result {
    const { trace, now } = this.#world;
    const agent = this.#agent;
    if (agent.dead) return undefined;
    trace.add(now, agent.process.name, 'report', outcome.kind, outcome.epoch);
    agent.outcome = outcome;
    agent.onReport?.();
    return undefined;
  }

  sendMarker(channel: string, epoch: number): void {
    this.#world.transport.sendMarker(this.#world.channel(channel), epoch);
  }

  startRecording(channel: string): void {
    this.#world.transport.startRecording(this.#world.channel(channel));
  }

  stopRecording(channel: string): void {
    this.#world.transport.stopRecording(this.#world.channel(channel));
  }

  pauseChannel(channel: string, paused: boolean): void {
    this.#world.transport.pause(this.#world.channel(channel), paused);
  }

  #after(costMs: number, apply: () => void): Result {
    const world = this.#world;
    const delay = micros(costMs);
    if (delay > 0 && !this.#agent.dead)
      return (ended) =>
        this.#agent.later(delay, () => {
          apply();
          ended(world.now / 1000);
        });
    apply();
    return undefined;
  }
}
