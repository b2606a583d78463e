import type { Manifest } from '../../src/model/checkpoint.ts';
import { endpointText } from '../../src/model/connection.ts';
import { checkCut, pairConnections, type CutTask, type Pairing } from '../../src/model/cut.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { taskKey } from '../../src/model/task.ts';
import type { VerifiedConnection } from '../api.ts';

/** How many offenders an error message lists. */
const LISTED = 5;

export interface Cut {
  readonly tasks: readonly CutTask[];
  readonly pairing: Pairing;
  /** The cut condition for each direction of each connection. */
  readonly directions: VerifiedConnection[];
}

/** The connections of a snapshot, paired, and the cut condition for each. */
export function cutOf(manifest: Manifest): Cut {
  const tasks = manifest.tasks.map((task): CutTask => ({
    key: taskKey(task.task),
    connections: task.connections,
    aliases: task.aliases,
    addresses: task.addresses,
  }));
  const pairing = pairConnections(tasks);
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
  return { tasks, pairing, directions };
}

/** @throws SwarmcutError `failed` when the checkpoints do not form a consistent cut: such a snapshot must not be kept */
export function refuseBrokenCut(manifest: Manifest): void {
  const broken = cutOf(manifest).directions.filter(({ ok }) => !ok);
  if (broken.length === 0) return;
  const listed = broken
    .slice(0, LISTED)
    .map(({ from, to, local, remote, reason }) => `${from} ${local} -> ${to} ${remote}: ${reason ?? 'unknown'}`);
  throw new SwarmcutError(
    'failed',
    `the checkpoints do not form a consistent cut (${broken.length} channels): ${listed.join('; ')}`,
    {
      where: { stack: manifest.stack },
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
