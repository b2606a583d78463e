import { messageOf } from '../../../src/model/errors.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { patienceWith } from '../session/patience.ts';
import { join } from 'node:path';
import type { Catalogue } from '../../../src/storage/catalogue.ts';
import { readRevoked } from '../../../src/rpc/identity/identity-files.ts';
import { tellRevoked } from '../certificates/revoke.ts';

/**
 * Settles what an earlier coordinator, on whatever manager, left behind on the agents: a tentative checkpoint whose snapshot is committed becomes
 * permanent, any other is discarded. Whether it is committed, the cluster's own state says, and every agent that has been told so already. With the
 * stack's lock held no round of this stack can be under way.
 */
export async function reconcile(ctx: CoordinatorContext, session: LockedSession, stack: string): Promise<void> {
  const { lock, nodes, agents, catalogue } = session;
  const permanent = new Set(lock.commits.map(({ id }) => id));
  /** Snapshots of which a node knows all that there is to know. */
  const told = new Map<string, Set<string>>();
  const open: { node: string; snapshotId: string; state: string }[] = [];
  const revoked = readRevoked(join(ctx.directories.config, 'coordinator'));
  await Promise.all(
    nodes.map(async (each) => {
      const node = each.hostname;
      try {
        const agent = agents.of(node);
        await tellRevoked(agent, revoked, ctx.signal);
        const { snapshots } = await agent.listSnapshots({}, { deadlineMs: patienceWith(each) });
        const unsettled = new Set<string>();
        for (const { snapshotId, stack: owner, state } of snapshots) {
          if (owner !== stack) continue;
          if (state === 'permanent') permanent.add(snapshotId);
          else {
            unsettled.add(snapshotId);
            open.push({ node, snapshotId, state });
          }
        }
        told.set(node, unsettled);
      } catch (error) {
        // A node that does not answer and takes part in the round fails it soon enough, with a better message.
        ctx.log.warn({ node, reason: messageOf(error) }, 'cannot look for leftovers');
      }
    }),
  );
  for (const id of new Set(open.map(({ snapshotId }) => snapshotId)))
    if (await isCommittedHere(catalogue, id)) permanent.add(id);
  // Only now: one agent may know of a commit of which another has not heard.
  await Promise.all(
    open.map(async ({ node, snapshotId, state }) => {
      ctx.log.warn({ node, snapshotId, state, permanent: permanent.has(snapshotId) }, 'settling a leftover');
      try {
        if (permanent.has(snapshotId)) await agents.of(node).finish({ snapshotId });
        else await agents.of(node).abort({ snapshotId, reason: 'left behind by a coordinator that is gone' });
        told.get(node)?.delete(snapshotId);
      } catch (error) {
        ctx.log.warn({ node, snapshotId, reason: messageOf(error) }, 'cannot settle a leftover');
      }
    }),
  );
  const present = new Set(nodes.map(({ hostname }) => hostname));
  const left = lock.commits.map(({ id, nodes: waiting }) => ({
    id,
    nodes: waiting.filter((node) => present.has(node) && told.get(node)?.has(id) !== false),
  }));
  await lock.setCommits(left.filter((commit) => commit.nodes.length > 0));
}

/**
 * A manifest lies here only when its snapshot is committed, but for the final cut of a migration: that is written before it is known whether anybody
 * will need it, and kept, if so, by a commit (transaction/cut-on-disk.ts).
 */
async function isCommittedHere(catalogue: Pick<Catalogue, 'ids' | 'read'>, id: string): Promise<boolean> {
  if (!(await catalogue.ids()).includes(id)) return false;
  // One that cannot be read is a snapshot, too.
  return catalogue.read(id).then(
    ({ manifest }) => manifest.migration !== true,
    () => true,
  );
}
