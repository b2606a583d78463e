import { Arrivals } from '../../../streams/arrivals.ts';
import type { ArrivalsOwner } from '../../../streams/arrivals.ts';
import { Inbox } from '../../../streams/inbox.ts';
import type { InboxOwner, Recording } from '../../../streams/inbox.ts';
import { Outbox } from '../../../streams/outbox.ts';
import type { OutboxOwner } from '../../../streams/outbox.ts';
import type { Channel, Message } from '../../world/process.ts';
import type { Connections } from './connections.ts';
import type { Network, Sent } from './transport.ts';

/** What travels on a channel: a message, or a word of the protocol. */
export interface Item extends Message {
  readonly kind: 'data' | 'marker' | 'end' | 'open' | 'accept';
  /** The sender's epoch when it sent this. */
  readonly epoch: number;
}

/** The transport that a channel belongs to. */
export interface ChannelOwner {
  readonly network: Network;
  readonly connections: Connections;
  /** Every message carries its sender's epoch, and a newer one is taken only after the cut (Lai & Yang 1987; Mattern 1993). */
  readonly epochOnMessages: boolean;
  /** A message sets out. */
  send(channel: Channel, sent: Sent): void;
  /** There may be nothing special about the channel any more. */
  retire(channel: StreamChannel): void;
}

/**
 * One direction of a stream between two sidecars, while there is something special about it. What waits, what is recorded and what is kept
 * back is decided by the parts of the stream protocol that the sidecars run (src/streams), here with messages instead of bytes.
 */
export class StreamChannel implements ArrivalsOwner<Item>, InboxOwner<Item>, OutboxOwner<Sent> {
  readonly channel: Channel;
  readonly arrivals: Arrivals<Item>;
  readonly inbox: Inbox<Item>;
  /** What the application has sent and the sender's sidecar has not read, because it is blocked or the connection is not there. */
  readonly outbox: Outbox<Sent>;
  /** The newest epoch that the receiver has been asked to cut in because of a message: it is asked once. */
  asked: number;
  /** The channel's state of the present or the last round. */
  #state: Recording<Item> | undefined;
  readonly #owner: ChannelOwner;

  /** @param received and not delivered: comes before anything new */
  constructor(owner: ChannelOwner, channel: Channel, asked: number, received: Item[]) {
    this.#owner = owner;
    this.channel = channel;
    this.asked = asked;
    this.arrivals = new Arrivals<Item>(this);
    this.inbox = new Inbox<Item>(this, received);
    this.outbox = new Outbox<Sent>(this);
  }

  /** Nothing is special about the channel any more. */
  get plain(): boolean {
    if (this.arrivals.waits || this.inbox.recording !== undefined || this.asked !== 0) return false;
    return this.outbox.idle && this.inbox.idle && this.recordedItems.length === 0;
  }

  /** What was recorded in the present or the last round. */
  get recordedItems(): readonly Item[] {
    return this.#state?.chunks ?? [];
  }

  startRecording(): void {
    const state = this.inbox.beginning(0);
    this.#state = this.inbox.recording = state;
    this.recorded(state, state.chunks.length);
  }

  /** A new cut: what an earlier round recorded is none of it. */
  forgetRecorded(): void {
    if (this.inbox.recording === undefined) this.#state = undefined;
  }

  take(item: Item): Item | undefined {
    const { connections, epochOnMessages, network } = this.#owner;
    const { to } = this.channel;
    switch (item.kind) {
      case 'data': {
        const cutEpoch = network.agents[to.index]?.cutEpoch;
        if (epochOnMessages && item.epoch > (cutEpoch ?? item.epoch) && item.epoch !== this.asked) {
          this.asked = item.epoch;
          this.#askFor(item.epoch);
          return item;
        }
        // With epochs on the messages, only those from before the sender's cut belong to the channel state.
        this.inbox.take(item, !epochOnMessages || item.epoch < (cutEpoch ?? 0));
        break;
      }
      case 'marker':
        this.#askFor(item.epoch);
        break;
      case 'end':
        this.inbox.takeEnd();
        break;
      case 'open':
        connections.openArrived(this.channel, item.epoch);
        break;
      case 'accept':
        this.#askFor(item.epoch, () => connections.accepted(this.channel));
        break;
    }
    return undefined;
  }

  mayDeliver(): boolean {
    return !this.channel.to.frozen && !this.channel.to.blocked;
  }

  maySend(): boolean {
    return !this.channel.from.blocked && this.#owner.connections.carries(this.channel.index);
  }

  size(item: Item): number {
    return item.bytes;
  }

  /** Messages stay as they are. */
  keep<T>(item: T): T {
    return item;
  }

  deliver(item: Item): void {
    this.#owner.network.deliver(item);
  }

  deliverEnd(): void {
    this.#owner.connections.endRead(this.channel);
  }

  recorded({ bytes }: Recording<Item>, items: number): void {
    this.#owner.network.recorded(this.channel.index, bytes, items);
  }

  send(sent: Sent): void {
    this.#owner.send(this.channel, sent);
  }

  sendEnd(): void {
    this.#owner.connections.ended(this.channel);
  }

  /** The receiver's algorithm hears of an epoch; what is behind waits until it is done with that. */
  #askFor(epoch: number, done?: () => void): void {
    this.arrivals.block();
    this.#owner.network.marker(this.channel.index, epoch, () => {
      done?.();
      this.arrivals.unblock();
      this.#owner.retire(this);
    });
  }
}
