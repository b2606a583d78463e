import type { Endpoint } from '../../../src/model/connection.ts';
import type { Link } from '../sockets/link.ts';
import type { LocalEnd } from '../sockets/local-end.ts';
import type { RoundRunner, RoundStreams } from '../checkpoint/round.ts';
import { Stream } from './stream.ts';
import type { RestoredStream } from '../../../src/streams/stream-state.ts';
import type { StreamIdentity } from './stream-identity.ts';
import type { StreamOwner } from './stream-owner.ts';

/** What the streams ask of their sidecar beyond its round. */
export interface StreamsOptions {
  readonly log: (message: string, details: object) => void;
  /** A peer moves, and no round here makes a marker of it. Resolves when the stream may lose its tunnel. */
  readonly park: (stream: Stream) => Promise<void>;
  /** As StreamOwner.free. */
  readonly free: (stream: Stream, tunnel: Link, rest: Uint8Array) => void;
  /** A parked stream has lost its tunnel. */
  readonly left: (stream: Stream) => void;
  /** Nothing is left of a stream. */
  readonly closed: (stream: Stream) => void;
  /** Whose address this is, for people. */
  readonly who: (address: string) => string;
}

/**
 * The streams of one sidecar, the channels that the algorithm knows of, and whether all of them are blocked. All on one thread: what is done
 * in one piece is atomic for every stream.
 */
export class Streams implements RoundStreams {
  round: RoundRunner | undefined;
  readonly #options: StreamsOptions;
  readonly #streams = new Map<string, Stream>();
  /** Channels that the algorithm knows, with their direction. */
  readonly #channels = new Map<string, { readonly stream: string; readonly direction: 'in' | 'out' }>();
  /** Streams whose peers were gone before the round began: they are no part of it, and what has come from them is all there is. */
  readonly #orphaned = new Set<string>();
  #waiting: (() => void)[] = [];
  #blocked: boolean;
  #epoch: number;
  /** What all streams ask. */
  readonly #owner: StreamOwner<Stream>;
  /** Streams since the start. */
  #carried = 0;

  /** @param blocked begins blocked: a restored task is not let go yet */
  constructor(epoch: number, blocked: boolean, options: StreamsOptions) {
    this.#epoch = epoch;
    this.#blocked = blocked;
    this.#options = options;
    this.#owner = this.#makeOwner();
  }

  get epoch(): number {
    return this.#epoch;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  get size(): number {
    return this.#streams.size;
  }

  get carried(): number {
    return this.#carried;
  }

  all(): readonly Stream[] {
    return [...this.#streams.values()];
  }

  get(id: string): Stream | undefined {
    return this.#streams.get(id);
  }

  byChannel(channel: string): Stream | undefined {
    return this.#streams.get(this.#channels.get(channel)?.stream ?? '');
  }

  /** New streams carry this epoch from now on. */
  reach(epoch: number): void {
    this.#epoch = epoch;
  }

  /** Stops reading from the application and delivering to it. What comes from peers waits. */
  block(): void {
    this.#blocked = true;
    for (const stream of this.all()) stream.block();
  }

  release(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    for (const stream of this.all()) stream.release();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** A blocked sidecar begins nothing new. */
  async released(): Promise<void> {
    while (this.#blocked) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  add(identity: StreamIdentity, target: Endpoint, app: LocalEnd, restored?: RestoredStream): Stream {
    const stream = new Stream(identity, target, app, this.#owner, restored);
    this.#streams.set(identity.id, stream);
    if (restored && restored.phase !== 'ended') this.#know(identity);
    this.#carried += 1;
    return stream;
  }

  /**
   * The algorithm hears of a stream's two channels; resolves when it has done what it had to.
   * @param inEpoch the epoch of whoever opens it
   */
  async opened(identity: StreamIdentity, inEpoch: number): Promise<void> {
    const { incoming, outgoing } = this.#know(identity);
    const { round } = this;
    if (!round) return;
    // Epochs of no round of ours (a sidecar that was started anew knows none) say nothing.
    const epoch = inEpoch === round.epoch && identity.role === 'acceptor' ? inEpoch : round.epoch - 1;
    await round.feed({ kind: 'opened', channel: incoming, direction: 'in', epoch });
    await round.feed({ kind: 'opened', channel: outgoing, direction: 'out', epoch });
  }

  /** A round begins: tells it of all channels that there are. */
  introduce(round: RoundRunner): void {
    this.#orphaned.clear();
    for (const { identity, abandoned } of this.all()) if (abandoned) this.#orphaned.add(identity.id);
    for (const [channel, { direction }] of this.#channels)
      void round.feed({ kind: 'opened', channel, direction, epoch: round.epoch - 1 });
  }

  /** The two channels have ended. @param lost not in order */
  forget(identity: StreamIdentity, lost: boolean): void {
    const stream = this.#streams.get(identity.id);
    const orphaned = this.#orphaned.delete(identity.id);
    if (lost && orphaned && stream?.recording) stream.recording.reset = true;
    for (const channel of [`${identity.id}>`, `${identity.id}<`]) {
      if (this.#channels.has(channel)) this.#tellEnd(channel, lost && !orphaned ? this.#lossOf(stream) : undefined);
      this.#channels.delete(channel);
    }
  }

  /** Markers of no round of ours are left over from an aborted one. */
  async marker(stream: Stream, epoch: number): Promise<void> {
    if (this.round?.epoch === epoch) await this.round.feed({ kind: 'marker', channel: stream.channels.in, epoch });
  }

  /** Ends every connection with a reset. */
  destroy(): void {
    for (const stream of this.all()) stream.destroy();
  }

  /** @param loss why it has not ended in order */
  #tellEnd(channel: string, loss: string | undefined): void {
    if (loss === undefined) {
      void this.round?.feed({ kind: 'closed', channel });
      return;
    }
    this.round?.lost(channel, loss);
    void this.round?.feed({ kind: 'peer-lost', channel });
  }

  #lossOf(stream: Stream | undefined): string {
    const { address, brokenBy } = stream?.far ?? {};
    const who = address ? this.#options.who(address) : 'the other task';
    if (brokenBy === undefined) return `the sidecar of ${who} has ended the connection`;
    return brokenBy.startsWith(who) ? brokenBy : `the connection with the sidecar of ${who} has broken (${brokenBy})`;
  }

  #know(identity: StreamIdentity): { readonly incoming: string; readonly outgoing: string } {
    const opener = identity.role === 'opener';
    const incoming = `${identity.id}${opener ? '<' : '>'}`;
    const outgoing = `${identity.id}${opener ? '>' : '<'}`;
    this.#channels.set(incoming, { stream: identity.id, direction: 'in' });
    this.#channels.set(outgoing, { stream: identity.id, direction: 'out' });
    return { incoming, outgoing };
  }

  #makeOwner(): StreamOwner<Stream> {
    const blocked = (): boolean => this.#blocked;
    return {
      get blocked() {
        return blocked();
      },
      marker: (stream, epoch) => this.marker(stream, epoch),
      park: async (stream, epoch) => {
        if (this.round?.epoch === epoch) {
          await this.marker(stream, epoch);
          return false;
        }
        await this.#options.park(stream);
        return true;
      },
      recorded: (stream, bytes) => this.round?.recorded(stream.channels.in, bytes),
      ended: (stream, lost) => this.forget(stream.identity, lost),
      free: (stream, tunnel, rest) => this.#options.free(stream, tunnel, rest),
      left: (stream) => this.#options.left(stream),
      closed: (stream) => {
        if (!this.#streams.delete(stream.identity.id)) return;
        this.forget(stream.identity, true);
        this.#options.closed(stream);
      },
      log: this.#options.log,
    };
  }
}
