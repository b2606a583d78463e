import type { Manifest } from '../../../src/model/checkpoint.ts';
import type { WrappedKey } from '../../../src/storage/encryption/wrapped-key.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { Removal } from '../session/removals.ts';
import type { ClusterSession } from '../session/session.ts';
import type { Member } from './replacement-journal.ts';

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

/** `unknown`: one of the nodes that may have it does not answer. */
export type CutFound = 'there' | 'absent' | 'unknown';

/**
 * Whether a migration has such a copy, made by whatever manager, of which every task can be restored. It is in the catalogue then. Agents discard
 * their parts when old tasks go on, so that what others still have is of no use. Never throws.
 * @param old the tasks of which it would be
 */
export async function findCut(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Bed,
  id: string,
  old: readonly Pick<Member, 'key' | 'node'>[],
): Promise<CutFound> {
  const recorded = await Promise.all(old.map((member) => isRecorded(session, id, member)));
  if (recorded.includes(false)) return 'absent';
  try {
    if ((await session.catalogue.ids()).includes(id) || (await bring(session, id))) return 'there';
    return recorded.includes(undefined) ? 'unknown' : 'absent';
  } catch (error) {
    ctx.log.warn({ id, reason: messageOf(error) }, 'cannot look for the final cut of a migration');
    return 'unknown';
  }
}

/** Whether its node has a task's part of it; undefined when that does not answer. */
async function isRecorded(
  { agents, nodes }: Bed,
  id: string,
  { key, node }: Pick<Member, 'key' | 'node'>,
): Promise<boolean | undefined> {
  if (nodes.find(({ hostname }) => hostname === node)?.state !== 'ready') return undefined;
  try {
    const { tasks } = await agents.of(node).recorded({ snapshotId: id }, { deadlineMs: ASK_MS });
    return tasks.some(({ task }) => task !== null && taskKey(task) === key);
  } catch {
    return undefined;
  }
}

/** Takes its manifest from an agent into the catalogue. @returns false if none has it */
async function bring({ catalogue, nodes, agents }: Bed, id: string): Promise<boolean> {
  const found = await Promise.all(
    nodes
      .filter(({ state }) => state === 'ready')
      .map(async ({ hostname }) => {
        try {
          const { manifest, signature, key } = await agents
            .of(hostname)
            .manifest({ snapshotId: id }, { deadlineMs: ASK_MS });
          const sealed = { id, manifest, signature, ...(key.length > 0 && { key }) };
          return catalogue.open(sealed).vouching.state === 'signed' ? sealed : undefined;
        } catch {
          // It has none, or one that says nothing: another node's may do.
          return undefined;
        }
      }),
  );
  const one = found.find((each) => each !== undefined);
  if (one === undefined) return false;
  await catalogue.keep(one);
  return true;
}

/**
 * Nobody needs it any more. No effect if there is none. Never throws: parts of a node that does not answer go with the next command.
 * @param removal where another manager may have made it: tells that one, too
 */
export async function forgetCut(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Bed,
  id: string,
  removal?: Removal,
): Promise<void> {
  try {
    // Without a manifest, leftovers of it are discarded by whoever comes next (rounds/reconcile.ts).
    if ((await session.catalogue.ids()).includes(id)) await session.catalogue.remove(id);
    await tellAll(ctx, session, 'forget the final cut of a migration', (agent) =>
      agent.remove({ snapshotId: id, ...(removal === undefined ? {} : { removal }) }, { deadlineMs: ASK_MS }),
    );
  } catch (error) {
    ctx.log.warn({ id, reason: messageOf(error) }, 'cannot remove the final cut of a migration');
  }
}

/**
 * It is all that is left of tasks: it stays, until a person removes it. That is committed as for any snapshot, so that an agent that could not be
 * told is told by whoever comes next, on whatever manager. Never throws.
 */
export async function keepCut(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Bed & Pick<LockedSession, 'lock'>,
  id: string,
): Promise<void> {
  const commit = async (nodes: readonly string[]): Promise<void> => {
    const others = session.lock.commits.filter((one) => one.id !== id);
    await session.lock
      .setCommits(nodes.length === 0 ? others : [...others, { id, nodes: [...nodes] }])
      .catch((error: unknown) =>
        ctx.log.error({ id, reason: messageOf(error) }, 'cannot write down that the final cut of a migration is kept'),
      );
  };
  await commit(session.nodes.map(({ hostname }) => hostname));
  const untold = await tellAll(ctx, session, 'keep the final cut of a migration', (agent) =>
    agent.finish({ snapshotId: id }, { deadlineMs: ASK_MS }),
  );
  await commit(untold);
}

/** For people. */
export function keptText(id: string): string {
  return `what the tasks were when they stopped is kept as snapshot ${id}: \`coordinator restore ${id}\` brings them back, \`coordinator rm ${id}\` forgets it`;
}

/** For people: as {@link keptText}, where nobody knows. */
export function perhapsText(id: string): string {
  return `what the tasks were when they stopped may lie on nodes that do not answer: \`coordinator list\` shows snapshot ${id} when they are back, if it is there`;
}

/** @returns nodes that could not be told */
async function tellAll(
  ctx: Pick<CoordinatorContext, 'log'>,
  session: Bed,
  what: string,
  tell: (agent: ReturnType<Bed['agents']['of']>) => Promise<unknown>,
): Promise<string[]> {
  const untold: string[] = [];
  await Promise.all(
    session.nodes.map(async ({ hostname, state }) => {
      try {
        if (state === 'ready') await tell(session.agents.of(hostname));
        else untold.push(hostname);
      } catch (error) {
        untold.push(hostname);
        ctx.log.warn({ node: hostname, reason: messageOf(error) }, `cannot ${what}`);
      }
    }),
  );
  return untold;
}
