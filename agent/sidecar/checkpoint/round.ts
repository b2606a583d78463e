import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Participant, ParticipantEffect, ParticipantInput } from '../../../src/algorithms/contract.ts';
import type { ParticipantOutcome } from '../../../src/algorithms/contract.ts';
import type { RoundRecord } from '../../../src/storage/channel-records.ts';
import { connectionKey, endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { Stream } from '../streams/stream.ts';

/** An input without its time, which is added when it is fed. */
export type UntimedInput = ParticipantInput extends infer I ? (I extends { now: number } ? Omit<I, 'now'> : I) : never;

/**
 * What the agent does for the participant, which runs in the sidecar: all but the channels. Each method resolves when it is done and may be
 * called twice. `hold` blocks all that the application sends and gets (agent/network/rules.ts); `advance` and `unhold` open the block.
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

/** What a round is made with. */
export interface RoundParts {
  readonly streams: RoundStreams;
  readonly host: RoundHost;
  readonly recordLimitBytes: number;
  /** The task moves: peers that take no part in the round are told to wait (PARK). */
  readonly moving: boolean;
  /** Connections that the application has not accepted yet, by `connectionKey` of its end. */
  readonly unaccepted: () => ReadonlySet<string>;
  readonly log: (message: string, details: object) => void;
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
  readonly #parts: RoundParts;
  readonly #cuts = new Map<string, ReturnType<Stream['cut']> & { readonly end: TcpEnd | undefined }>();
  readonly #ticker: NodeJS.Timeout;
  #queue: Promise<void> = Promise.resolve();
  #outcome: ParticipantOutcome | undefined;

  constructor(epoch: number, participant: Participant, parts: RoundParts) {
    this.epoch = epoch;
    this.#participant = participant;
    this.#parts = parts;
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
    const streams = [...this.#cuts.values()].map(({ cut, recording, end }) => ({
      cut: {
        ...cut,
        recorded: recording.bytes,
        finRecorded: recording.fin,
        resetRecorded: recording.reset,
        endTaken: end !== undefined,
        complete: recording.complete,
      },
      chunks: recording.chunks,
      end,
    }));
    return { epoch: this.epoch, streams };
  }

  /** Feeds one input; resolves when all its effects have been executed (a `save` only begun). Never rejects. */
  feed(input: UntimedInput): Promise<void> {
    this.#queue = this.#queue.then(() => this.#step(input));
    return this.#queue;
  }

  /** A recording has grown. Only what reaches the limit matters to the participant. */
  recorded(channel: string, bytes: number): void {
    if (bytes >= this.#parts.recordLimitBytes) void this.feed({ kind: 'recorded', channel, bytes });
  }

  /** The round is over for this sidecar; an open one is given up. */
  async close(): Promise<void> {
    if (this.#participant.busy) await this.feed({ kind: 'abort', reason: 'the round was ended' });
    clearInterval(this.#ticker);
    for (const stream of this.#parts.streams.all()) {
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
        this.#parts.log('effect failed', { effect: effect.kind, reason });
        if (undoing) continue;
        await this.#step({ kind: 'failed', effect: effect.kind, reason });
        return;
      }
    }
  }

  #execute(effect: ParticipantEffect): Promise<void> | undefined {
    const { host, streams, moving } = this.#parts;
    switch (effect.kind) {
      case 'hold':
        streams.hold();
        return host.hold();
      case 'freeze':
        return host
          .freeze()
          .then(() => nextTurn()) // connections that the kernel has made until now are accepted when it is over
          .then(() => this.#cut());
      case 'save':
        host.save(effect.epoch).then(
          () => this.feed({ kind: 'saved' }),
          (error: unknown) => this.feed({ kind: 'failed', effect: 'save', reason: messageOf(error) }),
        );
        return undefined;
      case 'send-marker':
        streams.byChannel(effect.channel)?.sendMarker(effect.epoch, moving);
        return undefined;
      case 'start-recording':
        this.#startRecording(effect.channel);
        return undefined;
      case 'stop-recording':
        this.#stopRecording(effect.channel);
        return undefined;
      case 'pause-channel':
      case 'resume-channel':
        streams.byChannel(effect.channel)?.pauseChannel(effect.kind === 'pause-channel');
        return undefined;
      case 'advance':
        return host.advance(effect.epoch).then(() => this.#letGo());
      case 'unhold':
        // Ours goes on even if the agent is gone: the block expires by itself.
        return host.unhold().finally(() => this.#letGo());
      case 'thaw':
        return host.thaw();
      case 'discard':
        this.#cuts.clear();
        return host.discard();
      case 'report':
        this.#outcome = this.#named(effect.outcome);
        return host.report(this.#outcome);
    }
  }

  /** The task is frozen and nothing of it moves: this instant is its cut. */
  #cut(): void {
    const { streams, unaccepted } = this.#parts;
    streams.reach(this.epoch);
    const queued = unaccepted();
    for (const stream of streams.all()) {
      const position = stream.cut(this.epoch, !queued.has(connectionKey(stream.appEnd)));
      this.#cuts.set(stream.identity.id, { ...position, end: this.#takeEnd(stream) });
    }
  }

  #takeEnd(stream: Stream): TcpEnd | undefined {
    try {
      return stream.takeEnd();
    } catch (error) {
      // In the last steps of closing, when both applications have seen the end.
      const { id } = stream.identity;
      this.#parts.log('the end of a connection was not taken', { stream: id, error: messageOf(error) });
      return undefined;
    }
  }

  #startRecording(channel: string): void {
    const stream = this.#parts.streams.byChannel(channel);
    const recording = stream && this.#cuts.get(stream.identity.id)?.recording;
    if (!recording || !stream.announced) {
      // Nothing can be on a channel that only one side knows of yet, and the other will see the new epoch when it hears of it.
      void this.feed({ kind: 'marker', channel, epoch: this.epoch });
      return;
    }
    stream.recording = recording;
    this.recorded(channel, recording.bytes);
  }

  #stopRecording(channel: string): void {
    const stream = this.#parts.streams.byChannel(channel);
    const recording = this.#cuts.get(stream?.identity.id ?? channel.slice(0, -1))?.recording;
    if (recording) recording.complete = true;
    if (stream) stream.recording = undefined;
  }

  #letGo(): void {
    const { streams } = this.#parts;
    for (const stream of streams.all()) stream.unpark();
    streams.release();
  }

  /** Says whose channels those are that the participant names. */
  #named(outcome: ParticipantOutcome): ParticipantOutcome {
    if (outcome.kind === 'saved') return outcome;
    const reason = outcome.reason.replace(/([0-9a-f]{32})([<>])/g, (channel, id: string, way: string) => {
      const identity = this.#parts.streams.byChannel(channel)?.identity ?? this.#cuts.get(id)?.cut;
      if (!identity) return channel;
      const [client, server] = [endpointText(identity.client), endpointText(identity.server)];
      return `${way === '>' ? `${client} -> ${server}` : `${server} -> ${client}`} (${channel})`;
    });
    return { ...outcome, reason };
  }
}
