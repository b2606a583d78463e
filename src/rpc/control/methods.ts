import type { Epoch, ParticipantOutcome } from '../../algorithms/contract.ts';
import type { StreamCut } from '../../model/checkpoint.ts';
import type { Endpoint } from '../../model/connection.ts';
import { field, optionalField } from './fields.ts';
import { method, plainMethod } from './method.ts';
import { readNetworkView } from './network-view.ts';

/*
 * The control protocol between an agent and the sidecar of one of its tasks, in both directions. Checks are by hand: the library for it would be
 * 10 MB in each sidecar.
 */

/** A round that is about to begin. */
export interface PrepareParams {
  readonly epoch: Epoch;
  /** A local checkpoint that is not over after this long is aborted. Milliseconds. */
  readonly deadlineMs: number;
  /** Stay frozen after the save until told (migration). */
  readonly keepFrozen: boolean;
  /** Per channel, bytes. */
  readonly recordLimitBytes?: number;
}

/** What a sidecar says about itself. */
export interface SidecarStatus {
  readonly task: string;
  readonly pid: number;
  readonly epoch: Epoch;
  readonly blocked: boolean;
  /** Now, and since it was started. */
  readonly streams: number;
  readonly carried: number;
  /** Connections that wait for their other end after a restore or a move. */
  readonly awaiting: number;
  readonly rssBytes: number;
  /** Addresses of the peers that it is linked with. */
  readonly peers: readonly string[];
  /** Connections with peers that pass it by. */
  readonly direct: readonly { readonly local: Endpoint; readonly remote: Endpoint }[];
  readonly round?: {
    readonly epoch: Epoch;
    readonly busy: boolean;
    readonly outcome: ParticipantOutcome | undefined;
    /** Channels whose marker is still to come. */
    readonly awaited: number;
  };
}

const epoch = (json: unknown): { readonly epoch: Epoch } => ({ epoch: field(json, 'epoch', 'number') });

/** What an agent asks of a sidecar. */
export const SIDECAR_METHODS = {
  status: plainMethod<SidecarStatus>(),
  /** Every stream, for people. */
  channels: plainMethod<readonly object[]>(),
  /** The stack's networks, at each change. */
  networkView: method(readNetworkView),
  /** Stops reading from the application and delivering to it; goes on by itself after so long. */
  block: method((json) => ({ forMs: field(json, 'forMs', 'number') })),
  release: plainMethod(),
  /** Announces a round. Whoever calls it does the round's work: it answers {@link TASK_METHODS} on this connection. */
  prepare: method(prepareParams),
  start: method(epoch),
  /** The end of `keepFrozen`. */
  releaseRound: method(epoch),
  abort: method((json) => ({ reason: field(json, 'reason', 'string') })),
  /** Writes what the round has recorded into this folder, which is made. */
  collect: method<{ readonly epoch: Epoch; readonly folder: string }, { readonly streams: readonly StreamCut[] }>(
    (json) => ({ ...epoch(json), folder: field(json, 'folder', 'string') }),
  ),
  /** Forgets the round. */
  finish: plainMethod(),
  /** The restored task's connections go on. */
  resume: plainMethod(),
};
export type SidecarMethods = typeof SIDECAR_METHODS;

/** What a sidecar asks for in a round of whoever prepared it. Each answers when it is done, and may be called twice. */
export const TASK_METHODS = {
  block: plainMethod(),
  freeze: plainMethod(),
  save: method(epoch),
  advance: method(epoch),
  unblock: plainMethod(),
  thaw: plainMethod(),
  discard: plainMethod(),
  report: method(outcome),
};
export type TaskMethods = typeof TASK_METHODS;

function prepareParams(json: unknown): PrepareParams {
  const recordLimitBytes = optionalField(json, 'recordLimitBytes', 'number');
  return {
    ...epoch(json),
    deadlineMs: field(json, 'deadlineMs', 'number'),
    keepFrozen: field(json, 'keepFrozen', 'boolean'),
    ...(recordLimitBytes !== undefined && { recordLimitBytes }),
  };
}

function outcome(json: unknown): ParticipantOutcome {
  const kind = field(json, 'kind', 'string');
  if (kind === 'saved') return { kind, ...epoch(json) };
  if (kind === 'aborted') return { kind, ...epoch(json), reason: field(json, 'reason', 'string') };
  throw new Error(`kind is ${kind}`);
}
