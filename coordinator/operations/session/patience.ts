import type { ClusterNode } from '../../orchestrator/index.ts';

/** An agent that is there may take so long to answer a short question: its node may be busy. Milliseconds. */
export const ASK_MS = 20_000;

/** One on a node that the cluster itself does not reach is not worth waiting for so long. Milliseconds. */
const ASK_LOST_MS = 5_000;

/** How long the agent of a node is waited for, when it can be done without. Milliseconds. */
export function patienceWith({ state }: Pick<ClusterNode, 'state'>): number {
  return state === 'ready' ? ASK_MS : ASK_LOST_MS;
}
