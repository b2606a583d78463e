import {
  ChandyLamportParticipant,
  DEFAULT_RECORD_LIMIT_BYTES,
} from '../../../src/algorithms/coordinated/chandy-lamport.ts';
import { RealTimeExecutor, type RealPart, type TaskHost } from '../../../src/execution/real-time-executor.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { firstFew } from '../../../src/model/visible.ts';
import { poll } from '../../../src/platform/deadlines.ts';
import type { PrepareParams } from '../../../src/rpc/control/methods.ts';
import type { RoundRecord } from '../../../src/storage/channel-records.ts';
import type { StreamIdentity } from '../streams/stream-identity.ts';
import type { Streams } from '../streams/streams.ts';
import { RoundRunner } from './round.ts';
import { unacceptedIn } from './unaccepted.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** A round waits so long for connections that are finding each other again after a restore or a move. */
const SETTLE_PATIENCE_MS = 20_000;
const SETTLE_LOOK_MS = 50;
/** A round waits so long until every peer has answered, or is known to be gone. Nothing stands still meanwhile. */
const PEERS_PATIENCE_MS = 10_000;

export interface SidecarRoundsOptions {
  /** The task, for reports. */
  readonly task: string;
  /** The task's network namespace. */
  readonly netns: string;
  readonly streams: Streams;
  /** How many streams of a restored task are still to be made. */
  readonly coming: () => number;
  /** Ends what was with peers that are gone. @returns peers that have not answered in time, for people */
  readonly unknownPeers: (withinMs: number) => Promise<readonly string[]>;
  readonly log: (message: string, details: object) => void;
}

/** The rounds that a sidecar takes part in, one at a time. */
export class SidecarRounds {
  readonly #options: SidecarRoundsOptions;
  readonly #executor: RealTimeExecutor;
  #participantOfRound: ChandyLamportParticipant | undefined;

  constructor(options: SidecarRoundsOptions) {
    this.#options = options;
    this.#executor = new RealTimeExecutor({ log: options.log });
  }

  /** Channels whose marker is still to come in the present round. */
  get awaited(): number {
    return this.#participantOfRound?.awaited.length ?? 0;
  }

  /** Connections of which nobody knows yet whether they will find each other again. */
  get awaiting(): readonly StreamIdentity[] {
    return this.#options.streams
      .all()
      .filter(({ awaiting }) => awaiting)
      .map(({ identity }) => identity);
  }

  /**
   * Gets ready for a round. An earlier one that is still open is given up.
   * @throws SwarmcutError `precondition` when connections are between two lives, or a peer does not answer and is not known to be gone;
   *   `interrupted` when the round is given up meanwhile
   */
  async prepare(params: PrepareParams, host: TaskHost): Promise<void> {
    const { streams } = this.#options;
    const { epoch } = params;
    await failPoint('sidecar.prepare');
    this.#executor.announce(epoch);
    await streams.round?.close();
    await this.#settled();
    await this.#peersAnswer();
    const make = (): RealPart => {
      const round = this.#round(params, host);
      streams.round = round;
      // What the participant hears first, but for the announcement of its round.
      streams.introduce(round);
      this.#executor.run();
      this.#participantOfRound = this.#participant(params);
      return round.part(this.#participantOfRound);
    };
    if (!(await this.#executor.prepare(epoch, make)))
      throw new SwarmcutError('interrupted', `round ${epoch} was given up while it was being prepared`);
  }

  /** @throws SwarmcutError `not-found` when there is no such round (any more) */
  async start(epoch: number): Promise<void> {
    if (!(await this.#executor.start(epoch))) throw this.#unknown(epoch);
  }

  /** @throws as {@link start} */
  async release(epoch: number): Promise<void> {
    await this.#current(epoch).feed({ kind: 'release' });
  }

  /** Gives the round up, also one that is only being prepared. */
  async abort(reason: string): Promise<void> {
    await this.#executor.abort(reason);
  }

  /** @throws as {@link start} */
  record(epoch: number): RoundRecord {
    return this.#current(epoch).record;
  }

  /** Forgets the round and what it recorded. */
  async finish(): Promise<void> {
    const { streams } = this.#options;
    this.#executor.withdraw();
    this.#executor.stop();
    await streams.round?.close();
    streams.round = undefined;
  }

  #round({ keepFrozen, recordLimitBytes, epoch }: PrepareParams, host: TaskHost): RoundRunner {
    const { streams, netns, log } = this.#options;
    return new RoundRunner(epoch, {
      executor: this.#executor,
      streams,
      host,
      recordLimitBytes: recordLimitBytes ?? DEFAULT_RECORD_LIMIT_BYTES,
      moving: keepFrozen,
      unaccepted: () => unacceptedIn(netns),
      log,
    });
  }

  #participant({ epoch, deadlineMs, keepFrozen, recordLimitBytes }: PrepareParams): ChandyLamportParticipant {
    return new ChandyLamportParticipant({
      process: this.#options.task,
      epoch: epoch - 1,
      deadlineMs,
      keepFrozen,
      ...(recordLimitBytes !== undefined && { recordLimitBytes }),
    });
  }

  async #settled(): Promise<void> {
    let awaiting: readonly StreamIdentity[] = [];
    const look = (): true | undefined => {
      awaiting = this.awaiting;
      return awaiting.length === 0 && this.#options.coming() === 0 ? true : undefined;
    };
    const settled = await poll(look, { timeoutMs: SETTLE_PATIENCE_MS, intervalMs: SETTLE_LOOK_MS });
    if (!settled) throw this.#unsettled(awaiting);
  }

  /** No marker would come from a peer that is gone. */
  async #peersAnswer(): Promise<void> {
    const unknown = await this.#options.unknownPeers(PEERS_PATIENCE_MS);
    if (unknown.length === 0) return;
    const seconds = PEERS_PATIENCE_MS / 1000;
    throw new SwarmcutError(
      'precondition',
      `${this.#options.task} has connections with ${firstFew(unknown)}, whose sidecar has not answered for ${seconds} s`,
      {
        advice:
          'look at its node (docker node ls) and try again: it is busy, stands still, or is about to be found gone',
      },
    );
  }

  #unsettled(awaiting: readonly StreamIdentity[]): SwarmcutError {
    const named = firstFew(awaiting.map((end) => `${endpointText(end.client)} -> ${endpointText(end.server)}`));
    const connections = `${awaiting.length} connections of ${this.#options.task} (${named})`;
    return new SwarmcutError(
      'precondition',
      `${connections} still wait for their other end after a restore or a migration`,
      { advice: 'try again in a minute' },
    );
  }

  #current(epoch: number): RoundRunner {
    const { round } = this.#options.streams;
    if (round?.epoch !== epoch) throw this.#unknown(epoch);
    return round;
  }

  #unknown(epoch: number): SwarmcutError {
    return new SwarmcutError('not-found', `no round ${epoch} is prepared at ${this.#options.task}`);
  }
}
