import type {
  Algorithm,
  ChannelId,
  Epoch,
  Participant,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOptions,
  TimeMs,
} from '../contract.ts';
import { firstFew } from '../../model/visible.ts';
import { TwoPhaseRound } from './two-phase-round.ts';

/** Most bytes recorded for one channel before it is paused: far more than two socket buffers hold. */
export const DEFAULT_RECORD_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * Participant of Chandy & Lamport 1985, "Distributed snapshots", section 3.1 (marker-sending and marker-receiving rule), on FIFO
 * channels whose interceptor records.
 *
 * The first `start` or marker of an epoch makes the cut: block, freeze, then markers on every outgoing channel before any later byte,
 * then recording on every incoming channel. A channel's marker ends its recording. The round is over for this process (`report`)
 * when the local checkpoint is saved and every channel that was open at the cut has given its marker or has ended.
 *
 * - Any process may initiate, or several at once: markers of one epoch merge. A marker of another epoch while a round is open is
 *   refused (reported as aborted), and the open round goes on.
 * - A channel opened by a peer that has cut already (`opened` with a newer epoch) acts as a marker. A channel opened later than the own
 *   cut belongs to no cut and is not waited for. For this, an opener sends no bytes before its peer has accepted, and the acceptance
 *   carries the acceptor's epoch: the interceptor feeds it as `marker` on the way back.
 * - The marker of the channel that caused the cut ends a recording that has just begun: what the interceptor had received on it and not
 *   yet delivered is still channel state (a slow reader's backlog).
 * - A recording that reaches its limit pauses its channel: back-pressure, not loss. If its marker cannot come through then, the
 *   deadline aborts the round and names the channel.
 * - The deadline bounds how long the process stands still. Once it runs again and only waits for markers, each marker puts it off: peers may be slow.
 */
export class ChandyLamportParticipant implements Participant {
  readonly #options: ParticipantOptions;
  readonly #limitBytes: number;
  /** The last epoch that this process has cut in (or has given up). */
  #epoch: Epoch;
  /** Undefined: begins with the next tick (the input that made the cut, or got on with it, carried no time). */
  #deadline: TimeMs | undefined = Number.POSITIVE_INFINITY;
  /** A round of `#epoch` is open here. */
  #open = false;
  /** The local checkpoint is being recorded; the process is blocked and frozen. */
  #saving = false;
  /** Saved; still frozen until `release` (live migration). */
  #waiting = false;
  /** If a round has been announced, the only epoch whose markers are taken. */
  #announced: Epoch | undefined;
  readonly #in = new Set<ChannelId>();
  readonly #out = new Set<ChannelId>();
  /** Channels that are being recorded; true when paused. */
  readonly #recording = new Map<ChannelId, boolean>();

  constructor(options: ParticipantOptions) {
    this.#options = options;
    this.#epoch = options.epoch;
    this.#limitBytes = options.recordLimitBytes ?? DEFAULT_RECORD_LIMIT_BYTES;
  }

  get busy(): boolean {
    return this.#open || this.#waiting;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** Incoming channels whose marker is still to come. */
  get awaited(): readonly ChannelId[] {
    return [...this.#recording.keys()];
  }

  step(input: ParticipantInput): readonly ParticipantEffect[] {
    switch (input.kind) {
      case 'prepare':
        return this.#prepare(input.epoch);
      case 'start':
        if (this.busy || input.epoch <= this.#epoch || !this.#expects(input.epoch)) return [];
        return this.#cut(input.epoch, input.now);
      case 'marker':
        return this.#marker(input.channel, input.epoch, input.now);
      case 'opened':
        return this.#opened(input.channel, input.direction, input.epoch);
      case 'closed':
        // Orderly end: every byte before it has come, so the recording is complete.
        this.#in.delete(input.channel);
        this.#out.delete(input.channel);
        return this.#completed(input.channel);
      case 'peer-lost':
        this.#in.delete(input.channel);
        this.#out.delete(input.channel);
        return this.#recording.has(input.channel)
          ? this.#abort(`the peer of channel ${input.channel} was lost before its marker came`)
          : [];
      case 'recorded':
        return this.#recorded(input.channel, input.bytes);
      // Markers tell when a channel is complete: nothing is counted.
      case 'expected':
      case 'arrived':
        return [];
      case 'saved':
        return this.#saved();
      case 'release':
        if (!this.#waiting) return [];
        this.#waiting = false;
        return [{ kind: 'advance', epoch: this.#epoch }, { kind: 'thaw' }];
      case 'abort':
        return this.#abort(input.reason);
      case 'failed':
        // Letting go has failed half way: the process may stand still although its part of the round counts as over.
        if (input.effect === 'advance' || input.effect === 'thaw') this.#open = this.#saving = true;
        return this.#abort(`${input.effect} failed: ${input.reason}`);
      case 'tick':
        this.#deadline ??= input.now + this.#options.deadlineMs;
        return this.busy && input.now >= this.#deadline ? this.#abort(this.#lateness()) : [];
    }
  }

  /** With a round announced, markers of other epochs are stale or forged. */
  #expects(epoch: Epoch): boolean {
    return this.#announced === undefined || this.#announced === epoch;
  }

  #prepare(epoch: Epoch): readonly ParticipantEffect[] {
    // A marker of this epoch may have been quicker than the announcement.
    if (this.#epoch === epoch && this.#open) return [];
    const undo = this.busy ? this.#abort(`round ${epoch} begins`) : [];
    this.#announced = epoch;
    this.#epoch = epoch - 1;
    return undo;
  }

  #cut(epoch: Epoch, now: TimeMs | undefined): readonly ParticipantEffect[] {
    this.#epoch = epoch;
    this.#open = true;
    this.#saving = true;
    this.#deadline = now === undefined ? undefined : now + this.#options.deadlineMs;
    const effects: ParticipantEffect[] = [{ kind: 'block' }, { kind: 'freeze' }];
    for (const channel of this.#out) effects.push({ kind: 'send-marker', channel, epoch });
    for (const channel of this.#in) {
      this.#recording.set(channel, false);
      effects.push({ kind: 'start-recording', channel, epoch });
    }
    effects.push({ kind: 'save', epoch });
    return effects;
  }

  #marker(channel: ChannelId, epoch: Epoch, now: TimeMs): readonly ParticipantEffect[] {
    if (!this.#expects(epoch)) return [];
    if (epoch > this.#epoch) {
      if (this.busy) return [this.#refusal(epoch)];
      this.#in.add(channel);
      return [...this.#cut(epoch, now), ...this.#completed(channel)];
    }
    return epoch === this.#epoch ? this.#completed(channel) : [];
  }

  #opened(channel: ChannelId, direction: 'in' | 'out', epoch: Epoch): readonly ParticipantEffect[] {
    const marks = direction === 'in' && epoch > this.#epoch && this.#expects(epoch);
    // Opened after its opener's cut, the new channel is in no cut: it joins only when the own cut is made.
    const effects = !marks ? [] : this.busy ? [this.#refusal(epoch)] : this.#cut(epoch, undefined);
    (direction === 'in' ? this.#in : this.#out).add(channel);
    return effects;
  }

  #completed(channel: ChannelId): readonly ParticipantEffect[] {
    const paused = this.#recording.get(channel);
    if (paused === undefined) return [];
    this.#recording.delete(channel);
    const effects: ParticipantEffect[] = [{ kind: 'stop-recording', channel, epoch: this.#epoch }];
    if (paused) effects.push({ kind: 'resume-channel', channel });
    this.#putOff();
    return [...effects, ...this.#reportIfDone()];
  }

  #recorded(channel: ChannelId, bytes: number): readonly ParticipantEffect[] {
    if (this.#recording.get(channel) !== false || bytes < this.#limitBytes) return [];
    this.#recording.set(channel, true);
    return [{ kind: 'pause-channel', channel }];
  }

  #saved(): readonly ParticipantEffect[] {
    if (!this.#saving) return [];
    this.#saving = false;
    if (this.#options.keepFrozen) {
      this.#waiting = true;
      return this.#reportIfDone();
    }
    this.#putOff();
    return [{ kind: 'advance', epoch: this.#epoch }, { kind: 'thaw' }, ...this.#reportIfDone()];
  }

  /** It gets on, and nothing of the process stands still for it: neither the process itself nor a channel. */
  #putOff(): void {
    const paused = [...this.#recording.values()].includes(true);
    if (this.#open && !this.#saving && !this.#waiting && !paused) this.#deadline = undefined;
  }

  #reportIfDone(): readonly ParticipantEffect[] {
    if (!this.#open || this.#saving || this.#recording.size > 0) return [];
    this.#open = false;
    if (!this.#waiting) this.#deadline = Number.POSITIVE_INFINITY;
    return [{ kind: 'report', outcome: { kind: 'saved', epoch: this.#epoch } }];
  }

  #refusal(epoch: Epoch): ParticipantEffect {
    const reason = `round ${this.#epoch} is still open at ${this.#options.process}`;
    return { kind: 'report', outcome: { kind: 'aborted', epoch, reason } };
  }

  #lateness(): string {
    const channels = this.awaited;
    if (channels.length === 0) return 'the deadline has passed';
    const unsaved = this.#saving ? 'the checkpoint was not saved in time, and ' : '';
    const paused = channels.filter((channel) => this.#recording.get(channel) === true);
    const full = paused.length === 0 ? '' : `; recording limit reached on ${firstFew(paused)}`;
    return `${unsaved}no marker came in time on channel ${firstFew(channels)}${full}`;
  }

  #abort(reason: string): readonly ParticipantEffect[] {
    if (!this.busy) return [];
    const effects: ParticipantEffect[] = [];
    for (const [channel, paused] of this.#recording) {
      effects.push({ kind: 'stop-recording', channel, epoch: this.#epoch });
      if (paused) effects.push({ kind: 'resume-channel', channel });
    }
    effects.push({ kind: 'discard' });
    if (this.#saving || this.#waiting) effects.push({ kind: 'unblock' }, { kind: 'thaw' });
    this.#recording.clear();
    this.#open = false;
    this.#saving = false;
    this.#waiting = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    return [...effects, { kind: 'report', outcome: { kind: 'aborted', epoch: this.#epoch, reason } }];
  }
}

/** Chandy & Lamport 1985: coordinated, non-blocking, markers on FIFO channels. Its interceptor is the proxy (sidecar). */
export const chandyLamport: Algorithm = {
  name: 'chandy-lamport',
  interceptor: 'proxy',
  participant: (options) => new ChandyLamportParticipant(options),
  round: (options) => new TwoPhaseRound(options, { releaseTogether: false }),
};
