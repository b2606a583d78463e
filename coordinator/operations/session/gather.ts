import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Removal__Output } from '../../../src/rpc/generated/swarmcut/Removal.ts';
import type { Catalogue } from '../../../src/storage/catalogue.ts';
import type { Cluster, ClusterNode } from '../../orchestrator/index.ts';
import { Agents } from './agents.ts';
import { removalCheck } from './removals.ts';

/** Longest time that an agent may take to answer here. Milliseconds. */
const ASK_MS = 5_000;

export interface Gathering {
  readonly configDir: string;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  readonly cluster: Pick<Cluster, 'nodes'>;
  readonly catalogue: Catalogue;
}

/** Nodes that could not be asked, and why: what only they know is not there. */
export type Unasked = readonly { readonly node: string; readonly error: string }[];

interface Answer {
  readonly agent: AgentClient;
  /** With a manifest that is kept there. */
  readonly permanent: readonly string[];
  /** All of which there is anything. */
  readonly held: readonly string[];
  readonly removed: readonly Removal__Output[];
}

/**
 * Brings the snapshots of all managers together: manifests that agents keep and this manager does not have come into its catalogue, if a
 * coordinator of our authority has signed them; what was removed on another manager is removed here, and on nodes that were away then.
 */
export async function gatherSnapshots(gathering: Gathering): Promise<Unasked> {
  const { catalogue, cluster, configDir, log } = gathering;
  const nodes = await cluster.nodes();
  using agents = new Agents(nodes, configDir);
  const { answers, unasked } = await askAll(nodes, agents);
  const isRemoval = removalCheck(configDir);
  const removals = new Map(
    answers.flatMap(({ removed }) =>
      removed.filter(isRemoval).map((removal) => [removal.snapshotId, removal] as const),
    ),
  );
  const known = new Set(await catalogue.ids());
  for (const id of known) {
    if (!removals.has(id)) continue;
    log.info({ id }, 'a snapshot was removed on another manager');
    await catalogue.remove(id);
  }
  for (const { agent, permanent } of answers) {
    for (const id of permanent) {
      if (known.has(id) || removals.has(id)) continue;
      if (await bring(gathering, agent, id)) known.add(id);
    }
  }
  await Promise.all(
    answers.flatMap(({ agent, held }) =>
      held.map(async (snapshotId) => {
        const removal = removals.get(snapshotId);
        if (removal === undefined) return;
        await agent
          .remove({ snapshotId, removal }, { deadlineMs: ASK_MS })
          .catch((error: unknown) =>
            log.warn({ node: agent.node, snapshotId, reason: messageOf(error) }, 'not removed'),
          );
      }),
    ),
  );
  return unasked;
}

async function askAll(nodes: readonly ClusterNode[], agents: Agents): Promise<{ answers: Answer[]; unasked: Unasked }> {
  const answers: Answer[] = [];
  const unasked: { node: string; error: string }[] = [];
  await Promise.all(
    nodes.map(async ({ hostname: node, state }) => {
      // One that the cluster itself does not reach is not worth waiting for.
      if (state !== 'ready') return void unasked.push({ node, error: `the node is ${state}` });
      try {
        const agent = agents.of(node);
        const { snapshots, removed } = await agent.listSnapshots({}, { deadlineMs: ASK_MS });
        const permanent = snapshots.filter(({ state, hasManifest }) => state === 'permanent' && hasManifest);
        const held = snapshots.map(({ snapshotId }) => snapshotId);
        answers.push({ agent, permanent: permanent.map(({ snapshotId }) => snapshotId), held, removed });
      } catch (error) {
        if (!(error instanceof SwarmcutError) || isOurs(error)) throw error;
        unasked.push({ node, error: messageOf(error) });
      }
    }),
  );
  answers.sort((a, b) => a.agent.node.localeCompare(b.agent.node));
  return { answers, unasked: unasked.sort((a, b) => a.node.localeCompare(b.node)) };
}

/** The same for every node: our own certificate. */
function isOurs({ code, where }: SwarmcutError): boolean {
  return code === 'precondition' && where.file !== undefined && where.node === undefined;
}

/** @returns whether it is here now; a node that has another one than was signed is passed over */
async function bring({ catalogue, log }: Gathering, agent: AgentClient, snapshotId: string): Promise<boolean> {
  try {
    const { manifest, signature, key } = await agent.manifest({ snapshotId }, { deadlineMs: ASK_MS });
    const sealed = { id: snapshotId, manifest, signature, ...(key.length > 0 && { key }) };
    const { vouching } = catalogue.open(sealed);
    if (vouching.state !== 'signed') throw new SwarmcutError('damaged', `its signature: ${vouching.state}`);
    await catalogue.keep(sealed);
    return true;
  } catch (error) {
    log.warn({ node: agent.node, snapshotId, reason: messageOf(error) }, 'a manifest that is kept there is not taken');
    return false;
  }
}
