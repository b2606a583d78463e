import type { Manifest, ManifestTask, TaskCheckpoint } from '../checkpoint.ts';
import { taskKey } from '../task.ts';

/** What one node says it has recorded of a snapshot. `stack` is empty when it has nothing of it. */
export interface Recorded {
  readonly node: string;
  readonly stack: string;
  readonly tasks: readonly TaskCheckpoint[];
}

/** Where the manifest and a node's ledger say different things. */
export interface LedgerDifference {
  readonly node: string;
  readonly service?: string;
  readonly slot?: string;
  /** Path of the part that differs. */
  readonly part?: string;
  /** For people; says where, too. */
  readonly text: string;
}

/** What a restore acts on, apart from the parts. */
const ACTED_ON = ['connections', 'streams', 'aliases'] as const;

/**
 * Compares a manifest with what the nodes recorded when they took the checkpoints, both ways: every task and part of the manifest is in the
 * ledger of its node, and no node has recorded more. What of the manifest was changed afterwards shows here, and what a node has lost.
 * @param ledgers of every node that could be asked, once each; tasks of other nodes are not compared
 */
export function compareWithLedgers(
  manifest: Pick<Manifest, 'stack' | 'tasks'>,
  ledgers: readonly Recorded[],
): LedgerDifference[] {
  // In the order of their names, whoever has answered first.
  const sorted = [...ledgers].sort((a, b) => (a.node < b.node ? -1 : 1));
  return sorted.flatMap(({ node, stack, tasks }) => {
    const own = manifest.tasks.filter((task) => task.node === node);
    if (stack === '' && own.length === 0) return [];
    if (stack === '') return own.map((task) => atTask(node, task, 'the node no longer has anything of this snapshot'));
    if (stack !== manifest.stack) {
      const text = `node ${node}: recorded as a snapshot of stack ${stack}, not of ${manifest.stack}`;
      return [{ node, text }];
    }
    const recorded = new Map(tasks.map((task) => [taskKey(task.task), task]));
    const known = new Set(own.map((task) => taskKey(task.task)));
    return [
      ...own.flatMap((task) => compareTask(node, task, recorded.get(taskKey(task.task)))),
      ...tasks
        .filter((task) => !known.has(taskKey(task.task)))
        .map((task) => atTask(node, task, 'the node has recorded this task, and the manifest does not have it there')),
    ];
  });
}

function compareTask(node: string, task: ManifestTask, recorded: TaskCheckpoint | undefined): LedgerDifference[] {
  if (recorded === undefined) return [atTask(node, task, 'the node has not recorded this task')];
  const differences: LedgerDifference[] = [];
  const { taskId, containerId } = recorded.task;
  if (task.task.taskId !== taskId || task.task.containerId !== containerId)
    differences.push(atTask(node, task, `the node has recorded another container: ${containerId.slice(0, 12)}`));
  const theirs = new Map(recorded.parts.map((part) => [`${part.kind} ${part.path}`, part]));
  for (const part of task.parts) {
    const name = `${part.kind} ${part.path}`;
    const other = theirs.get(name);
    theirs.delete(name);
    if (other === undefined) differences.push(atPart(node, task, part.path, 'the node has not recorded this part'));
    else if (other.sha256 !== part.sha256)
      differences.push(
        atPart(node, task, part.path, `its hash is ${part.sha256}, and the node has recorded ${other.sha256}`),
      );
    else if (other.sizeBytes !== part.sizeBytes)
      differences.push(
        atPart(node, task, part.path, `it has ${part.sizeBytes} bytes, and the node has recorded ${other.sizeBytes}`),
      );
    // Without a key an agent says that it is empty.
    else if ((other.wrappedKey ?? '') !== (part.wrappedKey ?? ''))
      differences.push(atPart(node, task, part.path, 'its wrapped key is not the one that the node has recorded'));
  }
  for (const { path } of theirs.values())
    differences.push(atPart(node, task, path, 'the node has recorded this part, and the manifest lacks it'));
  for (const field of ACTED_ON) {
    if (canonical(task[field]) !== canonical(recorded[field]))
      differences.push(atTask(node, task, `its ${field} are not those that the node has recorded`));
  }
  return differences;
}

function atTask(node: string, { task }: Pick<TaskCheckpoint, 'task'>, what: string): LedgerDifference {
  const { service, slot } = task;
  return { node, service, slot, text: `${taskKey(task)} on ${node}: ${what}` };
}

function atPart(node: string, { task }: Pick<TaskCheckpoint, 'task'>, part: string, what: string): LedgerDifference {
  const { service, slot } = task;
  return { node, service, slot, part, text: `${taskKey(task)} on ${node}, part ${part}: ${what}` };
}

/** The same text for the same value, whatever the order of its fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
