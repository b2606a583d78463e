import { messageOf } from '../../../src/model/errors.ts';
import type { Arrival } from './arrivals.ts';
import type { TaskPlan } from './plans.ts';
import type { Relocation, SavedTask } from './relocation.ts';
import type { ServiceReplacement } from './replacement.ts';

/** By task key, as {@link Arrival} says who waits. */
export type ArrivalsByKey = ReadonlyMap<string, Arrival>;

/** In what a restore and a migration differ. */
export interface RelocationSteps<Plans extends { readonly plans: ReadonlyMap<string, TaskPlan> }> {
  readonly services: readonly string[];
  /** Of the tasks that are to come. */
  readonly keys: readonly string[];
  /** Longest time that Swarm may take to place them. Milliseconds. */
  readonly timeoutMs: number;
  /** The saved state never touches a disk on its way. */
  readonly inMemory: boolean;
  /** All new containers wait, and from here on it costs something: the old tasks are stopped. @returns what the new ones are to be */
  stopOld(): Promise<readonly SavedTask[]>;
  /** How their connections go on. */
  plan(arrivals: ArrivalsByKey): Promise<Plans> | Plans;
  /** What tasks that take no part must know before the new ones speak. */
  tellOthers?(plans: Plans): Promise<void>;
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
 * into the new ones, and these are released together. If anything fails, the old ones go on and everything is as it was.
 */
export async function relocate<Plans extends { readonly plans: ReadonlyMap<string, TaskPlan> }>(
  relocation: Relocation,
  replacement: Pick<ServiceReplacement, 'begin' | 'services' | 'generations' | 'releasing' | 'settle' | 'undo'>,
  steps: RelocationSteps<Plans>,
): Promise<Relocated<Plans>> {
  try {
    await relocation.expect(steps.services);
    await replacement.begin();
    // The old tasks run on while Swarm places the new ones: its latency is not downtime.
    const { services, generations } = replacement;
    const arrivals = await relocation.arrivals(steps.keys, services, generations, steps.timeoutMs);
    const saved = await steps.stopOld();
    const [plans, fetched] = await Promise.all([steps.plan(arrivals), relocation.stage(saved, steps.inMemory)]);
    const restored = await relocation.restore(saved, plans.plans);
    await steps.tellOthers?.(plans);
    await relocation.release(() => replacement.releasing());
    const releasedAtMs = Date.now();
    await replacement.settle();
    return { arrivals, plans, fetched, restored, releasedAtMs };
  } catch (error) {
    const reason = messageOf(error);
    // The old tasks first: they have been standing still long enough.
    await relocation.old.resume(reason);
    // Services before the new containers: otherwise Swarm would make another task for each that fails, and start it empty.
    await replacement.undo();
    await relocation.abort(reason);
    await steps.undo?.();
    throw error;
  } finally {
    await relocation.end();
  }
}
