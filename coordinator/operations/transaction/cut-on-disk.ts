import type { Manifest } from '../../../src/model/checkpoint.ts';
import type { WrappedKey } from '../../../src/storage/encryption/wrapped-key.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { Removal } from '../session/removals.ts';
import type { ClusterSession } from '../session/session.ts';

/** Longest time that an agent may take to answer when a copy is kept or forgotten. Milliseconds. */
const ASK_MS = 10_000;

type Bed = Pick<ClusterSession, 'nodes' | 'agents' | 'catalogue'>;

/**
 * The final cut of a migration as an ordinary snapshot on disk, under the migration's id: there from before the commit until the cluster has seen
 * every moved task running. So there is always either the old task, or this, or the new one that runs, whatever dies.
 */
export class CutOnDisk {
  readonly #id: string;
  readonly #ctx: Pick<CoordinatorContext, 'log' | 'signal'>;
  readonly #session: Bed;
  readonly #given = new AbortController();
  #writing: Promise<void> | undefined;

  constructor(ctx: Pick<CoordinatorContext, 'log' | 'signal'>, session: Bed, id: string) {
    this.#ctx = ctx;
    this.#session = session;
    this.#id = id;
  }

  /** Begins to write it, beside whatever else is done. Its parts may lie in the agents' memory until then. @param key of an encrypted one */
  begin(manifest: Manifest, key: WrappedKey | undefined): void {
    this.#writing ??= this.#write(manifest, key);
    this.#writing.catch(() => undefined); // whoever waits is told
  }

  /** Waits until it would survive a power cut. @throws what has kept it from that */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** The old tasks go on: nobody needs it. Never throws. */
  async forget(): Promise<void> {
    this.#given.abort(new SwarmcutError('interrupted', 'nobody needs the final cut any more'));
    await this.#writing?.catch(() => undefined);
    await forgetCut(this.#ctx, this.#session, this.#id);
  }

  async #write(manifest: Manifest, key: WrappedKey | undefined): Promise<void> {
    const signal = AbortSignal.any([this.#ctx.signal, this.#given.signal]);
    const begun = performance.now();
    const nodes = [...new Set(manifest.tasks.map(({ node }) => node))];
    await Promise.all(
      nodes.map((node) => this.#session.agents.of(node).preserve({ snapshotId: this.#id }, { signal })),
    );
    signal.throwIfAborted();
    const preserved = performance.now();
    // The agents that have its parts keep the manifest, too: whoever finishes the operation may be on another manager.
    const sealed = this.#session.catalogue.seal(manifest, key);
    const kept = {
      snapshotId: this.#id,
      manifest: Buffer.from(sealed.manifest),
      signature: Buffer.from(sealed.signature),
      key: Buffer.from(sealed.key ?? []),
    };
    await Promise.all(nodes.map((node) => this.#session.agents.of(node).keepManifest(kept, { signal })));
    await this.#session.catalogue.keep(sealed);
    const [partsMs, manifestMs] = [preserved - begun, performance.now() - preserved].map(Math.round);
    this.#ctx.log.info({ migration: this.#id, partsMs, manifestMs }, 'the final cut is on disk');
  }
}

/** Whether an operation has such a copy, made by whatever manager. It is in the catalogue then, and nodes that answer have their parts of it. */
export async function hasCut(session: Bed, id: string): Promise<boolean> {
  return (await isSealed(session, id)) && (await isWhole(session, id));
}

/** Agents that nobody followed any more have let their tasks go on, and have discarded what was not permanent. */
async function isWhole({ catalogue, nodes, agents }: Bed, id: string): Promise<boolean> {
  const stored = await catalogue.read(id).catch(() => undefined);
  if (stored === undefined) return false;
  const ready = new Set(nodes.filter(({ state }) => state === 'ready').map(({ hostname }) => hostname));
  const holders = new Set(stored.manifest.tasks.map(({ node }) => node).filter((node) => ready.has(node)));
  const held = await Promise.all(
    [...holders].map((node) =>
      agents
        .of(node)
        .recorded({ snapshotId: id }, { deadlineMs: ASK_MS })
        .then(
          ({ tasks }) => tasks.length > 0,
          // It has it on disk, if it ever had.
          () => true,
        ),
    ),
  );
  return held.every(Boolean);
}

async function isSealed({ catalogue, nodes, agents }: Bed, id: string): Promise<boolean> {
  if ((await catalogue.ids()).includes(id)) return true;
  const sealed = await Promise.all(
    nodes
      .filter(({ state }) => state === 'ready')
      .map(async ({ hostname }) => {
        const found = await agents
          .of(hostname)
          .manifest({ snapshotId: id }, { deadlineMs: ASK_MS })
          .catch(() => undefined);
        if (found === undefined) return undefined;
        const { manifest, signature, key } = found;
        const one = { id, manifest, signature, ...(key.length > 0 && { key }) };
        return catalogue.open(one).vouching.state === 'signed' ? one : undefined;
      }),
  );
  const one = sealed.find((each) => each !== undefined);
  if (one === undefined) return false;
  await catalogue.keep(one);
  return true;
}

/**
 * Nobody needs it any more. No effect if there is none. Never throws: parts of a node that does not answer go with the next command.
 * @param removal signs that it is removed, for the manager that has made it, if that is another one: its manifest would stay there, of a snapshot that
 *   nobody has
 */
export async function forgetCut(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Bed,
  id: string,
  removal?: () => Removal,
): Promise<void> {
  try {
    const isHere = (await session.catalogue.ids()).includes(id);
    // Without a manifest, leftovers of it are discarded by whoever comes next (rounds/reconcile.ts).
    if (isHere) await session.catalogue.remove(id);
    const signed = isHere || removal === undefined ? {} : signedOrNot(ctx, removal);
    await tellAll(ctx, session, 'forget the final cut of a migration', (agent) =>
      agent.remove({ snapshotId: id, ...signed }, { deadlineMs: ASK_MS }),
    );
  } catch (error) {
    ctx.log.warn({ id, reason: messageOf(error) }, 'cannot remove the final cut of a migration');
  }
}

/** Without a signature of ours, only the parts go. */
function signedOrNot(ctx: Pick<CoordinatorContext, 'log'>, removal: () => Removal): { removal?: Removal } {
  try {
    return { removal: removal() };
  } catch (error) {
    ctx.log.warn({ reason: messageOf(error) }, 'cannot sign that the final cut of a migration is removed');
    return {};
  }
}

/**
 * It is all that is left of tasks: it stays, until a person removes it. Never throws: an agent that could not be told is told by whoever comes
 * next.
 */
export async function keepCut(ctx: Pick<CoordinatorContext, 'log'>, session: Bed, id: string): Promise<void> {
  await tellAll(ctx, session, 'keep the final cut of a migration', (agent) =>
    agent.finish({ snapshotId: id }, { deadlineMs: ASK_MS }),
  );
}

/** For people. */
export function keptText(id: string): string {
  return `what the tasks were when they stopped is kept as snapshot ${id}: \`coordinator restore ${id}\` brings them back, \`coordinator rm ${id}\` forgets it`;
}

async function tellAll(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Bed,
  what: string,
  tell: (agent: ReturnType<Bed['agents']['of']>) => Promise<unknown>,
): Promise<void> {
  await Promise.all(
    session.nodes
      .filter(({ state }) => state === 'ready')
      .map(async ({ hostname }) => {
        try {
          await tell(session.agents.of(hostname));
        } catch (error) {
          ctx.log.warn({ node: hostname, reason: messageOf(error) }, `cannot ${what}`);
        }
      }),
  );
}
