import { micros } from '../world/config.ts';
import type { CoordinatedAgent, CoordinatedContext } from './context.ts';
import { CONTROL_BYTES } from '../world/measurement/metrics.ts';
import { nextExponential } from '../world/prng.ts';

/** A call whose peer cannot be reached fails after so long (keep-alive). */
const CALL_TIMEOUT_US = 1_000_000;

/** Control messages between the coordinator and the agents (gRPC): they are counted, take time, and fail when the two are cut off. */
export class ControlPlane {
  readonly #world: CoordinatedContext;
  readonly #late = new Map<CoordinatedAgent, number>();

  constructor(world: CoordinatedContext) {
    this.#world = world;
  }

  /** Coordinator to agent. */
  toAgent(agent: CoordinatedAgent, action: () => void): void {
    this.count(1);
    if (agent.dead) this.refused(agent);
    else if (this.#world.cutOff(agent.process)) this.#unreachable(agent);
    else agent.later(this.#delay() + (this.#late.get(agent) ?? 0), action);
  }

  /** Agent to coordinator. */
  toCoordinator(agent: CoordinatedAgent, action: () => void): void {
    const world = this.#world;
    this.count(1);
    if (world.cutOff(agent.process)) this.#unreachable(agent);
    else world.queue.push(world.now + this.#delay(), action, undefined);
  }

  /** From now on calls reach this agent so much later (scenarios). */
  slowDown(agent: CoordinatedAgent, byMs: number): void {
    this.#late.set(agent, micros(byMs));
  }

  /** A call to an agent that is not there, or whose agent has just died. */
  refused(agent: CoordinatedAgent): void {
    this.#world.coordinator.failLater(this.#delay(), `${agent.process.name}: agent unavailable`);
  }

  /** Adds to the metrics, with `extraBytes` beyond what a message is usually long. */
  count(messages: number, extraBytes = 0): void {
    const { metrics } = this.#world;
    metrics.controlMessages += messages;
    metrics.controlBytes += messages * CONTROL_BYTES + extraBytes;
  }

  #delay(): number {
    const { costs, faults } = this.#world.config;
    const jitter = nextExponential(this.#world.random, micros(costs.controlJitterMs));
    return Math.max(1, Math.round((micros(costs.controlLatencyMs) + jitter) * faults.coordinatorSlowness));
  }

  #unreachable(agent: CoordinatedAgent): void {
    this.#world.coordinator.failLater(CALL_TIMEOUT_US, `${agent.process.name}: agent unreachable`);
  }
}
