import type { ParticipantInput } from '../../../algorithms/contract.ts';
import { nextExponential } from '../../world/prng.ts';
import type { Channel, Process } from '../../world/process.ts';
import type { Network } from './transport.ts';

/** What the streams do for connections. */
export interface Wire {
  /** Puts a word of the protocol behind all that has left on the channel. `epoch` is the sender's. */
  put(channel: Channel, word: 'end' | 'open' | 'accept', epoch: number): void;
  /** Whether the sender's end still has something that belongs before `end`; then it comes back with {@link Connections.ended}. */
  putOff(channel: Channel): boolean;
  /** The channel carries messages again: those that have waited may leave. */
  flush(channel: Channel): void;
}

/** One direction of a connection that is not simply there. */
interface Direction {
  readonly channel: Channel;
  /** The channel of the other direction. */
  readonly back: Channel;
  /** This direction is that of whoever hung up, and opens the next connection. */
  readonly byOpener: boolean;
  /** Messages may leave. */
  carries: boolean;
  /** The receiver's sidecar knows, or will know, of the connection: markers may leave. */
  announced: boolean;
  /** The participants at both ends count the channel among theirs. */
  senderKnows: boolean;
  receiverKnows: boolean;
}

/** Between hearing of the end of one connection and asking for the next. */
const RECONNECT_MEAN_US = 5_000;

/**
 * Connections that end and are made anew while rounds run, by the protocol of the sidecars (docs/proxy.md, "A cut"). A client hangs up, the
 * server hangs up too when it has read the end, and the client connects again; what either says in the meantime waits. Both sidecars tell
 * their participants of a channel before anything of it is on its way; OPEN and ACCEPT carry epochs, which act as markers; and an opener
 * sends nothing before it has been accepted.
 */
export class Connections {
  readonly #network: Network;
  readonly #wire: Wire;
  /** By channel. A channel that is not here is open. */
  readonly #directions = new Map<number, Direction>();
  /** What is to be done when a process is no longer blocked: a blocked sidecar begins nothing new. */
  readonly #waiting = new Map<Process, (() => void)[]>();

  constructor(network: Network, wire: Wire) {
    this.#network = network;
    this.#wire = wire;
  }

  /** Messages may leave on this channel. */
  carries(channel: number): boolean {
    return this.#directions.get(channel)?.carries ?? true;
  }

  /** A marker on this channel would reach somebody who knows the connection. */
  announced(channel: number): boolean {
    return this.#directions.get(channel)?.announced ?? true;
  }

  /** The participant at that end counts the channel among its own. */
  knows(channel: number, end: 'sender' | 'receiver'): boolean {
    const direction = this.#directions.get(channel);
    return direction === undefined || (end === 'sender' ? direction.senderKnows : direction.receiverKnows);
  }

  /** The application at the channel's sending end hangs up. Nothing if it is at it already, or cannot. */
  hangUp(channel: Channel): void {
    const { from } = channel;
    if (this.#directions.has(channel.index) || from.frozen || from.blocked || from.down) return;
    const back = from.in[channel.position];
    if (back === undefined || this.#directions.has(back.index)) return;
    this.#add(channel, back, true);
    this.#add(back, channel, false);
    this.#network.metrics.reconnects++;
    this.#end(channel);
  }

  /** What belonged before the end of this channel has left. */
  ended(channel: Channel): void {
    const direction = this.#directions.get(channel.index);
    if (direction === undefined) return;
    direction.carries = false;
    direction.announced = false;
    direction.senderKnows = false;
    this.#feed(channel.from, { kind: 'closed', channel: channel.id, now: this.#network.now / 1000 });
    this.#wire.put(channel, 'end', 0);
  }

  /**
   * The receiver's application has read everything and the end: it hangs up too, or both have and the next connection can be made. What had
   * come and was not read belongs to the channel's state, so the participant loses the channel only now.
   */
  endRead(channel: Channel): void {
    const direction = this.#directions.get(channel.index);
    if (direction === undefined) return;
    direction.receiverKnows = false;
    this.#feed(channel.to, { kind: 'closed', channel: channel.id, now: this.#network.now / 1000 });
    if (direction.byOpener) {
      this.#end(direction.back);
      return;
    }
    const { queue, now, random, channelTable } = this.#network;
    const generation = channelTable.generation(channel.index);
    const connect = (): void => {
      if (generation === channelTable.generation(channel.index)) this.#connect(direction.back);
    };
    queue.push(now + 1 + nextExponential(random, RECONNECT_MEAN_US), connect, undefined);
  }

  /** The acceptor's sidecar has got OPEN, with the opener's epoch. */
  openArrived(channel: Channel, epoch: number): void {
    const direction = this.#directions.get(channel.index);
    const answer = direction && this.#directions.get(direction.back.index);
    if (direction === undefined || answer === undefined) return;
    this.#tell(channel.to, channel, answer.channel, epoch, () => {
      answer.announced = true;
      answer.carries = true;
      this.#wire.put(answer.channel, 'accept', this.#epochOf(channel.to));
      this.#wire.flush(answer.channel);
    });
  }

  /** The opener's participant has dealt with the epoch of ACCEPT: the connection is there. */
  accepted(channel: Channel): void {
    const direction = this.#directions.get(channel.index);
    if (direction === undefined) return;
    this.#directions.delete(channel.index);
    this.#directions.delete(direction.back.index);
    this.#wire.flush(direction.back);
  }

  /** The process is no longer blocked. */
  released(process: Process): void {
    const actions = this.#waiting.get(process);
    this.#waiting.delete(process);
    for (const action of actions ?? []) action();
  }

  /** Everybody has gone back: all connections have been made anew. */
  reset(channel: Channel): void {
    this.#directions.delete(channel.index);
    this.#waiting.delete(channel.from);
  }

  #add(channel: Channel, back: Channel, byOpener: boolean): void {
    const open = { carries: true, announced: true, senderKnows: true, receiverKnows: true };
    this.#directions.set(channel.index, { channel, back, byOpener, ...open });
  }

  #end(channel: Channel): void {
    if (!this.#wire.putOff(channel)) this.ended(channel);
  }

  #connect(channel: Channel): void {
    const direction = this.#directions.get(channel.index);
    if (direction === undefined) return;
    this.#tell(channel.from, direction.back, channel, this.#epochOf(channel.from), () => {
      direction.announced = true;
      this.#wire.put(channel, 'open', this.#epochOf(channel.from));
    });
  }

  /** Tells a participant of its two new channels, and goes on when it has dealt with that and is not blocked. */
  #tell(process: Process, incoming: Channel, outgoing: Channel, epoch: number, action: () => void): void {
    const [into, out] = [this.#directions.get(incoming.index), this.#directions.get(outgoing.index)];
    if (into !== undefined) into.receiverKnows = true;
    if (out !== undefined) out.senderKnows = true;
    const { channelTable } = this.#network;
    const generation = channelTable.generation(incoming.index);
    this.#feed(process, { kind: 'opened', channel: incoming.id, direction: 'in', epoch });
    this.#feed(process, { kind: 'opened', channel: outgoing.id, direction: 'out', epoch }, () => {
      if (generation === channelTable.generation(incoming.index)) this.#whenReleased(process, action);
    });
  }

  #whenReleased(process: Process, action: () => void): void {
    if (!process.blocked) {
      action();
      return;
    }
    const actions = this.#waiting.get(process);
    if (actions === undefined) this.#waiting.set(process, [action]);
    else actions.push(action);
  }

  #feed(process: Process, input: ParticipantInput, done?: () => void): void {
    this.#network.feed(process, input, done);
  }

  #epochOf(process: Process): number {
    return this.#network.agents[process.index]?.cutEpoch ?? 0;
  }
}
