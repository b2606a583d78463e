import { Connections } from './connections.ts';
import { MARKER_BYTES } from '../../world/measurement/metrics.ts';
import type { Network, Sent, Tentative, Transport } from './transport.ts';
import { StreamChannel } from './stream-channel.ts';
import type { ChannelOwner, Item } from './stream-channel.ts';
import type { Channel, Message, Process } from '../../world/process.ts';

/** What the algorithms of the sidecar differ in. */
export interface StreamRules {
  /** Every message carries its sender's epoch, and a newer one is taken only after the cut (Lai & Yang 1987; Mattern 1993). */
  readonly epochOnMessages: boolean;
}

const EPOCH_BYTES = 4;
/** OPEN and ACCEPT with their proofs; nothing much for an end. */
const HANDSHAKE_BYTES = 150;

/** Streams through two sidecars: reliable, FIFO if the network is, with markers in the stream and recording at the receiver. */
export class StreamTransport implements Transport {
  readonly #network: Network;
  readonly #epochOnMessages: boolean;
  /** Of the channels on which something waits or is recorded; any other just delivers. */
  readonly #special: (StreamChannel | undefined)[];
  /** By channel: 1 if it is special. Every message asks, and this is an eighth of what would have to be fetched. */
  readonly #isSpecial: Uint8Array;
  readonly #connections: Connections;
  readonly #owner: ChannelOwner;

  constructor(network: Network, { epochOnMessages }: StreamRules) {
    this.#network = network;
    this.#epochOnMessages = epochOnMessages;
    this.#special = network.channels.map(() => undefined);
    this.#isSpecial = new Uint8Array(network.channels.length);
    this.#connections = new Connections(network, {
      put: ({ index }, word, epoch) => this.#put(word, index, 0, 0, word === 'end' ? 0 : HANDSHAKE_BYTES, epoch),
      putOff: (channel) => {
        if (!channel.from.blocked) return false;
        this.#stream(channel.index).outbox.end();
        return true;
      },
      flush: (channel) => this.#flush(channel),
    });
    this.#owner = {
      network,
      connections: this.#connections,
      epochOnMessages,
      send: ({ index, from }, { number, payload }) => this.#send(index, number, payload, this.#epochOf(from.index)),
      retire: (stream) => this.#retire(stream),
    };
  }

  hangUp(channel: Channel): void {
    // Without order an end could overtake what it ends.
    if (this.#network.config.fifo) this.#connections.hangUp(channel);
  }

  knows(channel: Channel, end: 'sender' | 'receiver'): boolean {
    return this.#connections.knows(channel.index, end);
  }

  transmit(from: number, channel: number, number: number, payload: number): void {
    if (this.#network.processTable.blocked(from) || !this.#connections.carries(channel))
      this.#stream(channel).outbox.put({ number, payload });
    else this.#send(channel, number, payload, this.#epochOnMessages ? this.#epochOf(from) : 0);
  }

  sendMarker(channel: Channel, epoch: number): void {
    if (!this.#connections.announced(channel.index)) return;
    this.#network.metrics.controlMessages++;
    this.#network.metrics.controlBytes += MARKER_BYTES;
    this.#network.trace.add(this.#network.now, channel.from.name, 'marker', channel.id, epoch);
    this.#put('marker', channel.index, 0, 0, MARKER_BYTES, epoch);
  }

  capture(process: Process): Omit<Tentative, 'epoch' | 'time' | 'state'> {
    // A channel that is being made has no state; what an earlier round recorded is not it.
    for (const { index } of process.in) this.#special[index]?.forgetRecorded();
    return {
      sending: process.out.map(({ index }) => this.#special[index]?.outbox.waiting ?? []),
      // The recording has taken what was received and not delivered.
      receiving: process.in.map(() => []),
      unacknowledged: [],
      expected: [],
    };
  }

  channelState(channel: Channel, from: Tentative): readonly Sent[] {
    return [...(this.#special[channel.index]?.recordedItems ?? []), ...(from.sending[channel.position] ?? [])];
  }

  startRecording(channel: Channel): void {
    this.#stream(channel.index).startRecording();
  }

  stopRecording(channel: Channel): void {
    const stream = this.#special[channel.index];
    if (stream === undefined) return;
    stream.inbox.recording = undefined;
    this.#retire(stream);
  }

  pause(channel: Channel, paused: boolean): void {
    const stream = this.#stream(channel.index);
    stream.arrivals.pause(paused);
    if (!paused) this.#retire(stream);
  }

  released(process: Process): void {
    for (const channel of process.out) this.#flush(channel);
    this.#connections.released(process);
    this.thawed(process);
  }

  thawed(process: Process): void {
    for (const channel of process.in) {
      const stream = this.#special[channel.index];
      if (stream === undefined) continue;
      stream.inbox.release();
      this.#retire(stream);
    }
  }

  reset(channel: Channel, messages: readonly Message[]): void {
    this.#connections.reset(channel);
    const asked = this.#special[channel.index]?.asked ?? 0;
    this.#forget(channel.index);
    if (messages.length === 0 && asked === 0) return;
    // The recorded channel state is delivered first, before anything new.
    const received = messages.map((message): Item => ({ ...message, kind: 'data', epoch: 0 }));
    this.#keep(new StreamChannel(this.#owner, channel, asked, received));
  }

  /** What has waited in front of a blocked sidecar, or for a connection, leaves. */
  #flush(channel: Channel): void {
    const stream = this.#special[channel.index];
    if (stream === undefined) return;
    stream.outbox.flush();
    this.#retire(stream);
  }

  #epochOf(process: number): number {
    return this.#network.agents[process]?.epoch ?? 0;
  }

  #stream(index: number): StreamChannel {
    return this.#special[index] ?? this.#keep(new StreamChannel(this.#owner, this.#channel(index), 0, []));
  }

  #keep(stream: StreamChannel): StreamChannel {
    const { index } = stream.channel;
    this.#isSpecial[index] = 1;
    this.#special[index] = stream;
    return stream;
  }

  #retire(stream: StreamChannel): void {
    const { index } = stream.channel;
    if (stream.plain && this.#special[index] === stream) this.#forget(index);
  }

  #forget(channel: number): void {
    this.#special[channel] = undefined;
    this.#isSpecial[channel] = 0;
  }

  #send(channel: number, number: number, payload: number, epoch: number): void {
    const { metrics, config } = this.#network;
    if (this.#epochOnMessages) metrics.piggybackBytes += EPOCH_BYTES;
    this.#put('data', channel, number, payload, config.messageBytes, epoch);
  }

  #put(kind: Item['kind'], channel: number, number: number, payload: number, bytes: number, epoch: number): void {
    const generation = this.#network.channelTable.generation(channel);
    const item: Item = { channel, number, payload, bytes, generation, epoch, kind };
    this.#network.queue.push(this.#network.arrival(channel, bytes), this.#arrive, item);
  }

  readonly #arrive = (item: Item): void => {
    const { channel, generation } = item;
    const { channelTable, processTable } = this.#network;
    const to = channelTable.to(channel);
    if (generation !== channelTable.generation(channel) || processTable.down(to)) return;
    if (this.#isSpecial[channel] === 0 && item.kind === 'data' && processTable.takes(to) && !this.#isNews(item, to))
      this.#network.deliver(item);
    else this.#stream(channel).arrivals.handle(item);
  };

  /** The message carries an epoch in which its receiver has not cut. */
  #isNews({ epoch }: Item, to: number): boolean {
    return this.#epochOnMessages && epoch > (this.#network.agents[to]?.cutEpoch ?? epoch);
  }

  #channel(index: number): Channel {
    const channel = this.#network.channels[index];
    if (channel === undefined) throw new Error(`no channel ${index}`);
    return channel;
  }
}
