import { micros } from '../../world/config.ts';
import type { Network, Sent, Tentative, Transport } from './transport.ts';
import type { Channel, Message, Process } from '../../world/process.ts';

/** Both ends of one TCP stream. Numbers count messages, as TCP's sequence numbers count bytes. */
interface Link {
  readonly channel: number;
  readonly from: Process;
  readonly to: Process;
  /** Sent or to be sent, not acknowledged: numbers from `unacknowledged` on. */
  queue: Message[];
  unacknowledged: number;
  /** Receiver: next number expected; what came ahead of it (never acknowledged); what the application has not taken. */
  expected: number;
  readonly ahead: Map<number, Message>;
  inbox: Message[];
  rtoUs: number;
  /** Sent into the own block, which the kernel notices at once: it counts as not sent. */
  unsent: boolean;
  /** When the head of the queue is sent again; -1 while nothing is unacknowledged. */
  resendAt: number;
}

interface Packet {
  readonly link: Link;
  readonly colour: number;
  readonly generation: number;
  readonly message: Message | undefined;
  readonly acknowledged: number;
}

const MAX_RTO_US = 2_000_000;
/** Packets sent again at one time-out. */
const RESEND_WINDOW = 64;
const ACK_BYTES = 60;

/**
 * TCP seen from the kernel interceptor: packets may be dropped anywhere (lost, held, of a colour not reached), because the sender keeps
 * what is not acknowledged and sends it again. Acknowledgements are packets too and obey the same rules.
 */
export class KernelTransport implements Transport {
  readonly #network: Network;
  readonly #links: readonly Link[];

  constructor(network: Network) {
    this.#network = network;
    this.#links = network.channels.map(({ index, from, to }) => ({
      channel: index,
      from,
      to,
      queue: [],
      unacknowledged: 1,
      expected: 1,
      ahead: new Map<number, Message>(),
      inbox: [],
      rtoUs: micros(network.config.rtoMs),
      unsent: false,
      resendAt: -1,
    }));
  }

  transmit(_from: number, channel: number, number: number, payload: number): void {
    const link = this.#link(channel);
    const bytes = this.#network.config.messageBytes;
    const message: Message = {
      channel,
      number,
      payload,
      bytes,
      generation: this.#network.channelTable.generation(channel),
    };
    link.queue.push(message);
    if (link.resendAt < 0) this.#arm(link);
    this.#send(link, message);
  }

  capture(process: Process): Omit<Tentative, 'epoch' | 'time' | 'state'> {
    return {
      sending: process.out.map((channel) => [...this.#link(channel.index).queue]),
      unacknowledged: process.out.map((channel) => this.#link(channel.index).unacknowledged),
      receiving: process.in.map((channel) => [...this.#link(channel.index).inbox]),
      expected: process.in.map((channel) => this.#link(channel.index).expected),
    };
  }

  channelState(channel: Channel, from: Tentative, to: Tentative, fault: (text: string) => void): readonly Sent[] {
    const queue = from.sending[channel.position] ?? [];
    const unacknowledged = from.unacknowledged[channel.position] ?? 0;
    const expected = to.expected[channel.reversePosition] ?? 0;
    if (unacknowledged > expected || expected > unacknowledged + queue.length) {
      fault(`${channel.id}: snd_una ${unacknowledged}, rcv_nxt ${expected}, snd_nxt ${unacknowledged + queue.length}`);
    }
    return [...(to.receiving[channel.reversePosition] ?? []), ...queue.filter(({ number }) => number >= expected)];
  }

  reset(channel: Channel, messages: readonly Message[]): void {
    const link = this.#link(channel.index);
    const delivered = channel.to.state.receivedFrom(channel.reversePosition);
    link.queue = [...messages];
    link.inbox = [];
    link.ahead.clear();
    link.expected = delivered + 1;
    link.unacknowledged = link.expected;
    link.rtoUs = micros(this.#network.config.rtoMs);
    link.resendAt = -1;
    link.unsent = false;
    if (link.queue.length > 0) this.#arm(link);
  }

  thawed(process: Process): void {
    // As agent/network/rewriting/push-unsent.ts does.
    for (const channel of process.out) {
      const link = this.#link(channel.index);
      if (link.unsent) this.#resend(link);
    }
    for (const channel of process.in) {
      const link = this.#link(channel.index);
      while (link.inbox.length > 0 && !process.frozen) {
        const message = link.inbox.shift();
        if (message !== undefined) this.#network.deliver(message);
      }
    }
  }

  /** TCP itself is the channel: nothing to mark, to record or to flush. */
  sendMarker(): void {
    return;
  }
  startRecording(): void {
    return;
  }
  stopRecording(): void {
    return;
  }
  pause(): void {
    return;
  }
  released(): void {
    return;
  }
  /** Connections are the kernel's business: what makes and ends them are packets too, and the algorithms hear nothing of them. */
  hangUp(): void {
    return;
  }
  knows(): boolean {
    return true;
  }

  #link(channel: number): Link {
    const link = this.#links[channel];
    if (link === undefined) throw new Error(`no channel ${channel}`);
    return link;
  }

  #generation({ channel }: Link): number {
    return this.#network.channelTable.generation(channel);
  }

  #send(link: Link, message: Message | undefined): void {
    const network = this.#network;
    const { channel } = link;
    const sender = message === undefined ? link.to : link.from;
    if (message !== undefined) link.unsent = sender.held;
    const agent = network.agents[sender.index];
    if (agent === undefined || sender.down || sender.held || network.lost() || network.separated(channel)) {
      if (message !== undefined) network.metrics.retransmissions++;
      return;
    }
    let time = network.now + network.networkDelay(message === undefined ? ACK_BYTES : message.bytes);
    if (message !== undefined) time += network.extraDelay(channel);
    if (network.config.fifo && message !== undefined) time = network.channelTable.inOrder(channel, time);
    network.queue.push(time, this.#arrive, {
      link,
      message,
      colour: agent.colour,
      generation: network.channelTable.generation(channel),
      acknowledged: link.expected,
    });
  }

  readonly #arrive = (packet: Packet): void => {
    const { link, message } = packet;
    const receiver = message === undefined ? link.from : link.to;
    const agent = this.#network.agents[receiver.index];
    if (packet.generation !== this.#generation(link) || receiver.down || agent === undefined) return;
    if (receiver.held || agent.dropColour === packet.colour) {
      const { metrics, trace, channels, now } = this.#network;
      if (message === undefined) return;
      metrics.retransmissions++;
      trace.remark(now, receiver.name, 'refuses', channels[link.channel]?.id, message.number);
      return;
    }
    if (message === undefined) this.#acknowledged(link, packet.acknowledged);
    else this.#received(link, message);
  };

  #received(link: Link, message: Message): void {
    if (message.number > link.expected) {
      link.ahead.set(message.number, message);
    } else if (message.number === link.expected) {
      let next: Message | undefined = message;
      while (next !== undefined) {
        link.expected++;
        if (link.to.frozen || link.inbox.length > 0) link.inbox.push(next);
        else this.#network.deliver(next);
        next = link.ahead.get(link.expected);
        link.ahead.delete(link.expected);
      }
    }
    this.#send(link, undefined);
  }

  #acknowledged(link: Link, upTo: number): void {
    const count = upTo - link.unacknowledged;
    if (count <= 0) return;
    link.queue.splice(0, count);
    link.unacknowledged = upTo;
    link.rtoUs = micros(this.#network.config.rtoMs);
    if (link.queue.length > 0) this.#arm(link);
    else link.resendAt = -1;
  }

  /** A time-out is not taken back when it is put off: it looks again when it is due. */
  #arm(link: Link): void {
    const idle = link.resendAt < 0;
    link.resendAt = this.#network.now + link.rtoUs;
    if (idle) this.#network.queue.push(link.resendAt, this.#timeout, { link, generation: this.#generation(link) });
  }

  #resend(link: Link): void {
    for (const message of link.queue.slice(0, RESEND_WINDOW)) this.#send(link, message);
  }

  readonly #timeout = (timer: { readonly link: Link; readonly generation: number }): void => {
    const { link, generation } = timer;
    if (generation !== this.#generation(link) || link.resendAt < 0 || link.from.down) return;
    if (this.#network.now >= link.resendAt) {
      this.#resend(link);
      if (!link.unsent) link.rtoUs = Math.min(MAX_RTO_US, link.rtoUs * 2);
      link.resendAt = this.#network.now + link.rtoUs;
    }
    this.#network.queue.push(link.resendAt, this.#timeout, timer);
  };
}
