import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { CoordinatorContext } from './session/context.ts';
import { signRemoval } from './session/removals.ts';
import { openClusterSession } from './session/session.ts';

/**
 * Removes a snapshot here and on every agent. Agents remember it, for managers and nodes that are away now: these forget the snapshot, too, as soon
 * as somebody lists snapshots and reaches them (session/gather.ts).
 */
export async function removeSnapshot(ctx: CoordinatorContext, id: string): Promise<void> {
  using session = await openClusterSession(ctx);
  const removal = signRemoval(ctx.directories.config, id);
  await session.catalogue.remove(id);
  const unreached: string[] = [];
  await Promise.all(
    session.nodes.map(async ({ hostname }) => {
      try {
        await session.agents.of(hostname).remove({ snapshotId: id, removal }, { deadlineMs: 30_000 });
      } catch (error) {
        if (!(error instanceof SwarmcutError)) throw error;
        unreached.push(`${hostname} (${messageOf(error)})`);
      }
    }),
  );
  if (unreached.length > 0)
    ctx.emit({
      kind: 'warning',
      message: `the snapshot is removed, but its parts still lie on ${unreached.join(', ')}, until the first \`coordinator list\` after they are back`,
    });
}
