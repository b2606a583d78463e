import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../src/model/errors.ts';
import type { Logger } from '../src/platform/logger.ts';
import type { FormerAddresses } from './network/former-addresses.ts';
import { forgetWords } from './runtime/criu/deadman.ts';
import type { NetworkMemory } from './network/network-memory.ts';
import type { Containers } from './runtime/docker/containers.ts';
import type { Expectations } from './runtime/shim/expectations.ts';

/**
 * Removes from the run directory what concerns containers that are no more: the shim removes it when the engine deletes one, but it may not
 * have been in place. For an agent that starts, before anything is restored. Never rejects: what is left costs a few bytes.
 */
export async function forgetEnded(
  containers: Pick<Containers, 'ids'>,
  parts: {
    readonly runDir: string;
    readonly memory: NetworkMemory;
    readonly expectations: Expectations;
    readonly log: Logger;
  },
): Promise<void> {
  try {
    const present = await containers.ids();
    parts.expectations.prune(present);
    await parts.memory.prune(present);
    await forgetWords(parts.runDir, present);
    await forgetStarts(join(parts.runDir, 'at-start'), present);
  } catch (error) {
    parts.log.warn({ reason: messageOf(error) }, 'cannot tidy up after containers that have ended');
  }
}

/** What was to be done when a restored container starts (agent/surroundings/restore.ts), of those that never did. */
async function forgetStarts(folder: string, present: ReadonlySet<string>): Promise<void> {
  for (const id of await readdir(folder).catch(() => []))
    if (!present.has(id)) await rm(join(folder, id), { recursive: true, force: true });
}

/**
 * An agent that starts goes on leading connections to former addresses, and watching who has these. Never rejects: connections are made without.
 * @param pidOf of a container's first process, 0 if it has ended. Not from the engine, which does not answer for one that it is stopping
 */
export async function leadAgain(
  pidOf: (containerId: string) => Promise<number>,
  parts: { readonly memory: NetworkMemory; readonly former: Pick<FormerAddresses, 'lead'>; readonly log: Logger },
): Promise<void> {
  const { memory, former, log } = parts;
  for (const containerId of await memory.containers()) {
    try {
      const known = await memory.recall(containerId);
      if (known.former.length === 0) continue;
      const pid = await pidOf(containerId);
      if (pid > 0) await former.lead(containerId, `/proc/${pid}/ns/net`, known.former);
    } catch (error) {
      log.warn({ containerId, reason: messageOf(error) }, 'former addresses are not led any more');
    }
  }
}
