import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { withStackLock, type LockedSession } from './lock/stack-lock.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { MigrateOptions, MigrateReport } from './session/reports.ts';
import { openClusterSession } from './session/session.ts';
import type { ClusterService, Placement, Stack } from '../orchestrator/index.ts';
import { endingTasksAreGone } from './rounds/ending-tasks.ts';
import { roundTasks, type RoundTask } from './rounds/participants.ts';
import { reconcile } from './rounds/reconcile.ts';
import { movingAlgorithm } from './relocation/final-cut.ts';
import { MovingCut, type Who } from './relocation/moving-cut.ts';
import { migrationPlans, type Before, type MigrationPlans, type Moved } from './relocation/migration-plans.ts';
import type { Confirmation } from './transaction/confirmation.ts';
import { guarded } from './transaction/guarded.ts';
import { chosenServices, existingNode, findTarget } from './relocation/migration-target.ts';
import { OldTasks } from './relocation/old-tasks.ts';
import { reachableAgents, refuseLeftOut } from './relocation/reach.ts';
import { Relocation, type SavedTask } from './relocation/relocation.ts';
import { ServiceReplacement } from './relocation/replacement.ts';
import { putServicesBack } from './transaction/recovery.ts';
import type { CommitRecord, InForce } from './transaction/replacement-journal.ts';
import { relocate, type ArrivalsByKey, type RelocationSteps } from './relocation/sequence.ts';
import { knownNode } from './relocation/targets.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

const DEFAULT_TIMEOUT_MS = 120_000;

/** Moves a running stack or one of its services; the old tasks go on if anything fails. */
export async function migrate(ctx: CoordinatorContext, what: string, options: MigrateOptions): Promise<MigrateReport> {
  using opened = await openClusterSession(ctx);
  const id = newId(Date.now(), Math.random());
  const to = options.to === undefined ? undefined : knownNode(options.to, opened.nodes);
  const from = options.from === undefined ? undefined : existingNode(options.from, opened);
  if (to !== undefined && to === from) throw new SwarmcutError('usage', `--from and --to are the same node, ${to}`);
  const { name } = (await findTarget(opened, what)).stack;
  return await withStackLock(ctx, opened, name, { command: 'migration', id }, async (ctx, session) => {
    await failPoint('coordinator.locked');
    await putServicesBack(ctx, session, name);
    // Looked up again: it may have been waited for the lock.
    const { stack, services } = await findTarget(session, what);
    await reconcile(ctx, session, stack.name);
    const all = roundTasks(stack, session.agents);
    const chosen = chosenServices(services, all, from, to);
    const where = { from, to, timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS };
    const moves = ({ task }: RoundTask): boolean => chosen.some((service) => service.id === task.serviceId);
    const migration = new Migration(ctx, session, id, stack, where, {
      services: chosen,
      moving: all.filter(moves),
      staying: all.filter((task) => !moves(task)),
    });
    return migration.run();
  });
}

interface Where {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly timeoutMs: number;
}

/** A round that keeps its tasks frozen, followed by their relocation. */
class Migration implements RelocationSteps<MigrationPlans> {
  readonly stack: string;
  readonly services: readonly string[];
  readonly keys: readonly string[];
  readonly timeoutMs: number;
  /** The old tasks stand still meanwhile: the copy on disk is written beside the way of the parts. */
  readonly inMemory = true;
  readonly #ctx: CoordinatorContext;
  readonly #session: LockedSession;
  readonly #id: string;
  readonly #stack: Stack;
  readonly #where: Where;
  readonly #who: Who;
  readonly #old: OldTasks;
  /** The tasks have sidecars. */
  readonly #proxied: boolean;
  readonly #cut: MovingCut;
  #replacement: ServiceReplacement | undefined;
  /** It is all that is left of tasks. */
  #kept = false;

  constructor(ctx: CoordinatorContext, session: LockedSession, id: string, stack: Stack, where: Where, who: Who) {
    this.#ctx = ctx;
    this.#session = session;
    this.#id = id;
    this.#stack = stack;
    this.#where = where;
    this.#who = who;
    this.stack = stack.name;
    this.services = who.services.map(({ name }) => name);
    this.keys = who.moving.map(({ key }) => key);
    this.timeoutMs = where.timeoutMs;
    this.#proxied = movingAlgorithm(stack).interceptor === 'proxy';
    const old = who.moving.map(({ key, ref, agent }) => ({ key, containerId: ref.containerId, agent }));
    this.#old = new OldTasks(ctx, id, old);
    this.#cut = new MovingCut(ctx, session, stack, who, this.#old);
  }

  async run(): Promise<MigrateReport> {
    const begun = performance.now();
    if (this.#proxied) await endingTasksAreGone(this.#ctx, this.#session, this.#stack);
    const reachable = await reachableAgents(this.#ctx, this.#session);
    const { agents, leftOut } = reachable;
    const { to } = this.#where;
    if (to !== undefined)
      refuseLeftOut(
        this.services.map((service) => [service, to] as const),
        reachable,
      );
    await this.#cut.prepare(this.#id);
    const placement = this.#placement([...leftOut.keys()]);
    const replacement = new ServiceReplacement(
      this.#ctx,
      this.#session,
      { id: this.#id, stack: this.#stack.name, cut: true, old: this.#old.members },
      this.#who.services.map((service) => {
        const tasks = this.#who.moving.filter(({ task }) => task.serviceId === service.id).length;
        // Those that have ended are not run again.
        const counted = tasks < service.replicas ? this.#session.cluster.withTasks(service.spec, tasks) : undefined;
        return { name: service.name, present: service, spec: counted ?? service.spec, placement, tasks };
      }),
    );
    this.#replacement = replacement;
    const relocation = new Relocation(this.#ctx, this.#session, this.#id, { agents, old: this.#old });
    const { arrivals, releasedAtMs } = await guarded(this.#ctx, this.#session, this.#stack.name, () =>
      relocate(this.#ctx, relocation, replacement, this),
    );
    const wallMs = Math.round(performance.now() - begun);
    const downtimeMs = releasedAtMs - this.#frozenAtMs();
    this.#ctx.log.info({ migration: this.#id, wallMs, downtimeMs }, 'migration is complete');
    return this.#report(arrivals, wallMs, downtimeMs);
  }

  /** The moving tasks stop together and stay frozen; their parts stay in memory. */
  async stopOld(): Promise<readonly SavedTask[]> {
    // One id for both, so that a person who knows the migration's can restore its cut.
    const cut = await this.#cut.make(this.#id);
    return this.#who.moving.map(({ key, ref, agent }) => ({
      key,
      ref,
      parts: cut.checkpoints.get(key)?.parts ?? [],
      connections: cut.checkpoints.get(key)?.connections ?? [],
      node: agent.node,
    }));
  }

  get snapshotKey(): Buffer | undefined {
    return this.#cut.snapshotKey;
  }

  secured(): Promise<void> {
    return this.#cut.written();
  }

  async confirmed({ late, ended }: Confirmation): Promise<void> {
    if (late.length + ended.length === 0) await this.#cut.forget();
    else this.#ctx.emit({ kind: 'warning', message: await this.#cut.keep() });
  }

  async rescue(): Promise<string | undefined> {
    let ended: readonly string[] = [];
    try {
      ended = await this.#endedOld();
      if (ended.length === 0) return undefined;
      // They run until the engine's stop, which waits, is let through.
      if (this.#cut.cut === undefined) await this.#cut.make(newId(Date.now(), Math.random()));
      await this.#cut.written();
      const kept = await this.#cut.keep();
      this.#kept = true;
      return `Swarm ends ${ended.join(', ')} for it; ${kept}`;
    } catch (error) {
      if (ended.length === 0)
        this.#ctx.log.warn({ reason: messageOf(error) }, 'cannot look whether old tasks are ended');
      return ended.length === 0
        ? undefined
        : `Swarm ends ${ended.join(', ')} for it, and what they were could not be saved: ${messageOf(error)}`;
    }
  }

  async undo(): Promise<void> {
    if (!this.#kept) await this.#cut.forget();
  }

  /** Old tasks that the cluster is about to end, although their services are to go on. */
  async #endedOld(): Promise<string[]> {
    const { cluster, nodes } = this.#session;
    const found = await Promise.all(this.#who.services.map(({ id }) => cluster.service(id)));
    const services = found.filter(
      (service): service is ClusterService =>
        service !== undefined && (service.mode !== 'replicated' || service.replicas > 0),
    );
    const tasks = await cluster.tasks(services, nodes, 'all');
    return this.#who.moving
      .filter(({ ref }) =>
        tasks.some(
          ({ taskId, serviceId, wanted }) =>
            taskId === ref.taskId && (!wanted || this.#replacement?.taken.has(serviceId) === true),
        ),
      )
      .map(({ key }) => key);
  }

  plan(arrivals: ArrivalsByKey): Promise<MigrationPlans> {
    return migrationPlans(this.#moved(arrivals));
  }

  /** Peers must know the new way before the moved tasks speak. */
  rewrites(plans: MigrationPlans): CommitRecord['rewrites'] {
    return this.#who.staying.flatMap(({ key, ref, agent }) => {
      const plan = plans.live.get(key);
      if (plan === undefined) return [];
      const { containerId } = ref;
      const noted = ({ rewrites, former }: Before): InForce => ({
        rewrites: rewrites.map((entry) => ({ ...entry, datagrams: entry.datagrams ?? false })),
        former: [...former],
      });
      const earlier = plans.before.get(key);
      const before = earlier === undefined ? {} : { before: noted(earlier) };
      return [{ key, node: agent.node, containerId, ...noted(plan), close: [...plan.close], ...before }];
    });
  }

  #placement(excluded: readonly string[]): Placement {
    const { from, to } = this.#where;
    if (to !== undefined) return { only: to };
    return { except: [...excluded, ...(from === undefined ? [] : [from])] };
  }

  #moved(arrivals: ArrivalsByKey): Moved {
    const { epoch, checkpoints } = this.#cut.made;
    const { moving, staying } = this.#who;
    const { name: stack } = this.#stack;
    return { id: this.#id, stack, epoch, proxied: this.#proxied, moving, staying, checkpoints, arrivals };
  }

  /** When the first task was blocked, by its node's wall clock. */
  #frozenAtMs(): number {
    return Math.min(...[...this.#cut.made.checkpoints.values()].map(({ times }) => times.holdAtMs));
  }

  #report(arrivals: ArrivalsByKey, wallMs: number, downtimeMs: number): MigrateReport {
    const { checkpoints } = this.#cut.made;
    return {
      id: this.#id,
      stack: this.#stack.name,
      wallMs,
      downtimeMs,
      tasks: this.#who.moving.map(({ key, task }) => ({
        service: task.service,
        slot: task.slot,
        from: task.node,
        to: arrivals.get(key)?.agent.node ?? '',
        bytes: (checkpoints.get(key)?.parts ?? []).reduce((sum, part) => sum + part.sizeBytes, 0),
      })),
    };
  }
}
