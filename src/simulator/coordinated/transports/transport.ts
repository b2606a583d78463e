import type { Algorithm, Participant, ParticipantInput } from '../../../algorithms/contract.ts';
import type { AppState } from '../../world/app-state.ts';
import type { Channel, Message, Process } from '../../world/process.ts';
import type { World } from '../../world/world.ts';

/** What a process's agent keeps about it while rounds run. */
export interface Agent {
  readonly process: Process;
  readonly participant: Participant | undefined;
  /** Last epoch whose `advance` was carried out: what messages carry. */
  epoch: number;
  /** Epoch of the last cut made, or of the round before the announced one. */
  cutEpoch: number;
  /** Colour of outgoing packets, and the one that is dropped on arrival (-1: none). Kernel interceptor. */
  colour: number;
  dropColour: number;
  /** The local checkpoint of the open round. */
  tentative: Tentative | undefined;
  /** Events of an earlier life of this agent are void. */
  life: number;
}

/** What was sent: its number in the channel, and its contents. */
export type Sent = Pick<Message, 'number' | 'payload'>;

/** A local checkpoint: the process, and its ends of its channels. */
export interface Tentative {
  readonly epoch: number;
  readonly time: number;
  readonly state: AppState;
  /** By position of the outgoing channel: what the sender still has of it. */
  readonly sending: readonly (readonly Sent[])[];
  /** By position of the incoming channel: what the receiver has of it and has not delivered. */
  readonly receiving: readonly (readonly Sent[])[];
  /** By position of the incoming channel: next number expected. */
  readonly expected: readonly number[];
  /** By position of the outgoing channel: first number not acknowledged. */
  readonly unacknowledged: readonly number[];
}

/** The world as transports see it. */
export interface Network extends World {
  readonly agents: readonly Agent[];
  readonly algorithm: Algorithm;
  /** Feeds an input to the process's participant; `done` when its effects have been carried out. */
  feed(process: Process, input: ParticipantInput, done?: () => void): void;
  /** Feeds `marker` to the receiver's participant; `done` when its effects have been carried out. */
  marker(channel: number, epoch: number, done: () => void): void;
  /** A channel's recording has grown. */
  recorded(channel: number, bytes: number, added: number): void;
}

/** How messages travel, and what the interceptor can do to them. */
export interface Transport {
  /** An application's message sets out on the channel with this number. */
  transmit(from: number, channel: number, number: number, payload: number): void;
  /** This process's ends of its channels, as they are now. */
  capture(process: Process): Omit<Tentative, 'epoch' | 'time' | 'state'>;
  sendMarker(channel: Channel, epoch: number): void;
  startRecording(channel: Channel): void;
  stopRecording(channel: Channel): void;
  pause(channel: Channel, paused: boolean): void;
  /** The process is no longer blocked. */
  released(process: Process): void;
  /** The process runs: what waited for it is delivered. */
  thawed(process: Process): void;
  /** What was under way on a channel at a cut; faults in the interceptors' own books are reported to `fault`. */
  channelState(channel: Channel, from: Tentative, to: Tentative, fault: (text: string) => void): readonly Sent[];
  /** The application at the sending end hangs up, and connects again as soon as it can. */
  hangUp(channel: Channel): void;
  /** The participant at that end of the channel has been told of it. */
  knows(channel: Channel, end: 'sender' | 'receiver'): boolean;
  /** Empties a channel and lets exactly these messages be under way. */
  reset(channel: Channel, messages: readonly Message[]): void;
}
