import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { CoordinatorContext } from './session/context.ts';
import { openClusterSession } from './session/session.ts';

/**
 * Removes a snapshot here and on every agent. The manifest goes first: from then on the snapshot does not exist, and agents that cannot be
 * reached now lose their parts when the next round of the stack settles leftovers.
 */
export async function removeSnapshot(ctx: CoordinatorContext, id: string): Promise<void> {
  using session = await openClusterSession(ctx);
  await session.catalogue.remove(id);
  const unreached: string[] = [];
  await Promise.all(
    session.nodes.map(async ({ hostname }) => {
      try {
        await session.agents.of(hostname).remove({ snapshotId: id }, { deadlineMs: 30_000 });
      } catch (error) {
        if (!(error instanceof SwarmcutError)) throw error;
        unreached.push(`${hostname} (${messageOf(error)})`);
      }
    }),
  );
  if (unreached.length > 0)
    ctx.emit({
      kind: 'warning',
      message: `the snapshot is removed, but its parts still lie on ${unreached.join(', ')}`,
    });
}
