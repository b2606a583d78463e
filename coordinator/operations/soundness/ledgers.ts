import type { Manifest, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { compareWithLedgers, type LedgerDifference } from '../../../src/model/manifests/ledger-check.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { CoordinatorContext } from '../session/context.ts';

/** Differences between a manifest and the ledgers, and nodes whose ledgers could not be read. */
export interface LedgerComparison {
  readonly differences: readonly LedgerDifference[];
  /** With the reason, by node. */
  readonly unasked: ReadonlyMap<string, string>;
}

/** Asks agents what they have recorded of a snapshot and compares. Reads no parts. @throws SwarmcutError `interrupted` */
export async function compareLedgers(
  ctx: Pick<CoordinatorContext, 'signal'>,
  agents: readonly Pick<AgentClient, 'node' | 'recorded'>[],
  manifest: Manifest,
): Promise<LedgerComparison> {
  const unasked = new Map<string, string>();
  const ledgers = await Promise.all(
    agents.map(async (agent) => {
      try {
        const { stack, tasks } = await agent.recorded({ snapshotId: manifest.id }, { signal: ctx.signal });
        return [{ node: agent.node, stack, tasks: tasks as TaskCheckpoint[] }];
      } catch (error) {
        if (!(error instanceof SwarmcutError) || error.code === 'interrupted') throw error;
        unasked.set(agent.node, messageOf(error));
        return [];
      }
    }),
  );
  return { differences: compareWithLedgers(manifest, ledgers.flat()), unasked };
}

/** @throws SwarmcutError `damaged`, naming node, task and part of the first difference */
export function refuseDifferences(manifest: Manifest, differences: readonly LedgerDifference[]): void {
  const [first] = differences;
  if (first === undefined) return;
  const { node, service, slot } = first;
  const more = differences.length > 1 ? ` (and ${differences.length - 1} more)` : '';
  throw new SwarmcutError('damaged', `snapshot ${manifest.id}: ${first.text}${more}`, {
    where: {
      stack: manifest.stack,
      node,
      ...(service === undefined ? {} : { service }),
      ...(slot === undefined ? {} : { slot }),
    },
    advice: `nothing was done and the stack runs on; \`coordinator verify ${manifest.id}\` shows all differences`,
  });
}
