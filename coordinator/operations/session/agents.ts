import { dirname, join } from 'node:path';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { assertOwnCertificateValid, clientCredentials, connectAgent } from '../../../src/rpc/index.ts';
import type { AgentClient, Fence } from '../../../src/rpc/index.ts';
import type { ClusterNode } from '../../orchestrator/index.ts';

/** The agents of a cluster, one connection each, made when first used. */
export class Agents implements Disposable {
  readonly #nodes: ReadonlyMap<string, ClusterNode>;
  readonly #clients = new Map<string, AgentClient>();
  readonly #configDir: string;
  readonly #fence: Fence | undefined;

  /**
   * @param configDir the coordinator's certificate lies in its `coordinator/`
   * @param fence whatever they are told is told under this lock
   */
  constructor(nodes: readonly ClusterNode[], configDir: string, fence?: Fence) {
    this.#nodes = new Map(nodes.map((node) => [node.hostname, node]));
    this.#configDir = join(configDir, 'coordinator');
    this.#fence = fence;
  }

  /** The agent of a node. @throws SwarmcutError `not-found` for a node that the Swarm does not have; `precondition` when our certificate cannot be read or has expired */
  of(node: string): AgentClient {
    const known = this.#clients.get(node);
    if (known !== undefined) return known;
    const found = this.#nodes.get(node);
    if (found === undefined) {
      throw new SwarmcutError('not-found', `the Swarm has no node ${node || '(none)'}`, {
        where: { node },
        advice: `its nodes are ${[...this.#nodes.keys()].sort().join(', ')}`,
      });
    }
    const credentials = clientCredentials(this.#configDir);
    assertOwnCertificateValid(this.#configDir, new Date());
    const client = connectAgent({ node, address: found.agentAddress, credentials, fence: () => this.#fence });
    this.#clients.set(node, client);
    return client;
  }

  /** The same agents, by connections of their own: whatever these are told is told under this lock. To be disposed of with it. */
  under(fence: Fence): Agents {
    return new Agents([...this.#nodes.values()], dirname(this.#configDir), fence);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
