import { micros } from '../../world/config.ts';
import type { CoordinatedContext } from '../context.ts';
import type { Process } from '../../world/process.ts';

/** Between two looks for an agent that is being started. */
const AGENT_WAIT_US = 50_000;

/** Everybody goes back to the last committed cut: the only recovery that coordinated checkpointing needs. */
export class Rollback {
  readonly #world: CoordinatedContext;
  #running = false;

  constructor(world: CoordinatedContext) {
    this.#world = world;
  }

  /** A process has crashed, and not everybody works again. */
  get running(): boolean {
    return this.#running;
  }

  crash(process: Process): void {
    const world = this.#world;
    process.down = true;
    process.frozen = true;
    world.block(process);
    const agent = world.agents[process.index];
    if (agent !== undefined) agent.life++;
    if (this.#running) return;
    this.#running = true;
    this.#rollBackLater(world.now);
  }

  /** Begins when somebody has noticed. */
  #rollBackLater(crashedAt?: number): void {
    const world = this.#world;
    const begin = (): void => this.#rollBack(crashedAt ?? world.now);
    world.queue.push(world.now + micros(world.config.costs.detectMs), begin, undefined);
  }

  #rollBack(crashedAt: number): void {
    const world = this.#world;
    const { metrics, config, cuts, channelTable } = world;
    if (world.agents.some(({ dead }) => dead)) {
      // Nothing can be restored on a node whose agent is not there.
      world.queue.push(world.now + AGENT_WAIT_US, () => this.#rollBack(crashedAt), undefined);
      return;
    }
    world.coordinator.giveUp('a process crashed');
    const cut = cuts.committed;
    world.trace.add(world.now, 'coordinator', 'rollback', 'epoch', cut.epoch);
    metrics.recoveries++;
    for (const { index } of world.channels) channelTable.nextGeneration(index);
    for (const agent of world.agents) {
      const { process } = agent;
      const state = cut.states[process.index];
      if (state === undefined) throw new Error('cut without state');
      process.state.load(state);
      metrics.processesRolledBack++;
      metrics.rollbackCheckpoints++;
      metrics.lostWorkUs += crashedAt - (cut.times[process.index] ?? 0);
    }
    metrics.maxRollbackCheckpoints = Math.max(metrics.maxRollbackCheckpoints, 1);
    world.control.count(4 * world.processes.length);
    world.minimal?.sentLog.reset(cut);
    for (const channel of world.channels) {
      const generation = channelTable.generation(channel.index);
      const messages = (cut.channels[channel.index] ?? []).map(({ number, payload }) => ({
        channel: channel.index,
        number,
        payload,
        bytes: config.messageBytes,
        generation,
      }));
      world.transport.reset(channel, messages);
    }
    for (const agent of world.agents) {
      const { process } = agent;
      agent.restart(world.coordinator.epoch);
      process.blocked = false;
      process.frozen = true;
      process.down = false;
      world.scheduleTick(process.index, -1);
      world.block(process);
    }
    const { restoreBaseMs, restoreBytesPerSecond } = config.costs;
    const restoreUs = micros(restoreBaseMs) + Math.round((config.stateBytes / restoreBytesPerSecond) * 1e6);
    world.queue.push(world.now + restoreUs, () => this.#releaseAll(crashedAt), undefined);
  }

  #releaseAll(crashedAt: number): void {
    const world = this.#world;
    const again = world.processes.some(({ down }) => down);
    world.metrics.recoveryTimeUs += world.now - crashedAt;
    world.trace.add(world.now, 'coordinator', again ? 'restore-failed' : 'restored');
    if (again) {
      // Somebody crashed while being restored: once more.
      this.#rollBackLater();
      return;
    }
    this.#running = false;
    for (const process of world.processes) {
      world.unblock(process);
      world.thaw(process);
      world.scheduleTick(process.index, micros(world.config.thinkMs) + (process.index % 97));
    }
  }
}
