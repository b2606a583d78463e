import { KooTouegRound, type MinimalAlgorithm } from '../../../algorithms/coordinated/koo-toueg.ts';
import type { Algorithm, Round } from '../../../algorithms/contract.ts';
import type { CoordinatedAgent, CoordinatedContext } from '../context.ts';
import { needlessFaults, type GlobalCheckpoint } from '../../world/global-checkpoint.ts';
import { receivedLabels, sentLabels, SentLog } from '../../world/sent-log.ts';
import type { Tentative } from '../transports/transport.ts';

/** What is different where participants are found on the way (Koo & Toueg 1987): labels, requests, and the senders' log. */
export class MinimalParticipation {
  readonly sentLog: SentLog;
  readonly #world: CoordinatedContext;
  readonly #algorithm: MinimalAlgorithm;

  private constructor(world: CoordinatedContext, algorithm: MinimalAlgorithm) {
    this.#world = world;
    this.#algorithm = algorithm;
    this.sentLog = new SentLog(world.channels);
  }

  /** Undefined for an algorithm in which everybody takes part. */
  static of(world: CoordinatedContext, algorithm: Algorithm): MinimalParticipation | undefined {
    return isMinimal(algorithm) ? new MinimalParticipation(world, algorithm) : undefined;
  }

  /** An application message is on its way out: its sender keeps it. */
  log(channel: number, number: number, payload: number): void {
    this.sentLog.add(channel, number, payload);
    this.#world.metrics.loggedBytes += this.#world.config.messageBytes;
  }

  /** One who is asked need not take part: all that the requesters have received was sent before its last checkpoint. */
  declines(agent: CoordinatedAgent, round: Round): boolean {
    if (!(round instanceof KooTouegRound)) return false;
    const requests = round.requestsTo(agent.process.name);
    if (requests.size === 0) return false;
    return !this.#algorithm.mustFollow(requests, sentLabels(agent.process, this.#world.cuts.committed));
  }

  /** Whom this checkpoint depends upon, with the last label received from each. */
  cohort({ process }: CoordinatedAgent, tentative: Tentative): ReadonlyMap<string, number> {
    // What the socket has taken counts as received, whether or not the process has read it.
    const received = new Map(process.in.map(({ from }, i) => [from.name, (tentative.expected[i] ?? 1) - 1]));
    return this.#algorithm.cohort(received, receivedLabels(process, this.#world.cuts.committed));
  }

  /** Participants that the round should have done without. */
  needless(cut: GlobalCheckpoint, round: Round, initiator: string): string[] {
    const { cuts, channels } = this.#world;
    return needlessFaults(cut, cuts.committed, participantsOf(round) ?? new Set(), initiator, channels);
  }
}

/** Those who took part; undefined for everybody. */
export function participantsOf(round: Round): ReadonlySet<string> | undefined {
  return round instanceof KooTouegRound ? new Set(round.participants) : undefined;
}

function isMinimal(algorithm: Algorithm): algorithm is MinimalAlgorithm {
  return 'cohort' in algorithm && 'mustFollow' in algorithm;
}
