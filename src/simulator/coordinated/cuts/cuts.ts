import type { Round } from '../../../algorithms/contract.ts';
import type { CoordinatedContext } from '../context.ts';
import { cutFaults, totalMoney, type GlobalCheckpoint } from '../../world/global-checkpoint.ts';
import type { Tentative } from '../transports/transport.ts';
import { participantsOf } from './minimal-participation.ts';

/** Puts cuts together out of tentative checkpoints, checks them, and keeps the last permanent one. */
export class Cuts {
  /** The last committed cut. */
  committed: GlobalCheckpoint;
  readonly #world: CoordinatedContext;
  readonly #money: number;

  constructor(world: CoordinatedContext) {
    this.#world = world;
    this.committed = {
      epoch: 0,
      times: world.processes.map(() => 0),
      states: world.processes.map(({ state }) => state.copy()),
      channels: world.channels.map(() => []),
    };
    this.#money = totalMoney(this.committed);
  }

  /** The cut of a round, or why there is none. Those who took no part are in it with their last checkpoint. */
  assemble(round: Round, epoch: number): GlobalCheckpoint | string {
    const world = this.#world;
    const participants = participantsOf(round);
    const parts: (Tentative | undefined)[] = [];
    for (const agent of world.agents) {
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
    const channels = world.channels.map((channel) => {
      const from = parts[channel.from.index];
      const to = parts[channel.to.index];
      if (from === undefined || to === undefined) return world.minimal?.sentLog.between(channel, states) ?? [];
      return world.transport.channelState(channel, from, to, (text) => (fault ??= text));
    });
    for (const channel of channels) world.metrics.recordedMessages += channel.length;
    return fault ?? { epoch, times, states, channels };
  }

  /** What is wrong with a cut: see cut.ts; and, in `bank`, whether its money is all there. */
  faults(cut: GlobalCheckpoint): string[] {
    const { channels, config } = this.#world;
    const faults = cutFaults(cut, channels, config.fifo);
    const money = totalMoney(cut);
    if (config.behaviour === 'bank' && money !== this.#money) faults.push(`${money} money instead of ${this.#money}`);
    return faults;
  }

  /** The money of `bank` when everything has come to rest. */
  restingMoneyFault(): string | undefined {
    const { processes, config } = this.#world;
    const money = processes.reduce((sum, { state }) => sum + state.balance, 0);
    if (config.behaviour !== 'bank' || money === this.#money) return undefined;
    return `at rest: ${money} money instead of ${this.#money}`;
  }

  /** The manifest is on disk: recoveries go back to this cut from now on. */
  makePermanent(cut: GlobalCheckpoint, round: Round): void {
    const { metrics, config, processes, minimal } = this.#world;
    this.committed = cut;
    const participants = participantsOf(round)?.size ?? processes.length;
    minimal?.sentLog.forget(cut);
    let channelBytes = 0;
    for (const channel of cut.channels) channelBytes += channel.length * config.messageBytes;
    metrics.recordedBytes += channelBytes;
    metrics.checkpoints += participants;
    // The former cut goes only when the new one is permanent.
    const former = cut.epoch > 0 && metrics.roundsCommitted > 0 ? participants : 0;
    const bytes = (processes.length + former) * config.stateBytes + channelBytes;
    metrics.peakStorageBytes = Math.max(metrics.peakStorageBytes, bytes);
  }
}
