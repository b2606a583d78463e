import { Connections } from './connections.ts';
import { MARKER_BYTES } from '../world/metrics.ts';
import type { Network, Sent, Tentative, Transport } from './transport.ts';
import type { Channel, Message, Process } from '../world/process.ts';

/** One direction of a stream between two sidecars, while there is something special about it. */
interface Link {
  readonly channel: number;
  readonly to: Process;
  /** What the application has sent and the sender's sidecar has not read, because it is held or the connection is not there. */
  outbox: (Sent | 'end')[];
  /** What stands behind a marker that is being acted upon, or on a paused channel. */
  waiting: Item[];
  stalled: boolean;
  /** The newest epoch that the receiver has been asked to cut in because of a message: it is asked once. */
  asked: number;
  paused: boolean;
  /** Received and not delivered. */
  inbox: Item[];
  recording: boolean;
  recorded: Message[];
  recordedBytes: number;
}

interface Item extends Message {
  readonly kind: 'data' | 'marker' | 'end' | 'open' | 'accept';
  /** The sender's epoch when it sent this. */
  readonly epoch: number;
}

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
  readonly #rules: StreamRules;
  /** Of the channels on which something waits or is recorded; a channel without a link just delivers. */
  readonly #links: (Link | undefined)[];
  /** By channel: 1 if it has a link. Every message asks, and this is an eighth of what would have to be fetched. */
  readonly #hasLink: Uint8Array;
  readonly #connections: Connections;

  constructor(network: Network, rules: StreamRules) {
    this.#network = network;
    this.#rules = rules;
    this.#links = network.channels.map(() => undefined);
    this.#hasLink = new Uint8Array(network.channels.length);
    this.#connections = new Connections(network, {
      put: ({ index }, word, epoch) => this.#put(word, index, 0, 0, word === 'end' ? 0 : HANDSHAKE_BYTES, epoch),
      putOff: (channel) => {
        if (!channel.from.held) return false;
        this.#link(channel.index).outbox.push('end');
        return true;
      },
      flush: (channel) => this.#flush(channel),
    });
  }

  hangUp(channel: Channel): void {
    // Without order an end could overtake what it ends.
    if (this.#network.config.fifo) this.#connections.hangUp(channel);
  }

  knows(channel: Channel, end: 'sender' | 'receiver'): boolean {
    return this.#connections.knows(channel.index, end);
  }

  transmit(from: number, channel: number, number: number, payload: number): void {
    if (this.#network.processTable.held(from) || !this.#connections.carries(channel))
      this.#link(channel).outbox.push({ number, payload });
    else this.#send(channel, number, payload, this.#rules.epochOnMessages ? this.#epochOf(from) : 0);
  }

  sendMarker(channel: Channel, epoch: number): void {
    if (!this.#connections.announced(channel.index)) return;
    this.#network.metrics.controlMessages++;
    this.#network.metrics.controlBytes += MARKER_BYTES;
    this.#network.trace.add(this.#network.now, channel.from.name, 'marker', channel.id, epoch);
    this.#put('marker', channel.index, 0, 0, MARKER_BYTES, epoch);
  }

  capture(process: Process): Omit<Tentative, 'epoch' | 'time' | 'state'> {
    for (const { index } of process.in) {
      const link = this.#links[index];
      // A channel that is being made has no state; what an earlier round recorded is not it.
      if (link?.recording === false) link.recorded = [];
    }
    return {
      sending: process.out.map(({ index }) => (this.#links[index]?.outbox ?? []).filter((sent) => sent !== 'end')),
      // The recording has taken what was received and not delivered.
      receiving: process.in.map(() => []),
      unacknowledged: [],
      expected: [],
    };
  }

  channelState(channel: Channel, from: Tentative): readonly Sent[] {
    return [...(this.#links[channel.index]?.recorded ?? []), ...(from.sending[channel.position] ?? [])];
  }

  startRecording(channel: Channel): void {
    const link = this.#link(channel.index);
    link.recording = true;
    link.recorded = link.inbox.filter(({ kind }) => kind === 'data');
    link.recordedBytes = 0;
    this.#count(link, link.recorded);
  }

  stopRecording(channel: Channel): void {
    const link = this.#links[channel.index];
    if (link === undefined) return;
    link.recording = false;
    this.#retire(link);
  }

  pause(channel: Channel, paused: boolean): void {
    const link = this.#link(channel.index);
    link.paused = paused;
    if (paused) return;
    this.#drainWaiting(link);
    this.#retire(link);
  }

  released(process: Process): void {
    for (const channel of process.out) this.#flush(channel);
    this.#connections.released(process);
    this.thawed(process);
  }

  thawed(process: Process): void {
    for (const channel of process.in) {
      const link = this.#links[channel.index];
      if (link === undefined) continue;
      this.#drainInbox(link);
      this.#retire(link);
    }
  }

  reset(channel: Channel, messages: readonly Message[]): void {
    this.#connections.reset(channel);
    const asked = this.#links[channel.index]?.asked ?? 0;
    this.#forget(channel.index);
    if (messages.length === 0 && asked === 0) return;
    const link = this.#link(channel.index);
    link.asked = asked;
    // The recorded channel state is delivered first, before anything new.
    link.inbox = messages.map((message) => ({ ...message, kind: 'data', epoch: 0 }));
  }

  /** What has waited in front of a held sidecar, or for a connection, leaves. */
  #flush(channel: Channel): void {
    const link = this.#links[channel.index];
    if (link === undefined) return;
    const epoch = this.#epochOf(channel.from.index);
    while (!channel.from.held && this.#connections.carries(channel.index)) {
      const sent = link.outbox.shift();
      if (sent === undefined) break;
      if (sent === 'end') this.#connections.ended(channel);
      else this.#send(channel.index, sent.number, sent.payload, epoch);
    }
    this.#retire(link);
  }

  #epochOf(process: number): number {
    return this.#network.agents[process]?.epoch ?? 0;
  }

  #link(channel: number): Link {
    this.#hasLink[channel] = 1;
    return (this.#links[channel] ??= {
      channel,
      to: this.#network.receiver(channel),
      outbox: [],
      waiting: [],
      stalled: false,
      asked: 0,
      paused: false,
      inbox: [],
      recording: false,
      recorded: [],
      recordedBytes: 0,
    });
  }

  /** Nothing is special about the channel any more. */
  #retire(link: Link): void {
    if (link.stalled || link.paused || link.recording || link.asked !== 0) return;
    if (link.outbox.length > 0 || link.waiting.length > 0 || link.inbox.length > 0 || link.recorded.length > 0) return;
    if (this.#links[link.channel] === link) this.#forget(link.channel);
  }

  #forget(channel: number): void {
    this.#links[channel] = undefined;
    this.#hasLink[channel] = 0;
  }

  #send(channel: number, number: number, payload: number, epoch: number): void {
    const { metrics, config } = this.#network;
    if (this.#rules.epochOnMessages) metrics.piggybackBytes += EPOCH_BYTES;
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
    if (this.#hasLink[channel] === 0 && item.kind === 'data' && processTable.takes(to) && !this.#isNews(item, to)) {
      this.#network.deliver(item);
      return;
    }
    const link = this.#link(channel);
    if (this.#mustWait(link)) link.waiting.push(item);
    else this.#take(link, item);
  };

  /** FIFO: nothing overtakes a marker that is being acted upon. Without order, messages may. */
  #mustWait(link: Link): boolean {
    return link.paused || link.stalled || (link.waiting.length > 0 && this.#network.config.fifo);
  }

  /** The message carries an epoch in which its receiver has not cut. */
  #isNews({ epoch }: Item, to: number): boolean {
    return this.#rules.epochOnMessages && epoch > (this.#network.agents[to]?.cutEpoch ?? epoch);
  }

  #take(link: Link, item: Item): void {
    if (item.kind !== 'data') {
      this.#takeWord(link, item);
      return;
    }
    if (this.#isNews(item, link.to.index) && item.epoch !== link.asked) {
      link.asked = item.epoch;
      link.waiting.unshift(item);
      this.#stall(link, item.epoch);
      return;
    }
    // With epochs on the messages, only those from before the sender's cut belong to the channel state.
    const agent = this.#network.agents[link.to.index];
    if (link.recording && (!this.#rules.epochOnMessages || item.epoch < (agent?.cutEpoch ?? 0))) {
      link.recorded.push(item);
      this.#count(link, [item]);
    }
    link.inbox.push(item);
    this.#drainInbox(link);
  }

  #takeWord(link: Link, item: Item): void {
    const channel = this.#channel(link.channel);
    switch (item.kind) {
      case 'marker':
        this.#stall(link, item.epoch);
        break;
      case 'end':
        link.inbox.push(item);
        this.#drainInbox(link);
        break;
      case 'open':
        this.#connections.openArrived(channel, item.epoch);
        break;
      case 'accept':
        this.#stall(link, item.epoch, () => this.#connections.accepted(channel));
        break;
      case 'data':
        break;
    }
  }

  #channel(index: number): Channel {
    const channel = this.#network.channels[index];
    if (channel === undefined) throw new Error(`no channel ${index}`);
    return channel;
  }

  #stall(link: Link, epoch: number, done?: () => void): void {
    link.stalled = true;
    this.#network.marker(link.channel, epoch, () => {
      link.stalled = false;
      done?.();
      this.#drainWaiting(link);
      this.#retire(link);
    });
  }

  #drainWaiting(link: Link): void {
    while (link.waiting.length > 0 && !link.stalled && !link.paused) {
      const item = link.waiting.shift();
      if (item !== undefined) this.#take(link, item);
    }
  }

  #drainInbox(link: Link): void {
    const process = link.to;
    while (link.inbox.length > 0 && !process.frozen && !process.held) {
      const item = link.inbox.shift();
      if (item === undefined) continue;
      if (item.kind === 'data') this.#network.deliver(item);
      else this.#connections.endRead(this.#channel(link.channel));
    }
  }

  #count(link: Link, messages: readonly Message[]): void {
    for (const message of messages) link.recordedBytes += message.bytes;
    this.#network.recorded(link.channel, link.recordedBytes, messages.length);
  }
}
