import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Participant, ParticipantOutcome } from '../../../src/algorithms/contract.ts';
import type { ChannelEffects } from '../../../src/algorithms/effects.ts';
import type {
  RealPart,
  RealTimeExecutor,
  TaskHandle,
  TaskHost,
  UntimedInput,
} from '../../../src/execution/real-time-executor.ts';
import type { RoundRecord } from '../../../src/storage/channel-records.ts';
import { connectionKey, endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { Stream } from '../streams/stream.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** The streams of this sidecar, as a round sees them. */
export interface RoundStreams {
  byChannel(channel: string): Stream | undefined;
  all(): Iterable<Stream>;
  block(): void;
  release(): void;
  /** New streams carry this epoch from now on. */
  reach(epoch: number): void;
}

/** What a round is made with. */
export interface RoundParts {
  readonly executor: RealTimeExecutor;
  readonly streams: RoundStreams;
  /** The agent: does for the participant all but the channels. */
  readonly host: TaskHost;
  readonly recordLimitBytes: number;
  /** The task moves: peers that take no part in the round are told to wait (PARK). */
  readonly moving: boolean;
  /** Connections that the application has not accepted yet, by `connectionKey` of its end. */
  readonly unaccepted: () => ReadonlySet<string>;
  readonly log: (message: string, details: object) => void;
}

/**
 * One round on the streams of this sidecar: what its participant wants done, and what it has recorded. The participant runs here, not in the
 * agent, because a marker must be dealt with before the byte behind it, and because no stream may begin unseen between the freeze
 * and the markers: from the end of {@link freeze} to the last {@link startRecording} nothing is awaited that lets I/O happen.
 */
export class RoundRunner implements TaskHandle, ChannelEffects {
  readonly epoch: number;
  readonly #parts: RoundParts;
  readonly #cuts = new Map<string, ReturnType<Stream['cut']> & { readonly end: TcpEnd | undefined }>();
  /** Channels that have broken: what they are called, and why. */
  readonly #losses = new Map<string, { readonly name: string; readonly reason: string }>();
  #outcome: ParticipantOutcome | undefined;
  /** Nothing is fed any more: there may be a later round. */
  #closed = false;

  constructor(epoch: number, parts: RoundParts) {
    this.epoch = epoch;
    this.#parts = parts;
  }

  /** For the executor. */
  part(participant: Participant): RealPart {
    return { participant, task: this, channels: this, report: (outcome) => this.#report(outcome) };
  }

  get outcome(): ParticipantOutcome | undefined {
    return this.#outcome;
  }

  get busy(): boolean {
    return !this.#closed && this.#parts.executor.busy;
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

  /** Feeds one input; resolves when all its effects have been carried out (a `save` only begun). Never rejects. */
  async feed(input: UntimedInput): Promise<void> {
    if (!this.#closed) await this.#parts.executor.feed(input);
  }

  /** A recording has grown. Only what reaches the limit matters to the participant. */
  recorded(channel: string, bytes: number): void {
    if (bytes >= this.#parts.recordLimitBytes) void this.feed({ kind: 'recorded', channel, bytes });
  }

  /** Says, before the participant hears of it, why a channel's peer is lost. */
  lost(channel: string, reason: string): void {
    this.#losses.set(channel, { name: this.#nameOf(channel), reason });
  }

  /** The round is over for this sidecar; an open one is given up. */
  async close(): Promise<void> {
    if (this.busy) await this.feed({ kind: 'abort', reason: 'the round was ended' });
    this.#closed = true;
    for (const stream of this.#parts.streams.all()) {
      stream.recording = undefined;
      stream.pauseChannel(false);
    }
  }

  async block(): Promise<void> {
    await failPoint('sidecar.block');
    this.#parts.streams.block();
    await this.#parts.host.block();
  }

  async freeze(): Promise<void> {
    await failPoint('sidecar.freeze');
    await this.#parts.host.freeze();
    await nextTurn(); // connections that the kernel has made until now are accepted when it is over
    this.#cut();
  }

  async save(epoch: number): Promise<void> {
    await failPoint('sidecar.save');
    return this.#parts.host.save(epoch);
  }

  async advance(epoch: number): Promise<void> {
    await failPoint('sidecar.advance');
    await this.#parts.host.advance(epoch);
    this.#letGo();
  }

  /** Ours goes on even if the agent is gone: the block expires by itself. */
  async unblock(): Promise<void> {
    await this.#parts.host.unblock().finally(() => this.#letGo());
  }

  thaw(): Promise<void> {
    return this.#parts.host.thaw();
  }

  discard(): Promise<void> {
    this.#cuts.clear();
    return this.#parts.host.discard();
  }

  sendMarker(channel: string, epoch: number): void {
    const { streams, moving } = this.#parts;
    streams.byChannel(channel)?.sendMarker(epoch, moving);
  }

  startRecording(channel: string): void {
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

  stopRecording(channel: string): void {
    const stream = this.#parts.streams.byChannel(channel);
    const recording = this.#cuts.get(stream?.identity.id ?? channel.slice(0, -1))?.recording;
    if (recording) recording.complete = true;
    if (stream) stream.recording = undefined;
  }

  pauseChannel(channel: string, paused: boolean): void {
    this.#parts.streams.byChannel(channel)?.pauseChannel(paused);
  }

  #report(outcome: ParticipantOutcome): Promise<void> {
    this.#outcome = this.#named(outcome);
    return this.#parts.host.report(this.#outcome);
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

  #letGo(): void {
    const { streams } = this.#parts;
    for (const stream of streams.all()) stream.unpark();
    streams.release();
  }

  /** Says whose channels those are that the participant names, and what has happened to them. */
  #named(outcome: ParticipantOutcome): ParticipantOutcome {
    if (outcome.kind === 'saved') return outcome;
    const losses = [...this.#losses].flatMap(([id, { reason }]) => (outcome.reason.includes(id) ? [reason] : []));
    const reason = outcome.reason.replace(/[0-9a-f]{32}[<>]/g, (channel) => this.#nameOf(channel));
    return { ...outcome, reason: [reason, ...losses].join(': ') };
  }

  #nameOf(channel: string): string {
    const lost = this.#losses.get(channel);
    if (lost) return lost.name;
    const identity = this.#parts.streams.byChannel(channel)?.identity ?? this.#cuts.get(channel.slice(0, -1))?.cut;
    if (!identity) return channel;
    const [client, server] = [endpointText(identity.client), endpointText(identity.server)];
    return `${channel.endsWith('>') ? `${client} -> ${server}` : `${server} -> ${client}`} (${channel})`;
  }
}
