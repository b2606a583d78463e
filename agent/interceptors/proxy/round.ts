import type { Participant, ParticipantEffect, ParticipantInput } from '../../../src/algorithms/contract.ts';
import type { ParticipantOutcome } from '../../../src/algorithms/contract.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { TcpEnd } from './repair.ts';
import { takeEnd } from './repair.ts';
import type { Recording, Stream, StreamCut } from './stream.ts';

/** An input without its time, which is added when it is fed. */
export type UntimedInput = ParticipantInput extends infer I ? (I extends { now: number } ? Omit<I, 'now'> : I) : never;

/**
 * What the agent does for the participant, which runs in the sidecar: all but the channels. Each method resolves when it is done and may be
 * called twice. `hold` locks the connections between application and sidecar (rules.ts); `advance` and `unhold` open the lock.
 */
export interface RoundHost {
  hold(): Promise<void>;
  freeze(): Promise<void>;
  /** Records the local state; settles when that has ended. */
  save(epoch: number): Promise<void>;
  advance(epoch: number): Promise<void>;
  unhold(): Promise<void>;
  thaw(): Promise<void>;
  discard(): Promise<void>;
  report(outcome: ParticipantOutcome): Promise<void>;
}

/** The streams of this sidecar, as a round sees them. */
export interface RoundStreams {
  byChannel(channel: string): Stream | undefined;
  all(): Iterable<Stream>;
  hold(): void;
  release(): void;
  /** New streams carry this epoch from now on. */
  reach(epoch: number): void;
}

/** What a round has recorded in this sidecar. */
export interface RoundRecord {
  readonly epoch: number;
  readonly streams: readonly StreamCut[];
  /** By incoming channel. */
  readonly recordings: ReadonlyMap<string, Recording>;
  /** By stream: the sidecar's end of the local connection, if asked for. Its application's end is in the CRIU image. */
  readonly ends: ReadonlyMap<string, TcpEnd>;
}

const TICK_MS = 100;

/**
 * Runs one participant for one round on the streams of this sidecar, by the executor's rules of src/algorithms/contract.ts. It runs here, not
 * in the agent, because a marker must be dealt with before the byte behind it, and because no stream may begin unseen between the
 * freeze and the markers: from the end of `freeze` to the last `start-recording` nothing is awaited that lets I/O happen.
 */
export class RoundRunner {
  readonly epoch: number;
  readonly #participant: Participant;
  readonly #streams: RoundStreams;
  readonly #host: RoundHost;
  readonly #recordLimitBytes: number;
  readonly #takeEnds: boolean;
  readonly #ends = new Map<string, TcpEnd>();
  readonly #log: (message: string, details: object) => void;
  readonly #recordings = new Map<string, Recording>();
  readonly #cuts = new Map<string, ReturnType<Stream['cut']>>();
  readonly #ticker: NodeJS.Timeout;
  #queue: Promise<void> = Promise.resolve();
  #outcome: ParticipantOutcome | undefined;

  constructor(
    epoch: number,
    participant: Participant,
    parts: {
      readonly streams: RoundStreams;
      readonly host: RoundHost;
      readonly recordLimitBytes: number;
      /** Take the TCP state of the local connections too. */
      readonly takeEnds: boolean;
      readonly log: (message: string, details: object) => void;
    },
  ) {
    this.epoch = epoch;
    this.#participant = participant;
    this.#streams = parts.streams;
    this.#host = parts.host;
    this.#recordLimitBytes = parts.recordLimitBytes;
    this.#takeEnds = parts.takeEnds;
    this.#log = parts.log;
    this.#ticker = setInterval(() => void this.feed({ kind: 'tick' }), TICK_MS);
  }

  get outcome(): ParticipantOutcome | undefined {
    return this.#outcome;
  }

  get busy(): boolean {
    return this.#participant.busy;
  }

  /** Streams as they were at the cut, and the channel states. Complete when {@link outcome} is `saved`. */
  get record(): RoundRecord {
    return {
      epoch: this.epoch,
      streams: [...this.#cuts.values()].map(({ cut }) => cut),
      recordings: this.#recordings,
      ends: this.#ends,
    };
  }

  /** Feeds one input; resolves when all its effects have been executed (a `save` only begun). Never rejects. */
  feed(input: UntimedInput): Promise<void> {
    this.#queue = this.#queue.then(() => this.#step(input));
    return this.#queue;
  }

  /** A recording has grown. Only what reaches the limit matters to the participant. */
  recorded(channel: string, bytes: number): void {
    if (bytes >= this.#recordLimitBytes) void this.feed({ kind: 'recorded', channel, bytes });
  }

  /** The round is over for this sidecar; an open one is given up. */
  async close(): Promise<void> {
    if (this.#participant.busy) await this.feed({ kind: 'abort', reason: 'the round was ended' });
    clearInterval(this.#ticker);
    for (const stream of this.#streams.all()) {
      stream.recording = undefined;
      stream.pauseChannel(false);
    }
  }

  async #step(untimed: UntimedInput): Promise<void> {
    const input = { ...untimed, now: performance.now() } as ParticipantInput;
    const undoing = input.kind === 'abort' || input.kind === 'failed' || input.kind === 'tick';
    for (const effect of this.#participant.step(input)) {
      try {
        const done = this.#execute(effect);
        if (done) await done;
      } catch (error) {
        const reason = messageOf(error);
        this.#log('effect failed', { effect: effect.kind, reason });
        if (undoing) continue;
        await this.#step({ kind: 'failed', effect: effect.kind, reason });
        return;
      }
    }
  }

  #execute(effect: ParticipantEffect): Promise<void> | undefined {
    switch (effect.kind) {
      case 'hold':
        this.#streams.hold();
        return this.#host.hold();
      case 'freeze':
        return this.#host.freeze().then(() => this.#cut());
      case 'save':
        this.#host.save(effect.epoch).then(
          () => this.feed({ kind: 'saved' }),
          (error: unknown) => this.feed({ kind: 'failed', effect: 'save', reason: messageOf(error) }),
        );
        return undefined;
      case 'send-marker':
        this.#streams.byChannel(effect.channel)?.sendMarker(effect.epoch);
        return undefined;
      case 'start-recording':
        this.#startRecording(effect.channel);
        return undefined;
      case 'stop-recording':
        this.#stopRecording(effect.channel);
        return undefined;
      case 'pause-channel':
      case 'resume-channel':
        this.#streams.byChannel(effect.channel)?.pauseChannel(effect.kind === 'pause-channel');
        return undefined;
      case 'advance':
        return this.#host.advance(effect.epoch).then(() => this.#streams.release());
      case 'unhold':
        // Ours goes on even if the agent is gone: the lock expires by itself.
        return this.#host.unhold().finally(() => this.#streams.release());
      case 'thaw':
        return this.#host.thaw();
      case 'discard':
        this.#recordings.clear();
        this.#cuts.clear();
        this.#ends.clear();
        return this.#host.discard();
      case 'report':
        this.#outcome = effect.outcome;
        return this.#host.report(effect.outcome);
    }
  }

  /** The task is frozen and nothing of it moves: this instant is its cut. */
  #cut(): void {
    this.#streams.reach(this.epoch);
    for (const stream of this.#streams.all()) {
      this.#cuts.set(stream.identity.id, stream.cut(this.epoch));
      if (this.#takeEnds && !stream.app.gone) this.#takeEnd(stream);
    }
  }

  #takeEnd(stream: Stream): void {
    try {
      this.#ends.set(stream.identity.id, takeEnd(stream.app.fd));
    } catch (error) {
      // In the last steps of closing, when both applications have seen the end.
      this.#log('the end of a connection was not taken', { stream: stream.identity.id, error: messageOf(error) });
    }
  }

  #startRecording(channel: string): void {
    const stream = this.#streams.byChannel(channel);
    const recording = stream && this.#cuts.get(stream.identity.id)?.recording;
    if (!recording) return;
    stream.recording = recording;
    this.#recordings.set(channel, recording);
    stream.update();
    this.recorded(channel, recording.bytes);
  }

  #stopRecording(channel: string): void {
    const recording = this.#recordings.get(channel);
    if (recording) recording.complete = true;
    const stream = this.#streams.byChannel(channel);
    if (!stream) return;
    stream.recording = undefined;
    stream.update();
  }
}
