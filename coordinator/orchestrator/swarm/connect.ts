import type { Cluster } from '../index.ts';
import { Swarm } from './swarm.ts';

/**
 * The cluster of this Swarm manager. Here, and nowhere else, it is decided which orchestrator is used.
 * @param options.socketPath of the engine
 * @param options.agentPort of agents whose node does not say otherwise
 */
export function connectSwarm(options: { readonly socketPath: string; readonly agentPort: number }): Cluster {
  return new Swarm(options);
}
