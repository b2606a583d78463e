import { MARKER_BYTES } from './metrics.ts';
import type { Network, Tentative, Transport } from './transport.ts';
import type { Channel, Message, Process } from './world.ts';

/** One direction of a stream between two sidecars. */
interface Link {
  readonly channel: Channel;
  /** What the application has sent and the sender's sidecar, held, has not read. */
  outbox: Message[];
  /** What stands behind a marker that is being acted upon, or on a paused channel. */
  waiting: Item[];
  stalled: boolean;
  /** The newest epoch that the receiver has been asked to cut in because of a message: it is asked once. */
  asked: number;
  paused: boolean;
  /** Received and not delivered. */
  inbox: Message[];
  recording: boolean;
  recorded: Message[];
  recordedBytes: number;
}

interface Item {
  readonly message: Message;
  /** The sender's epoch when it sent this. */
  readonly epoch: number;
  readonly isMarker: boolean;
}

/** What the algorithms of the sidecar differ in. */
export interface StreamRules {
  /** Every message carries its sender's epoch, and a newer one is taken only after the cut (Lai & Yang 1987; Mattern 1993). */
  readonly epochOnMessages: boolean;
}

const EPOCH_BYTES = 4;

/** Streams through two sidecars: reliable, FIFO if the network is, with markers in the stream and recording at the receiver. */
export class StreamTransport implements Transport {
  readonly #network: Network;
  readonly #rules: StreamRules;
  readonly #links: readonly Link[];

  constructor(network: Network, rules: StreamRules) {
    this.#network = network;
    this.#rules = rules;
    this.#links = network.channels.map((channel) => ({
      channel,
      outbox: [],
      waiting: [],
      stalled: false,
      asked: 0,
      paused: false,
      inbox: [],
      recording: false,
      recorded: [],
      recordedBytes: 0,
    }));
  }

  transmit(channel: Channel, number: number, payload: number): void {
    const bytes = this.#network.config.messageBytes;
    const message: Message = { channel, number, payload, bytes, generation: channel.generation, piggyback: undefined };
    if (this.#network.agents[channel.from.index]?.held) this.#link(channel).outbox.push(message);
    else this.#send(message, false, this.#network.agents[channel.from.index]?.epoch ?? 0);
  }

  sendMarker(channel: Channel, epoch: number): void {
    this.#network.metrics.controlMessages++;
    this.#network.metrics.controlBytes += MARKER_BYTES;
    this.#network.trace.add(this.#network.now, channel.from.name, 'marker', channel.id, epoch);
    const message = { channel, number: 0, payload: 0, bytes: MARKER_BYTES, piggyback: undefined };
    this.#send({ ...message, generation: channel.generation }, true, epoch);
  }

  capture(process: Process): Omit<Tentative, 'epoch' | 'time' | 'state'> {
    return {
      sending: process.out.map((channel) => [...this.#link(channel).outbox]),
      // The recording has taken what was received and not delivered.
      receiving: process.in.map(() => []),
      unacknowledged: [],
      expected: [],
    };
  }

  channelState(channel: Channel, from: Tentative): readonly Message[] {
    return [...this.#link(channel).recorded, ...(from.sending[channel.position] ?? [])];
  }

  startRecording(channel: Channel): void {
    const link = this.#link(channel);
    link.recording = true;
    link.recorded = [...link.inbox];
    link.recordedBytes = 0;
    this.#count(link, link.recorded);
  }

  stopRecording(channel: Channel): void {
    this.#link(channel).recording = false;
  }

  pause(channel: Channel, paused: boolean): void {
    const link = this.#link(channel);
    link.paused = paused;
    if (!paused) this.#drainWaiting(link);
  }

  released(process: Process): void {
    const epoch = this.#network.agents[process.index]?.epoch ?? 0;
    for (const channel of process.out) {
      for (const message of this.#link(channel).outbox.splice(0)) this.#send(message, false, epoch);
    }
    this.thawed(process);
  }

  thawed(process: Process): void {
    for (const channel of process.in) this.#drainInbox(this.#link(channel));
  }

  reset(channel: Channel, messages: readonly Message[]): void {
    const link = this.#link(channel);
    link.outbox = [];
    link.waiting = [];
    link.stalled = false;
    link.paused = false;
    link.recording = false;
    link.recorded = [];
    // The recorded channel state is delivered first, before anything new.
    link.inbox = messages.map((message) => ({ ...message, generation: channel.generation }));
  }

  #link(channel: Channel): Link {
    const link = this.#links[channel.index];
    if (link === undefined) throw new Error(`no link for channel ${channel.id}`);
    return link;
  }

  #send(message: Message, isMarker: boolean, epoch: number): void {
    const { metrics, queue } = this.#network;
    if (!isMarker && this.#rules.epochOnMessages) metrics.piggybackBytes += EPOCH_BYTES;
    queue.push(this.#network.arrival(message.channel, message.bytes), this.#arrive, { message, isMarker, epoch });
  }

  readonly #arrive = (item: Item): void => {
    const { channel, generation } = item.message;
    if (generation !== channel.generation || channel.to.down) return;
    const link = this.#link(channel);
    if (this.#mustWait(link)) link.waiting.push(item);
    else this.#take(link, item);
  };

  /** FIFO: nothing overtakes a marker that is being acted upon. Without order, messages may. */
  #mustWait(link: Link): boolean {
    return link.paused || link.stalled || (link.waiting.length > 0 && this.#network.config.fifo);
  }

  #take(link: Link, item: Item): void {
    const { channel } = link;
    const agent = this.#network.agents[channel.to.index];
    if (item.isMarker) {
      this.#stall(link, item.epoch);
      return;
    }
    if (
      this.#rules.epochOnMessages &&
      agent !== undefined &&
      item.epoch > agent.cutEpoch &&
      item.epoch !== link.asked
    ) {
      link.asked = item.epoch;
      link.waiting.unshift(item);
      this.#stall(link, item.epoch);
      return;
    }
    // With epochs on the messages, only those from before the sender's cut belong to the channel state.
    if (link.recording && (!this.#rules.epochOnMessages || item.epoch < (agent?.cutEpoch ?? 0))) {
      link.recorded.push(item.message);
      this.#count(link, [item.message]);
    }
    link.inbox.push(item.message);
    this.#drainInbox(link);
  }

  #stall(link: Link, epoch: number): void {
    link.stalled = true;
    this.#network.marker(link.channel, epoch, () => {
      link.stalled = false;
      this.#drainWaiting(link);
    });
  }

  #drainWaiting(link: Link): void {
    while (link.waiting.length > 0 && !link.stalled && !link.paused) {
      const item = link.waiting.shift();
      if (item !== undefined) this.#take(link, item);
    }
  }

  #drainInbox(link: Link): void {
    const process = link.channel.to;
    while (link.inbox.length > 0 && !process.frozen && !this.#network.agents[process.index]?.held) {
      const message = link.inbox.shift();
      if (message !== undefined) this.#network.deliver(message);
    }
  }

  #count(link: Link, messages: readonly Message[]): void {
    for (const message of messages) link.recordedBytes += message.bytes;
    this.#network.recorded(link.channel, link.recordedBytes, messages.length);
  }
}
