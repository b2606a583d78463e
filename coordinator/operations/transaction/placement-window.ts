import { SwarmcutError } from '../../../src/model/errors.ts';
import { withPlacementLock } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { Cluster, ClusterNode, Placement } from '../../orchestrator/index.ts';

/** Placing takes some 0.1 s; a target on which a task does not fit shows by this. Milliseconds. */
export const PLACE_TIMEOUT_MS = 20_000;

export type ReservedNode = Pick<ClusterNode, 'id' | 'hostname'>;

/**
 * On which nodes new tasks must not be placed: those that take tasks and are not among the wanted ones. Others need not be touched.
 * @throws SwarmcutError `precondition` when no node would be left
 */
export function unwanted({ only, except = [] }: Placement, nodes: readonly ClusterNode[]): ReservedNode[] {
  if (only === undefined && except.length === 0) return [];
  const active = nodes.filter(({ availability }) => availability === 'active');
  const away = active.filter(({ hostname }) => (only === undefined ? except.includes(hostname) : hostname !== only));
  if (away.length < active.length) return away.map(({ id, hostname }) => ({ id, hostname }));
  throw new SwarmcutError(
    'precondition',
    `no node takes tasks but ${away.map(({ hostname }) => hostname).join(', ')}`,
    {
      advice:
        'the new tasks need another node: `docker node ls` shows which are there, and `docker node update --availability active` brings one back',
    },
  );
}

/**
 * Keeps nodes free of new tasks while others are placed: for that moment no new task of any service goes there, and what runs there is left
 * alone. Nothing in a service's own spec keeps its tasks away from a node: Swarm would end the old ones for it.
 * @param reserved written down by the caller before: whoever finds the journal gives them back
 * @param place ends when all are placed
 */
export async function withReserved(
  ctx: Pick<CoordinatorContext, 'directories' | 'signal' | 'emit' | 'log'>,
  cluster: Cluster,
  reserved: readonly ReservedNode[],
  place: () => Promise<void>,
): Promise<void> {
  if (reserved.length === 0) return place();
  // Two operations at once, on whatever managers, would give back each other's nodes.
  await withPlacementLock(ctx, cluster, PLACE_TIMEOUT_MS, async () => {
    const taken: ReservedNode[] = [];
    try {
      for (const node of reserved) if (await cluster.setPlaceable(node.id, false)) taken.push(node);
      await place();
    } finally {
      await giveBack(cluster, taken);
    }
  });
}

/** They take tasks again. Again: no effect. */
export async function giveBack(cluster: Pick<Cluster, 'setPlaceable'>, nodes: readonly ReservedNode[]): Promise<void> {
  const results = await Promise.allSettled(nodes.map(({ id }) => cluster.setPlaceable(id, true)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return;
  throw new SwarmcutError('failed', `nodes cannot be given back: ${nodes.map(({ hostname }) => hostname).join(', ')}`, {
    advice: '`docker node update --availability active NODE`; the next command on the stack tries again',
    cause: failed.reason,
  });
}
