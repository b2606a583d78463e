import type { Manifest } from '../../../src/model/checkpoint.ts';
import { endpointText } from '../../../src/model/connection.ts';
import {
  checkCut,
  pairConnections,
  type ConnectionEnd,
  type CutTask,
  type Pairing,
} from '../../../src/model/cuts/cut.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import {
  checkStreams,
  directConnections,
  halfOpenConnections,
  pairStreams,
  streamChannelText,
  type StreamCheck,
  type StreamCheckOptions,
  type StreamTask,
} from '../../../src/model/cuts/stream-cut.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { VerifiedChannel, VerifiedConnection } from '../session/reports.ts';

/** How many offenders an error message lists. */
const LISTED = 5;

export interface CheckedCut {
  /** With all of their connections, proxied ones too. */
  readonly tasks: readonly (CutTask & StreamTask)[];
  /** Of the connections that do not end in a sidecar. */
  readonly pairing: Pairing;
  /** The cut condition for each direction of each of these. */
  readonly directions: VerifiedConnection[];
  /** The cut condition for each direction of each proxied connection. */
  readonly channels: StreamCheck[];
  /** Proxied connections whose sidecar no longer has its half: a restore resets them. */
  readonly halfOpen: readonly ConnectionEnd[];
}

/** The connections of a snapshot, paired, and the cut condition for each. */
export function cutOf(manifest: Manifest): CheckedCut {
  return cutOfTasks(
    manifest.tasks.map((task) => ({
      key: taskKey(task.task),
      connections: task.connections,
      datagrams: task.datagrams,
      bound: task.bound,
      aliases: task.aliases,
      addresses: task.addresses,
      streams: task.streams,
    })),
    // Tasks that did not move are not in it.
    { partial: manifest.migration === true },
  );
}

/** As {@link cutOf}, of tasks that are in no manifest. */
export function cutOfTasks<Task extends CutTask & StreamTask>(
  tasks: readonly Task[],
  options: StreamCheckOptions = {},
): CheckedCut & { readonly tasks: readonly Task[] } {
  const pairing = pairConnections(
    tasks.map((task) => ({ ...task, connections: directConnections(task.connections, task.streams) })),
  );
  const directions = checkCut(pairing.pairs).map(({ from, to, inFlightBytes, unsentBytes, ok, reason }) => ({
    from: from.task,
    to: to.task,
    local: endpointText(from.connection.local),
    remote: endpointText(to.connection.local),
    // What the application has sent and the other kernel has not received, whether the own kernel got round to sending it or not.
    inFlightBytes: inFlightBytes + unsentBytes,
    ok,
    ...(reason === '' ? {} : { reason }),
  }));
  const channels = checkStreams(pairStreams(tasks), options);
  return { tasks, pairing, directions, channels, halfOpen: tasks.flatMap((task) => halfOpenConnections(task)) };
}

/** A checked channel as reports have it. */
export function verifiedChannel(check: StreamCheck): VerifiedChannel {
  const { id, direction, sender, receiver, from, to, ok, reason } = check;
  return {
    stream: id,
    direction,
    ...(sender === undefined ? {} : { from: sender.task, sentBytes: sender.cut.sent }),
    ...(receiver === undefined
      ? {}
      : { to: receiver.task, deliveredBytes: receiver.cut.delivered, recordedBytes: receiver.cut.recorded }),
    local: endpointText(from),
    remote: endpointText(to),
    ok,
    ...(reason === '' ? {} : { reason }),
  };
}

/** @throws SwarmcutError `failed` when the checkpoints do not form a consistent cut: such a snapshot must not be kept */
export function assertConsistentCut(stack: string, cut: Pick<CheckedCut, 'directions' | 'channels'>): void {
  const broken = [
    ...cut.directions
      .filter(({ ok }) => !ok)
      .map(({ from, to, local, remote, reason }) => `${from} ${local} -> ${to} ${remote}: ${reason ?? 'unknown'}`),
    ...cut.channels.filter(({ ok }) => !ok).map((check) => `${streamChannelText(check)}: ${check.reason}`),
  ];
  if (broken.length === 0) return;
  throw new SwarmcutError(
    'failed',
    `the checkpoints do not form a consistent cut (${broken.length} channels): ${broken.slice(0, LISTED).join('; ')}`,
    {
      where: { stack },
      advice: 'nothing was kept and every task runs on; this is a mistake in swarmcut: please report it with the log',
    },
  );
}

/** @throws SwarmcutError `failed` when connections lead out of the snapshot (`swarmcut.external: refuse`) */
export function refuseExternal(manifest: Manifest): void {
  const { external } = cutOf(manifest).pairing;
  if (external.length === 0) return;
  const listed = external
    .slice(0, LISTED)
    .map(({ task, connection }) => `${task} ${endpointText(connection.local)} - ${endpointText(connection.remote)}`);
  const more = external.length > LISTED ? ` and ${external.length - LISTED} more` : '';
  throw new SwarmcutError(
    'failed',
    `${external.length} connections lead out of the stack: ${listed.join('; ')}${more}`,
    {
      where: { stack: manifest.stack },
      advice: 'end them first, or accept with `swarmcut.external: close` that a restore resets them',
    },
  );
}
