import type { ChannelId, Epoch, Participant, ParticipantEffect, ParticipantOutcome, TimeMs } from './contract.ts';

/** To be called once, when an effect has ended: with a fault if it has failed. */
export type Ended = (now: TimeMs, fault?: string) => void;

/** An effect that has begun and takes its time: it is given what it has to call at its end. */
export type Pending = (ended: Ended) => void;

/**
 * What is done to one task for its participant (contract.ts says what each means). `R` is how an effect says that it has ended:
 * {@link Result} to the executor (executor.ts), a promise on a real task. Every method is safe to call twice.
 */
export interface TaskEffects<R> {
  block(): R;
  freeze(): R;
  /** Records the local state; ends when that has ended. */
  save(epoch: Epoch): R;
  advance(epoch: Epoch): R;
  unblock(): R;
  thaw(): R;
  discard(): R;
}

/** What is done to the channels of one task. At once: nothing may happen to a channel between two of them. */
export interface ChannelEffects {
  sendMarker(channel: ChannelId, epoch: Epoch): void;
  startRecording(channel: ChannelId): void;
  stopRecording(channel: ChannelId): void;
  pauseChannel(channel: ChannelId, paused: boolean): void;
}

/** Undefined: it has ended already. One that fails at once throws. */
export type Result = Pending | undefined;

/** A participant, and who does what it wants done. */
export interface Part {
  readonly participant: Participant;
  readonly task: TaskEffects<Result>;
  readonly report: (outcome: ParticipantOutcome) => Result;
  /** Without it, effects on channels fail: the interceptor does not see messages. */
  readonly channels?: ChannelEffects;
  /** An effect has failed (but for a save, whose failure is an input like its end). For logs. */
  readonly onFault?: (effect: ParticipantEffect['kind'], reason: string) => void;
}

/** Has one effect done. A save's end is waited for elsewhere. @throws what it has failed with, if it does so at once */
export function perform(effect: Exclude<ParticipantEffect, { kind: 'save' }>, part: Part | undefined): Result {
  const { task, report, channels } = part ?? missing('participant');
  switch (effect.kind) {
    case 'block':
      return task.block();
    case 'freeze':
      return task.freeze();
    case 'advance':
      return task.advance(effect.epoch);
    case 'unblock':
      return task.unblock();
    case 'thaw':
      return task.thaw();
    case 'discard':
      return task.discard();
    case 'report':
      return report(effect.outcome);
    default:
      onChannel(effect, channels ?? missing(`interceptor that can ${effect.kind}`));
      return undefined;
  }
}

type ChannelEffect = Extract<ParticipantEffect, { channel: ChannelId }>;

function onChannel(effect: ChannelEffect, channels: ChannelEffects): void {
  switch (effect.kind) {
    case 'send-marker':
      return channels.sendMarker(effect.channel, effect.epoch);
    case 'start-recording':
      return channels.startRecording(effect.channel);
    case 'stop-recording':
      return channels.stopRecording(effect.channel);
    case 'pause-channel':
    case 'resume-channel':
      return channels.pauseChannel(effect.channel, effect.kind === 'pause-channel');
  }
}

function missing(what: string): never {
  throw new Error(`there is no ${what}`);
}
