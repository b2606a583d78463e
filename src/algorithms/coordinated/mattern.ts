import type {
  Algorithm,
  ChannelId,
  Epoch,
  Participant,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOptions,
} from '../contract.ts';
import { TwoPhaseRound } from './two-phase-round.ts';

/**
 * Participant of Mattern 1993, "Efficient algorithms for distributed snapshots and global virtual time approximation", section 3: messages
 * carry the sender's epoch, channels need not be FIFO, and counters instead of markers tell when a channel state is complete.
 *
 * A message of a newer epoch (`marker`) makes the cut before it is taken. Messages of an older epoch that come after the cut are recorded.
 * When `arrived` reaches `expected`, the sum of what all peers had sent at their cuts, nothing can come any more.
 */
class MatternParticipant implements Participant {
  readonly #options: ParticipantOptions;
  readonly #in = new Set<ChannelId>();
  #epoch: Epoch;
  #announced: Epoch | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #open = false;
  #saving = false;
  #expected: number | undefined;
  #arrived = 0;

  constructor(options: ParticipantOptions) {
    this.#options = options;
    this.#epoch = options.epoch;
  }

  get busy(): boolean {
    return this.#open;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  step(input: ParticipantInput): readonly ParticipantEffect[] {
    switch (input.kind) {
      case 'prepare': {
        if (this.#epoch === input.epoch && this.#open) return [];
        const undo = this.#abort(`round ${input.epoch} begins`);
        this.#announced = input.epoch;
        this.#epoch = input.epoch - 1;
        return undo;
      }
      case 'start':
      case 'marker':
        return this.#cut(input.epoch, input.now);
      case 'expected':
        this.#expected = input.messages;
        return this.#reportIfDone();
      case 'arrived':
        this.#arrived = input.messages;
        return this.#reportIfDone();
      case 'saved':
        if (!this.#saving) return [];
        this.#saving = false;
        return [{ kind: 'advance', epoch: this.#epoch }, { kind: 'thaw' }, ...this.#reportIfDone()];
      case 'abort':
        return this.#abort(input.reason);
      case 'failed':
        // Letting go has failed half way: the process may stand still although its part of the round counts as over.
        if (input.effect === 'advance' || input.effect === 'thaw') this.#open = this.#saving = true;
        return this.#abort(`${input.effect} failed: ${input.reason}`);
      case 'tick':
        return input.now >= this.#deadline ? this.#abort(this.#lateness()) : [];
      case 'opened':
        if (input.direction === 'in') this.#in.add(input.channel);
        return [];
      case 'closed':
        // Orderly end: every byte before it has come. A recording that went on would be taken for one of a later round.
        if (!this.#in.delete(input.channel) || !this.#open) return [];
        return [{ kind: 'stop-recording', channel: input.channel, epoch: this.#epoch }];
      case 'peer-lost': {
        const undo = this.#abort(`the peer of channel ${input.channel} was lost`);
        this.#in.delete(input.channel);
        return undo;
      }
      case 'release':
      case 'recorded':
        return [];
    }
  }

  #cut(epoch: Epoch, now: number): readonly ParticipantEffect[] {
    if (this.#open || epoch <= this.#epoch) return [];
    if (this.#announced !== undefined && this.#announced !== epoch) return [];
    this.#epoch = epoch;
    this.#open = true;
    this.#saving = true;
    this.#expected = undefined;
    this.#arrived = 0;
    this.#deadline = now + this.#options.deadlineMs;
    const recordings = [...this.#in].map((channel) => ({ kind: 'start-recording', channel, epoch }) as const);
    return [{ kind: 'block' }, { kind: 'freeze' }, ...recordings, { kind: 'save', epoch }];
  }

  #reportIfDone(): readonly ParticipantEffect[] {
    if (!this.#open || this.#saving || this.#expected === undefined || this.#arrived < this.#expected) return [];
    this.#open = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    return [...this.#stopRecording(), { kind: 'report', outcome: { kind: 'saved', epoch: this.#epoch } }];
  }

  #stopRecording(): readonly ParticipantEffect[] {
    return [...this.#in].map((channel) => ({ kind: 'stop-recording', channel, epoch: this.#epoch }) as const);
  }

  #lateness(): string {
    const expected = this.#expected === undefined ? 'an unknown number' : String(this.#expected);
    return `${this.#arrived} of ${expected} messages had arrived when the deadline passed`;
  }

  #abort(reason: string): readonly ParticipantEffect[] {
    if (!this.#open) return [];
    const undo: ParticipantEffect[] = [...this.#stopRecording(), { kind: 'discard' }];
    if (this.#saving) undo.push({ kind: 'unblock' }, { kind: 'thaw' });
    this.#open = false;
    this.#saving = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    return [...undo, { kind: 'report', outcome: { kind: 'aborted', epoch: this.#epoch, reason } }];
  }
}

/** Mattern 1993: coordinated, non-blocking, channels need not be FIFO. Not run by agents yet: TCP is FIFO, so lai-yang does it cheaper. */
export const mattern: Algorithm = {
  name: 'mattern',
  interceptor: 'proxy',
  participant: (options) => new MatternParticipant(options),
  round: (options) => new TwoPhaseRound(options, { releaseTogether: false }),
};

/** The coordinator's sum of what was sent to each process before the cuts: the vector of Mattern 1993, section 3.2. */
export class MatternCounter {
  readonly #missing: Set<string>;
  readonly #expected = new Map<string, number>();

  constructor(processes: readonly string[]) {
    this.#missing = new Set(processes);
    for (const process of processes) this.#expected.set(process, 0);
  }

  /**
   * Adds one process's counters (receiver → messages sent to it in all). Returns the finished vector with the last one, and undefined
   * before that or for a repeated report.
   */
  add(process: string, sent: ReadonlyMap<string, number>): ReadonlyMap<string, number> | undefined {
    if (!this.#missing.delete(process)) return undefined;
    for (const [receiver, count] of sent) this.#expected.set(receiver, (this.#expected.get(receiver) ?? 0) + count);
    return this.#missing.size === 0 ? this.#expected : undefined;
  }
}
