import type { AppState } from './app-state.ts';
import type { GlobalCheckpoint } from './global-checkpoint.ts';
import type { Channel, Message, Process } from './process.ts';

type Sent = Pick<Message, 'number' | 'payload'>;

/**
 * What the senders keep until the receiver has it in a permanent checkpoint. Where not everybody takes part in a round, a receiver may go
 * back to a checkpoint that is older than the sender's, and TCP has forgotten what lies between.
 */
export class SentLog {
  readonly #channels: readonly Channel[];
  readonly #sent: Sent[][];

  constructor(channels: readonly Channel[]) {
    this.#channels = channels;
    this.#sent = channels.map(() => []);
  }

  add(channel: number, number: number, payload: number): void {
    this.#sent[channel]?.push({ number, payload });
  }

  /** Sent according to the sender's state and not delivered according to the receiver's: the state of the channel. */
  between(channel: Channel, states: readonly AppState[]): readonly Sent[] {
    const delivered = deliveredIn(states, channel);
    const sent = states[channel.from.index]?.sentTo(channel.position) ?? 0;
    return (this.#sent[channel.index] ?? []).filter(({ number }) => number > delivered && number <= sent);
  }

  /** These checkpoints are permanent: what they have delivered is not needed any more. */
  forget(cut: GlobalCheckpoint): void {
    for (const channel of this.#channels) {
      const delivered = deliveredIn(cut.states, channel);
      this.#sent[channel.index] = (this.#sent[channel.index] ?? []).filter(({ number }) => number > delivered);
    }
  }

  /** Everybody has gone back to this cut: what was sent after it has not been sent. */
  reset(cut: GlobalCheckpoint): void {
    for (const { index } of this.#channels) this.#sent[index] = [...(cut.channels[index] ?? [])];
  }
}

/** The last label that a process had sent to each neighbour, according to its checkpoint. */
export function sentLabels(process: Process, { states }: GlobalCheckpoint): Map<string, number> {
  const state = states[process.index];
  return new Map(process.out.map(({ to }, i) => [to.name, state?.sentTo(i) ?? 0]));
}

/** The last label that a process had received from each neighbour, according to its checkpoint. */
export function receivedLabels(process: Process, { states }: GlobalCheckpoint): Map<string, number> {
  const state = states[process.index];
  return new Map(process.in.map(({ from }, i) => [from.name, state?.receivedFrom(i) ?? 0]));
}

function deliveredIn(states: readonly AppState[], channel: Channel): number {
  return states[channel.to.index]?.receivedFrom(channel.reversePosition) ?? 0;
}
