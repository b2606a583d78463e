import { messageOf } from '../src/model/errors.ts';
import type { Logger } from '../src/platform/logger.ts';
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
  } catch (error) {
    parts.log.warn({ reason: messageOf(error) }, 'cannot tidy up after containers that have ended');
  }
}
