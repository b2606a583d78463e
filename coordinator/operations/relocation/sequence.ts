import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { ClusterTask } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { Arrival } from './arrivals/arrivals.ts';
import type { TaskPlan } from './plans.ts';
import type { Relocation, SavedTask } from './relocation.ts';
import type { ServiceReplacement } from './replacement.ts';
import type { Confirmation } from '../transaction/confirmation.ts';
import type { CommitRecord } from '../transaction/replacement-journal.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** What is done between the arrival of the new tasks and the stop of the old ones takes less. Milliseconds. */
const KEEP_MARGIN_MS = 30_000;

type Replacing = Pick<
  ServiceReplacement,
  | 'begin'
  | 'adapt'
  | 'services'
  | 'made'
  | 'generations'
  | 'tellElsewhere'
  | 'dropSpares'
  | 'commit'
  | 'isOurs'
  | 'settle'
  | 'confirmed'
  | 'undo'
  | 'done'
>;

/** By task key, as {@link Arrival} says who waits. */
export type ArrivalsByKey = ReadonlyMap<string, Arrival>;

/** In what a restore and a migration differ. */
export interface RelocationSteps<Plans extends { readonly plans: ReadonlyMap<string, TaskPlan> }> {
  readonly stack: string;
  readonly services: readonly string[];
  /** Of the tasks that are to come. */
  readonly keys: readonly string[];
  /** Longest time that Swarm may take to place them. Milliseconds. */
  readonly timeoutMs: number;
  /** The saved state never touches a disk on its way. */
  readonly inMemory: boolean;
  /** Opens the saved state, if it is encrypted. */
  readonly snapshotKey?: Buffer | undefined;
  /** All new containers wait, and from here on it costs something: the old tasks are stopped. @returns what the new ones are to be */
  stopOld(): Promise<readonly SavedTask[]>;
  /** How their connections go on. */
  plan(arrivals: ArrivalsByKey): Promise<Plans> | Plans;
  /** What tasks that take no part must know before the new ones speak: told after the commit, so that nothing of it need be undone. */
  rewrites?(plans: Plans): CommitRecord['rewrites'];
  /** Waited for before the commit: that what the old tasks were outlives them. */
  secured?(): Promise<void>;
  /** The end of an operation that is committed. Never throws. @param confirmed what the cluster says of the new tasks */
  confirmed?(confirmed: Confirmation): Promise<void>;
  /**
   * The operation has failed, and is not undone yet: saves what would be lost with old tasks that Swarm ends meanwhile, for somebody else's sake. Never
   * throws. @returns what people must know of it
   */
  rescue?(): Promise<string | undefined>;
  /** Takes back what was done before the sequence began. Never throws. */
  undo?(): Promise<void>;
}

/** How a relocation went. */
export interface Relocated<Plans> {
  readonly arrivals: ArrivalsByKey;
  readonly plans: Plans;
  /** Bytes, by task key. */
  readonly fetched: ReadonlyMap<string, number>;
  /** Milliseconds that the restore took, by task key. */
  readonly restored: ReadonlyMap<string, number>;
  /** When the last new task was released. Wall clock, milliseconds since 1970. */
  readonly releasedAtMs: number;
}

/**
 * The one sequence of restore and migration: Swarm makes new tasks while the old ones run, the old ones stop, their (or saved) state goes
 * into the new ones, and these are released together. Until the commit record is on disk the old ones are the truth: if anything fails, they go
 * on and everything is as it was. From then on the new ones are, and nothing is undone: what cannot be done is done by whoever comes next.
 */
export async function relocate<Plans extends { readonly plans: ReadonlyMap<string, TaskPlan> }>(
  ctx: Pick<CoordinatorContext, 'emit' | 'log'>,
  relocation: Relocation,
  replacement: Replacing,
  steps: RelocationSteps<Plans>,
): Promise<Relocated<Plans>> {
  const committed = await untilCommit(relocation, replacement, steps);
  try {
    await relocation.carryOut(committed.commit);
    const releasedAtMs = Date.now();
    await tidyUp(ctx, relocation, replacement, steps);
    return { ...committed, releasedAtMs };
  } finally {
    relocation.leave();
  }
}

async function tidyUp(
  ctx: Pick<CoordinatorContext, 'emit' | 'log'>,
  relocation: Relocation,
  replacement: Replacing,
  steps: Pick<RelocationSteps<never>, 'confirmed'>,
): Promise<void> {
  try {
    await replacement.settle();
    // The cluster has looked at the services again: where it had made two tasks for a slot, it has given one up.
    await relocation.othersEnd(replacement.made);
    const confirmed = await replacement.confirmed();
    if (confirmed.late.length > 0)
      ctx.emit({ kind: 'warning', message: `not yet seen running by Swarm: ${confirmed.late.join(', ')}` });
    if (confirmed.ended.length > 0)
      ctx.emit({ kind: 'warning', message: `Swarm has ended restored tasks: ${confirmed.ended.join(', ')}` });
    await steps.confirmed?.(confirmed);
    await replacement.done(await relocation.end());
  } catch (error) {
    ctx.log.error({ reason: messageOf(error) }, 'cannot tidy up after the commit');
    ctx.emit({
      kind: 'warning',
      message: `the new tasks run, but tidying up failed (${messageOf(error)}); the next command on the stack does it`,
    });
  }
}

/** @throws what went wrong; everything is as before then, or the journal says what is not */
async function untilCommit<Plans extends { readonly plans: ReadonlyMap<string, TaskPlan> }>(
  relocation: Relocation,
  replacement: Replacing,
  steps: RelocationSteps<Plans>,
): Promise<Omit<Relocated<Plans>, 'releasedAtMs'> & { readonly commit: CommitRecord }> {
  try {
    await relocation.expect(steps.stack, steps.services);
    await relocation.old.keep(steps.timeoutMs + KEEP_MARGIN_MS);
    await replacement.begin();
    // The old tasks run on while Swarm places the new ones: its latency is not downtime.
    const { services, generations } = replacement;
    const arrivals = await relocation.arrivals(steps.keys, services, generations, steps.timeoutMs, () =>
      replacement.adapt(),
    );
    replacement.tellElsewhere([...arrivals.values()]);
    await failPoint('coordinator.stop-old');
    const saved = await steps.stopOld();
    const [plans, fetched] = await Promise.all([
      steps.plan(arrivals),
      relocation.stage(saved, steps.inMemory, steps.snapshotKey),
    ]);
    const restored = await relocation.restore(saved, plans.plans);
    const dropSpares = (tasks: readonly ClusterTask[]): Promise<boolean> => replacement.dropSpares(tasks);
    const [members] = await Promise.all([relocation.prepare(dropSpares), steps.secured?.()]);
    const commit = { ...members, rewrites: [...(steps.rewrites?.(plans) ?? [])] };
    await replacement.commit(commit);
    return { arrivals, plans, fetched, restored, commit };
  } catch (error) {
    const reason = messageOf(error);
    await failPoint('coordinator.undo');
    // Whoever has the lock, or comes next, finds the journal: what that one does must not be undone here.
    if (!(await replacement.isOurs())) throw error;
    const rescued = await steps.rescue?.();
    // The old tasks first: they have been standing still long enough.
    await relocation.old.resume(reason);
    // Services before the new containers: otherwise Swarm would make another task for each that fails, and start it empty.
    const back = await replacement.undo();
    const told = await relocation.abort(reason, back ? replacement.made : undefined);
    if (back) await replacement.done(told).catch(() => undefined);
    await steps.undo?.();
    if (rescued === undefined) throw error;
    throw new SwarmcutError(error instanceof SwarmcutError ? error.code : 'failed', `${reason}; ${rescued}`, {
      cause: error,
      ...(error instanceof SwarmcutError ? { where: error.where } : {}),
      ...(error instanceof SwarmcutError && error.advice !== undefined ? { advice: error.advice } : {}),
    });
  }
}
