import { messageHash, type AppState } from './app-state.ts';
import type { Channel, Message, Process } from './process.ts';

/** A global checkpoint: one state per process, and what was under way on every channel. */
export interface GlobalCheckpoint {
  readonly epoch: number;
  /** Simulated time of each process's own cut, microseconds. */
  readonly times: readonly number[];
  readonly states: readonly AppState[];
  /** By channel index: messages sent before the sender's cut and not delivered before the receiver's. */
  readonly channels: readonly (readonly Pick<Message, 'number' | 'payload'>[])[];
}

/**
 * What is wrong with a cut; empty when it is consistent and complete. Knows nothing of the algorithm that made it.
 * - No orphan: nothing was delivered that was not sent.
 * - Channel states: delivered plus recorded is exactly what was sent, by number and by content, in order on FIFO channels.
 */
export function cutFaults(cut: GlobalCheckpoint, channels: readonly Channel[], fifo: boolean): string[] {
  const faults: string[] = [];
  for (const channel of channels) {
    const from = cut.states[channel.from.index];
    const to = cut.states[channel.to.index];
    const state = cut.channels[channel.index];
    if (from === undefined || to === undefined || state === undefined) {
      faults.push(`${channel.id}: missing from the cut`);
      continue;
    }
    const sent = from.sentTo(channel.position);
    const delivered = to.receivedFrom(channel.reversePosition);
    if (delivered > sent) {
      faults.push(`${channel.id}: orphan message, ${delivered} delivered but only ${sent} sent`);
      continue;
    }
    if (delivered + state.length !== sent) {
      faults.push(`${channel.id}: ${sent} sent, ${delivered} delivered and ${state.length} recorded`);
      continue;
    }
    let hash = to.receivedHash(channel.reversePosition);
    state.forEach((message, i) => {
      hash = (hash + messageHash(message.number, message.payload)) | 0;
      if (fifo && message.number !== delivered + 1 + i)
        faults.push(`${channel.id}: number ${message.number} out of order`);
    });
    if (hash !== from.sentHash(channel.position)) faults.push(`${channel.id}: other messages than were sent`);
  }
  return faults;
}

/**
 * Participants that a round should have done without (Koo & Toueg 1987: the set is the smallest possible). Whoever takes part is the
 * initiator, or has sent something since its checkpoint in `before` that one who has to take part had received at its own cut.
 */
export function needlessFaults(
  cut: GlobalCheckpoint,
  before: GlobalCheckpoint,
  participants: ReadonlySet<string>,
  initiator: string,
  channels: readonly Channel[],
): string[] {
  const needed = new Set([initiator]);
  for (let size = 0; size < needed.size;) {
    size = needed.size;
    for (const { from, to, position, reversePosition } of channels) {
      const sender = before.states[from.index];
      const receiver = cut.states[to.index];
      if (sender === undefined || receiver === undefined || !needed.has(to.name)) continue;
      if (receiver.receivedFrom(reversePosition) > sender.sentTo(position)) needed.add(from.name);
    }
  }
  return [...participants].filter((name) => !needed.has(name)).map((name) => `${name} took part needlessly`);
}

/** All the money of a cut of `bank`: balances, and payloads under way. */
export function totalMoney(cut: GlobalCheckpoint): number {
  let total = 0;
  for (const state of cut.states) total += state.balance;
  for (const channel of cut.channels) for (const message of channel) total += message.payload;
  return total;
}

/** The same two checks on a run that has come to rest: everything sent has been delivered, once. */
export function restFaults(processes: readonly Process[], channels: readonly Channel[], fifo: boolean): string[] {
  const cut: GlobalCheckpoint = {
    epoch: 0,
    times: [],
    states: processes.map((process) => process.state),
    channels: channels.map(() => []),
  };
  return cutFaults(cut, channels, fifo).map((fault) => `at rest: ${fault}`);
}
