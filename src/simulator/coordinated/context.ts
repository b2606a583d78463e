import type { ParticipantInput, ParticipantOutcome, Round } from '../../algorithms/contract.ts';
import type { GlobalCheckpoint } from '../world/global-checkpoint.ts';
import type { Channel } from '../world/process.ts';
import type { SentLog } from '../world/sent-log.ts';
import type { FreezeCheck } from './freeze-check.ts';
import type { Agent, Network, Tentative, Transport } from './transports/transport.ts';

/** An agent as the other parts of the world see it. */
export interface CoordinatedAgent extends Agent {
  /** The agent has died. */
  readonly dead: boolean;
  readonly busy: boolean;
  /** Calls of the coordinator that wait for an answer. */
  calls: number;
  /** The tentative checkpoint lies in the store: it outlives the agent. */
  collected: boolean;
  /** Messages recorded in the open round (counting algorithms). */
  late: number;
  /** The last report, and who wants to hear of it. */
  outcome: ParticipantOutcome | undefined;
  readonly onReport: (() => void) | undefined;
  /** Feeds one input; `done` when its effects have been carried out. */
  feed(input: ParticipantInput, done?: () => void): void;
  /** Something that happens there after a delay, unless the agent has died meanwhile. */
  later(delayUs: number, action: () => void): void;
  /** Interceptor attached for a round: whatever an earlier one left is gone. */
  attach(epoch: number): void;
  detach(): void;
  /** @param made called when the participant is made @param done told whether the round goes on */
  prepare(epoch: number, made: () => void, done: (prepared: boolean) => void): void;
  /** @param onReport called at each report, and for one that there is already @returns false when it is not prepared (any more) */
  start(epoch: number, onReport: () => void): boolean;
  abort(reason: string): void;
  /** Everything begins anew in this epoch: the process has gone back to a checkpoint. */
  restart(epoch: number): void;
}

/** What parts of the world may ask of its coordinator. */
interface CoordinatorContext {
  readonly epoch: number;
  /** The coordinator's clock and the agents' goes on, if it stood still. */
  scheduleTick(): void;
  /** A call has failed: the round is given up after so long. */
  failLater(delayUs: number, reason: string): void;
  giveUp(reason: string): void;
  /** An agent has made its cut. */
  hasCut(agent: CoordinatedAgent, tentative: Tentative): void;
}

/** Control messages between the coordinator and the agents. */
interface ControlContext {
  toAgent(agent: CoordinatedAgent, action: () => void): void;
  toCoordinator(agent: CoordinatedAgent, action: () => void): void;
  refused(agent: CoordinatedAgent): void;
  count(messages: number, extraBytes?: number): void;
}

/** The cuts of this world. */
interface CutsContext {
  /** The last committed cut. */
  readonly committed: GlobalCheckpoint;
  assemble(round: Round, epoch: number): GlobalCheckpoint | string;
  faults(cut: GlobalCheckpoint): string[];
  makePermanent(cut: GlobalCheckpoint, round: Round): void;
}

/** What is different where only those take part who must. */
interface MinimalContext {
  readonly sentLog: SentLog;
  declines(agent: CoordinatedAgent, round: Round): boolean;
  cohort(agent: CoordinatedAgent, tentative: Tentative): ReadonlyMap<string, number>;
  needless(cut: GlobalCheckpoint, round: Round, initiator: string): string[];
}

/** What its parts (agents, coordinator, cuts, rollback) may ask of the world that is made of them (world.ts). */
export interface CoordinatedContext extends Network {
  readonly agents: readonly CoordinatedAgent[];
  readonly transport: Transport;
  /** If only those take part who must. */
  readonly minimal: MinimalContext | undefined;
  readonly cuts: CutsContext;
  readonly freezeCheck: FreezeCheck;
  readonly control: ControlContext;
  readonly coordinator: CoordinatorContext;
  /** @throws Error if there is none */
  channel(id: string): Channel;
}
