import { OWN_ACTION, type Determinant } from '../../algorithms/message/contract.ts';
import type { Checkpoint, Node } from './node.ts';

export interface ReplayPlan {
  readonly node: Node;
  readonly checkpoint: Checkpoint;
  readonly determinants: readonly Determinant[];
  /** State number that the replay comes to. */
  readonly target: number;
}

/**
 * Who goes back after a crash, and how far it comes again: the maximum recoverable state (Johnson & Zwaenepoel 1990). A crashed process has
 * its complete checkpoints, its stable determinants and what survivors know of it; a survivor has everything. Whoever depends on a state
 * that is lost (optimistic logging) goes back before it, until nothing changes.
 */
export function planReplay(nodes: readonly Node[]): ReplayPlan[] {
  const available = nodes.map((node) => (node.process.down ? recoverable(node, nodes) : undefined));
  const limits = nodes.map((node, i) => reach(node, available[i], Number.POSITIVE_INFINITY));
  const pasts = nodes.map((node, i) => available[i] ?? node.events.map(({ determinant }) => determinant));
  for (let changed = true; changed;) {
    changed = false;
    nodes.forEach((node, i) => {
      for (let limit = limits[i] ?? 0; ;) {
        const orphan = firstOrphan(pasts[i] ?? [], limit, limits);
        if (orphan === undefined) break;
        const lower = reach(node, available[i], orphan.order - 1);
        // Only a checkpoint that was kept too late could do this; the checkers then name the orphan.
        if (lower >= limit) break;
        limit = lower;
        limits[i] = limit;
        changed = true;
      }
    });
  }
  return nodes.flatMap((node, i) => {
    const target = limits[i] ?? 0;
    if (!node.process.down && target >= node.participant.order) return [];
    const checkpoint = checkpointFor(node, target);
    const determinants = (pasts[i] ?? []).filter(({ order }) => order > checkpoint.state.order && order <= target);
    return [{ node, checkpoint, determinants, target }];
  });
}

/** Determinants of a crashed process that can be had, in order: logged, or known to survivors or from anybody's checkpoints. */
function recoverable(node: Node, nodes: readonly Node[]): Determinant[] {
  const { index } = node.process;
  const byOrder = new Map<number, Determinant>();
  const add = (determinants: readonly Determinant[]): void => {
    for (const determinant of determinants) byOrder.set(determinant.order, determinant);
  };
  for (const other of nodes) {
    for (const { complete, state } of other.checkpoints) if (complete) add(state.known?.get(index) ?? []);
    if (!other.process.down) add(other.participant.determinantsOf(index));
  }
  add(node.stable);
  return [...byOrder.values()].sort((a, b) => a.order - b.order);
}

function checkpointFor(node: Node, limit: number): Checkpoint {
  const usable = node.checkpoints.findLast(
    ({ complete, state }) => (complete || !node.process.down) && state.order <= limit,
  );
  const checkpoint = usable ?? node.checkpoints[0];
  if (checkpoint === undefined) throw new Error(`${node.process.name} has no checkpoint`);
  return checkpoint;
}

/** The last state, not after `limit`, that the process can come to. */
function reach(node: Node, available: readonly Determinant[] | undefined, limit: number): number {
  if (available === undefined) return Math.min(limit, node.participant.order);
  let { order } = checkpointFor(node, limit).state;
  for (const determinant of available) if (determinant.order === order + 1 && order < limit) order++;
  return order;
}

/** The first delivery that cannot be repeated, because its sender does not come to the state in which it sent. */
function firstOrphan(past: readonly Determinant[], limit: number, limits: readonly number[]): Determinant | undefined {
  return past.find(
    ({ order, sender, senderOrder }) => order <= limit && sender !== OWN_ACTION && senderOrder > (limits[sender] ?? 0),
  );
}
