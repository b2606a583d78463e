import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { Catalogue } from '../../../src/storage/catalogue.ts';
import type { Cluster } from '../../orchestrator/index.ts';
import { Agents } from './agents.ts';
import type { Unasked } from './gather.ts';
import { patienceWith } from './patience.ts';

export interface Sharing {
  readonly configDir: string;
  readonly cluster: Pick<Cluster, 'nodes'>;
  readonly catalogue: Pick<Catalogue, 'kept'>;
}

/**
 * Gives agents that keep manifests of these snapshots, with their wrapped keys, what lies here in their place.
 * @returns nodes that keep what they have: they could not be told
 */
export async function shareManifests(
  { configDir, cluster, catalogue }: Sharing,
  ids: readonly string[],
): Promise<Unasked> {
  const nodes = await cluster.nodes();
  using agents = new Agents(nodes, configDir);
  const untold: { node: string; error: string }[] = [];
  await Promise.all(
    nodes.map(async (node) => {
      try {
        const agent = agents.of(node.hostname);
        const { snapshots } = await agent.listSnapshots({}, { deadlineMs: patienceWith(node) });
        for (const { snapshotId, hasManifest } of snapshots) {
          if (!hasManifest || !ids.includes(snapshotId)) continue;
          const { manifest, signature, key } = await catalogue.kept(snapshotId);
          await agent.keepManifest({
            snapshotId,
            manifest: Buffer.from(manifest),
            signature: Buffer.from(signature),
            key: Buffer.from(key ?? []),
          });
        }
      } catch (error) {
        if (!(error instanceof SwarmcutError)) throw error;
        untold.push({ node: node.hostname, error: messageOf(error) });
      }
    }),
  );
  return untold.sort((a, b) => a.node.localeCompare(b.node));
}
