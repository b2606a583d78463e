import { messageOf } from '../../../src/model/errors.ts';
import type { Catalogue } from '../../../src/storage/catalogue.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { patienceWith } from '../session/patience.ts';
import type { Agents } from '../session/agents.ts';
import type { ClusterNode } from '../../orchestrator/index.ts';
import { join } from 'node:path';
import { readRevoked } from '../../../src/rpc/identity/identity-files.ts';
import { tellRevoked } from '../certificates/revoke.ts';

/**
 * Settles what an earlier coordinator left behind on the agents: a tentative checkpoint whose snapshot has a manifest becomes permanent,
 * any other is discarded. Call with the stack's lock held: then no round of this stack can be under way.
 */
export async function reconcile(
  ctx: CoordinatorContext,
  stack: string,
  nodes: readonly ClusterNode[],
  agents: Agents,
  catalogue: Catalogue,
): Promise<void> {
  const permanent = new Set(await catalogue.ids());
  const revoked = readRevoked(join(ctx.directories.config, 'coordinator'));
  await Promise.all(
    nodes.map(async (node) => {
      const { hostname } = node;
      try {
        const agent = agents.of(hostname);
        await tellRevoked(agent, revoked, ctx.signal);
        const { snapshots } = await agent.listSnapshots({}, { deadlineMs: patienceWith(node) });
        for (const { snapshotId, stack: owner, state } of snapshots) {
          if (owner !== stack || state === 'permanent') continue;
          ctx.log.warn(
            { node: hostname, snapshotId, state, permanent: permanent.has(snapshotId) },
            'settling a leftover',
          );
          if (permanent.has(snapshotId)) await agent.finish({ snapshotId });
          else await agent.abort({ snapshotId, reason: 'left behind by a coordinator that is gone' });
        }
      } catch (error) {
        // A node that does not answer and takes part in the round fails it soon enough, with a better message.
        ctx.log.warn({ node: hostname, reason: messageOf(error) }, 'cannot look for leftovers');
      }
    }),
  );
}
