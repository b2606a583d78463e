/** The one look at what swarmcut leaves behind on the nodes of a test bed: for fault tests, the soak, and `coordinator check --repair`. */
import { z } from 'zod';
import { execOn, waitFor } from '../../examples/testbed/index.ts';

const LOOK = '/opt/swarmcut/test/e2e/programs/leftovers.mjs';

/** A look takes a second on a busy machine. Milliseconds. */
const LOOK_TIMEOUT_MS = 60_000;

/** Where the coordinator's snapshots are. Without it, ledgers are not compared with manifests. */
const MANAGER = 'n1';

const lines = z.array(z.string());

/** Which hosts are looked at. */
export interface Looked {
  /** Name of the bed. */
  readonly bed: string;
  /** Default: all three. A host that does not run cannot be asked. */
  readonly nodes?: readonly string[];
}

/**
 * What is there and should not be, a line each (`n2: process 17, a sidecar of no running task: …`); empty when nothing is left. To be called while no
 * operation is under way. It is looked for:
 *
 * - tasks that are frozen, blocked, or have the rules of a round in their network namespaces; rules of ours in the node's own
 * - processes: sidecars, dead man's switches, waiting shims, guardians, coordinators, `criu`, `runc`, `tar`; shims of containers that do not run
 * - mounts below our directories, and root file systems of containers that are no more
 * - network namespaces of containers that do not run
 * - files of operations: journal, expectations, marks, stages, unpacked parts, locks that are held, half-written files; marks of containers that are no more
 * - parts that no ledger names, ledgers that are not permanent, and ledgers of snapshots that do not exist
 *
 * No leftovers are: what belongs to a running task (its sidecar, the rewriting of restored connections), marks of containers that the engine still keeps,
 * the log of a dead man's switch that has fired, the switch of a task that has moved and ended (it sleeps for a minute more), CRIU's kept logs, the empty files of locks, `<run>/sidecar/…` of `coordinator attach`.
 */
export async function leftoversOf({ bed, nodes = ['n1', 'n2', 'n3'] }: Looked): Promise<readonly string[]> {
  const perNode = await Promise.all(nodes.map(async (node) => ({ node, found: await lookAt(bed, node) })));
  const unknown = nodes.includes(MANAGER) ? await unknownLedgers(bed, nodes) : [];
  return [...perNode.flatMap(({ node, found }) => found.map((line) => `${node}: ${line}`)), ...unknown];
}

/**
 * Running containers that are frozen or blocked at this moment, whatever for, but for old tasks of which it is decided that they stand still until they are
 * ended. For a look while an operation may be under way.
 */
export async function harmOf({ bed, nodes = ['n1', 'n2', 'n3'] }: Looked): Promise<readonly string[]> {
  const perNode = await Promise.all(nodes.map(async (node) => ({ node, found: await lookAt(bed, node, 'harm') })));
  return perNode.flatMap(({ node, found }) => found.map((line) => `${node}: ${line}`));
}

/**
 * Waits until nothing is left: what an operation tidies up behind itself, and Swarm's ending of old tasks, take a moment.
 * @throws Error that names what is left
 */
export async function nothingLeft(where: Looked, timeoutMs = 90_000): Promise<void> {
  await waitFor(
    'an end of all leftovers',
    async () => {
      const left = await leftoversOf(where);
      if (left.length > 0) throw new Error(left.join('\n  '));
      return true;
    },
    { timeoutMs, intervalMs: 500 },
  );
}

async function lookAt(bed: string, node: string, what: 'all' | 'harm' = 'all'): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await execOn({ name: bed }, node, ['node', LOOK, what], {
    timeoutMs: LOOK_TIMEOUT_MS,
  });
  if (exitCode !== 0) throw new Error(`cannot look for leftovers on ${node}: exit code ${exitCode}: ${stderr}`);
  return lines.parse(JSON.parse(stdout));
}

/** Ledgers that say permanent of snapshots that nobody can restore. */
async function unknownLedgers(bed: string, nodes: readonly string[]): Promise<readonly string[]> {
  const list = async (node: string, pattern: string): Promise<readonly string[]> => {
    const script = `cd /var/lib/swarmcut/snapshots 2>/dev/null && ls -d ${pattern} 2>/dev/null; true`;
    const { stdout } = await execOn({ name: bed }, node, ['sh', '-c', script]);
    return stdout.split('\n').filter((line) => line !== '');
  };
  const manifests = new Set((await list(MANAGER, '*/manifest.json')).map((file) => file.split('/')[0]));
  const perNode = await Promise.all(nodes.map(async (node) => ({ node, ledgers: await list(node, '*.json') })));
  return perNode.flatMap(({ node, ledgers }) =>
    ledgers
      .filter((file) => !manifests.has(file.replace(/\.json$/, '')))
      .map((file) => `${node}: ledger ${file} of a snapshot that has no manifest`),
  );
}
