import { micros } from '../../world/config.ts';
import type { Network, Sent, Tentative, Transport } from './transport.ts';
import type { Channel, Message, Process } from '../../world/process.ts';

/** Both ends of one TCP stream. Numbers count messages, as TCP's sequence numbers count bytes. */
interface TcpChannel {
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
  readonly tcp: TcpChannel;
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
 * TCP seen from the kernel interceptor: packets may be dropped anywhere (lost, blocked, of a colour not reached), because the sender keeps
 * what is not acknowledged and sends it again. Acknowledgements are packets too and obey the same rules.
 */
export class KernelTransport implements Transport {
  readonly #network: Network;
  readonly #tcpChannels: readonly TcpChannel[];

  constructor(network: Network) {
    this.#network = network;
    this.#tcpChannels = network.channels.map(({ index, from, to }) => ({
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
    const tcp = this.#tcp(channel);
    const bytes = this.#network.config.messageBytes;
    const message: Message = {
      channel,
      number,
      payload,
      bytes,
      generation: this.#network.channelTable.generation(channel),
    };
    tcp.queue.push(message);
    if (tcp.resendAt < 0) this.#arm(tcp);
    this.#send(tcp, message);
  }

  capture(process: Process): Omit<Tentative, 'epoch' | 'time' | 'state'> {
    return {
      sending: process.out.map((channel) => [...this.#tcp(channel.index).queue]),
      unacknowledged: process.out.map((channel) => this.#tcp(channel.index).unacknowledged),
      receiving: process.in.map((channel) => [...this.#tcp(channel.index).inbox]),
      expected: process.in.map((channel) => this.#tcp(channel.index).expected),
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
    const tcp = this.#tcp(channel.index);
    const delivered = channel.to.state.receivedFrom(channel.reversePosition);
    tcp.queue = [...messages];
    tcp.inbox = [];
    tcp.ahead.clear();
    tcp.expected = delivered + 1;
    tcp.unacknowledged = tcp.expected;
    tcp.rtoUs = micros(this.#network.config.rtoMs);
    tcp.resendAt = -1;
    tcp.unsent = false;
    if (tcp.queue.length > 0) this.#arm(tcp);
  }

  thawed(process: Process): void {
    // As agent/network/rewriting/push-unsent.ts does.
    for (const channel of process.out) {
      const tcp = this.#tcp(channel.index);
      if (tcp.unsent) this.#resend(tcp);
    }
    for (const channel of process.in) {
      const tcp = this.#tcp(channel.index);
      while (tcp.inbox.length > 0 && !process.frozen) {
        const message = tcp.inbox.shift();
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

  #tcp(channel: number): TcpChannel {
    const tcp = this.#tcpChannels[channel];
    if (tcp === undefined) throw new Error(`no channel ${channel}`);
    return tcp;
  }

  #generation({ channel }: TcpChannel): number {
    return this.#network.channelTable.generation(channel);
  }

  #send(tcp: TcpChannel, message: Message | undefined): void {
    const network = this.#network;
    const { channel } = tcp;
    const sender = message === undefined ? tcp.to : tcp.from;
    if (message !== undefined) tcp.unsent = sender.blocked;
    const agent = network.agents[sender.index];
    if (agent === undefined || sender.down || sender.blocked || network.lost() || network.separated(channel)) {
      if (message !== undefined) network.metrics.retransmissions++;
      return;
    }
    let time = network.now + network.networkDelay(message === undefined ? ACK_BYTES : message.bytes);
    if (message !== undefined) time += network.extraDelay(channel);
    if (network.config.fifo && message !== undefined) time = network.channelTable.inOrder(channel, time);
    network.queue.push(time, this.#arrive, {
      tcp,
      message,
      colour: agent.colour,
      generation: network.channelTable.generation(channel),
      acknowledged: tcp.expected,
    });
  }

  readonly #arrive = (packet: Packet): void => {
    const { tcp, message } = packet;
    const receiver = message === undefined ? tcp.from : tcp.to;
    const agent = this.#network.agents[receiver.index];
    if (packet.generation !== this.#generation(tcp) || receiver.down || agent === undefined) return;
    if (receiver.blocked || agent.dropColour === packet.colour) {
      const { metrics, trace, channels, now } = this.#network;
      if (message === undefined) return;
      metrics.retransmissions++;
      trace.remark(now, receiver.name, 'refuses', channels[tcp.channel]?.id, message.number);
      return;
    }
    if (message === undefined) this.#acknowledged(tcp, packet.acknowledged);
    else this.#received(tcp, message);
  };

  #received(tcp: TcpChannel, message: Message): void {
    if (message.number > tcp.expected) {
      tcp.ahead.set(message.number, message);
    } else if (message.number === tcp.expected) {
      let next: Message | undefined = message;
      while (next !== undefined) {
        tcp.expected++;
        if (tcp.to.frozen || tcp.inbox.length > 0) tcp.inbox.push(next);
        else this.#network.deliver(next);
        next = tcp.ahead.get(tcp.expected);
        tcp.ahead.delete(tcp.expected);
      }
    }
    this.#send(tcp, undefined);
  }

  #acknowledged(tcp: TcpChannel, upTo: number): void {
    const count = upTo - tcp.unacknowledged;
    if (count <= 0) return;
    tcp.queue.splice(0, count);
    tcp.unacknowledged = upTo;
    tcp.rtoUs = micros(this.#network.config.rtoMs);
    if (tcp.queue.length > 0) this.#arm(tcp);
    else tcp.resendAt = -1;
  }

  /** A time-out is not taken back when it is put off: it looks again when it is due. */
  #arm(tcp: TcpChannel): void {
    const idle = tcp.resendAt < 0;
    tcp.resendAt = this.#network.now + tcp.rtoUs;
    if (idle) this.#network.queue.push(tcp.resendAt, this.#timeout, { tcp, generation: this.#generation(tcp) });
  }

  #resend(tcp: TcpChannel): void {
    for (const message of tcp.queue.slice(0, RESEND_WINDOW)) this.#send(tcp, message);
  }

  readonly #timeout = (timer: { readonly tcp: TcpChannel; readonly generation: number }): void => {
    const { tcp, generation } = timer;
    if (generation !== this.#generation(tcp) || tcp.resendAt < 0 || tcp.from.down) return;
    if (this.#network.now >= tcp.resendAt) {
      this.#resend(tcp);
      if (!tcp.unsent) tcp.rtoUs = Math.min(MAX_RTO_US, tcp.rtoUs * 2);
      tcp.resendAt = this.#network.now + tcp.rtoUs;
    }
    this.#network.queue.push(tcp.resendAt, this.#timeout, timer);
  };
}
