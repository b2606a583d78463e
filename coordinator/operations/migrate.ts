import { algorithms, type Algorithm } from '../../src/algorithms/index.ts';
import { sync } from '../../src/algorithms/coordinated/sync.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { nearest } from '../../src/model/near.ts';
import { acquireStackLock } from '../../src/storage/locks.ts';
import type { CoordinatorContext, MigrateOptions, MigrateReport } from '../api.ts';
import { nextEpoch } from './rounds/epochs.ts';
import { AgentExecutor } from './rounds/agent-executor.ts';
import { roundTasks, type RoundTask } from './rounds/participants.ts';
import { reconcile } from './rounds/reconcile.ts';
import { runRound } from './rounds/round-driver.ts';
import { openSession, type Session } from '../orchestrator/swarm/session.ts';
import { refuseUndeclared, stackSettings } from '../orchestrator/swarm/settings.ts';
import { STACK_LABEL } from '../../src/config/labels.ts';
import type { Stack, SwarmService } from '../orchestrator/swarm/types.ts';
import { migrationPlans, refuseBrokenMove, type Moved } from './relocation/migration-plans.ts';
import { reachableAgents } from './relocation/reach.ts';
import { Relocation } from './relocation/relocation.ts';
import { ServiceReplacement } from './relocation/replacement.ts';
import { putServicesBack } from './relocation/replacement-journal.ts';
import { knownNode } from './relocation/targets.ts';

const DEFAULT_TIMEOUT_MS = 120_000;

/** Moves a running stack or one of its services; the old tasks go on if anything fails. */
export async function migrate(ctx: CoordinatorContext, what: string, options: MigrateOptions): Promise<MigrateReport> {
  using session = await openSession(ctx);
  const id = newId(Date.now(), Math.random());
  const to = options.to === undefined ? undefined : knownNode(options.to, session.nodes);
  const from = options.from === undefined ? undefined : existingNode(options.from, session);
  if (to !== undefined && to === from) throw new SwarmcutError('usage', `--from and --to are the same node, ${to}`);
  const found = await findTarget(session, what);
  const { name } = found.stack;
  const lock = await acquireStackLock(ctx.directories.run, name, { command: 'migration', id });
  try {
    const { stack, services } = (await putServicesBack(ctx, session, name)) ? await findTarget(session, what) : found;
    await reconcile(ctx, stack.name, session.nodes, session.agents, session.catalogue);
    const all = roundTasks(stack, session.agents);
    const chosen = chosenServices(services, all, from, to);
    const migration = new Migration(ctx, session, id, stack, {
      from,
      to,
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    });
    return await migration.run(
      chosen,
      all.filter(({ task }) => chosen.some((service) => service.id === task.serviceId)),
      all.filter(({ task }) => !chosen.some((service) => service.id === task.serviceId)),
    );
  } finally {
    await lock.release();
  }
}

interface Where {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly timeoutMs: number;
}

class Migration {
  readonly #ctx: CoordinatorContext;
  readonly #session: Session;
  readonly #id: string;
  readonly #stack: Stack;
  readonly #where: Where;
  readonly #algorithm: Algorithm;

  constructor(ctx: CoordinatorContext, session: Session, id: string, stack: Stack, where: Where) {
    this.#ctx = ctx;
    this.#session = session;
    this.#id = id;
    this.#stack = stack;
    this.#where = where;
    this.#algorithm = movingAlgorithm(stack);
  }

  async run(
    services: readonly SwarmService[],
    moving: readonly RoundTask[],
    staying: readonly RoundTask[],
  ): Promise<MigrateReport> {
    const begun = performance.now();
    const { agents, excluded } = await reachableAgents(this.#ctx, this.#session);
    const constraints = this.#constraints(excluded);
    const replacement = new ServiceReplacement(
      this.#ctx,
      this.#session,
      { id: this.#id, stack: this.#stack.name },
      services.map((service) => ({
        name: service.name,
        present: service,
        spec: service.spec,
        constraints,
        publishesHostPorts: false,
      })),
    );
    const relocation = new Relocation(this.#ctx, this.#session, this.#id, agents);
    try {
      await relocation.expect(services.map(({ name }) => name));
      await replacement.begin();
      // The old tasks run on while Swarm places the new ones: its latency is not downtime.
      const arrivals = await relocation.arrivals(
        moving.map(({ key }) => key),
        replacement.services,
        replacement.generations,
        this.#where.timeoutMs,
      );
      const cut = await this.#cut(moving, staying);
      const moved = { ...cut, arrivals };
      const downtimeMs = await this.#relocate(relocation, replacement, moved);
      await replacement.settle();
      await this.#forget(moving);
      const wallMs = Math.round(performance.now() - begun);
      this.#ctx.log.info({ migration: this.#id, wallMs, downtimeMs }, 'migration is complete');
      return this.#report(moved, wallMs, downtimeMs);
    } catch (error) {
      // The frozen tasks first: they have been standing still long enough.
      await this.#thaw(moving, messageOf(error));
      await replacement.undo();
      await relocation.abort(messageOf(error));
      throw error;
    } finally {
      await relocation.end();
    }
  }

  #constraints(excluded: readonly string[]): string[] {
    const { from, to } = this.#where;
    if (to !== undefined) return [`node.hostname==${to}`];
    return [...excluded, ...(from === undefined ? [] : [from])].map((node) => `node.hostname!=${node}`);
  }

  /** The final cut: the moving tasks stop together and stay stopped; their parts stay in memory. */
  async #cut(moving: readonly RoundTask[], staying: readonly RoundTask[]): Promise<Omit<Moved, 'arrivals'>> {
    const { freezeTimeoutMs } = stackSettings(this.#stack);
    const epoch = await nextEpoch(this.#ctx.directories.state, this.#stack.name);
    const moved = {
      id: this.#id,
      stack: this.#stack.name,
      epoch,
      proxied: this.#algorithm.interceptor === 'proxy',
      moving,
      staying,
    };
    const round = this.#algorithm.round({
      processes: moving.map(({ key }) => key),
      epoch,
      deadlineMs: freezeTimeoutMs,
      keepFrozen: true,
    });
    const executor = new AgentExecutor({
      snapshotId: this.#id,
      stack: this.#stack.name,
      algorithm: this.#algorithm.name,
      epoch,
      freezeTimeoutMs,
      keepFrozen: true,
      tasks: moving,
      reporter: this.#ctx.reporter,
      // Nothing to write: whether the migration succeeds is decided by the restore, and the tasks stay frozen until then.
      commit: (checkpoints) => {
        if (moved.proxied) refuseBrokenMove({ ...moved, checkpoints });
        return Promise.resolve();
      },
    });
    // The round must not end by detaching: only the migration knows when the tasks may go on.
    executor.finish = () => Promise.resolve();
    await runRound(round, executor, this.#ctx.signal);
    return { ...moved, checkpoints: executor.checkpoints };
  }

  /** @returns milliseconds from the first hold to the last release, by the nodes' and our own wall clock */
  async #relocate(relocation: Relocation, replacement: ServiceReplacement, moved: Moved): Promise<number> {
    const { moving, staying, checkpoints } = moved;
    const frozenAtMs = Math.min(...[...checkpoints.values()].map(({ times }) => times.holdAtMs));
    relocation.adopt(moving.map(({ key, ref, agent }) => ({ key, containerId: ref.containerId, agent })));
    const saved = moving.map(({ key, ref, agent }) => ({
      key,
      ref,
      parts: checkpoints.get(key)?.parts ?? [],
      connections: checkpoints.get(key)?.connections ?? [],
      node: agent.node,
    }));
    const [plans] = await Promise.all([migrationPlans(moved), relocation.stage(saved, true)]);
    await relocation.restore(saved, plans.plans);
    // Peers must know the new way before the moved tasks speak.
    await Promise.all(
      staying.map(async ({ key, ref, agent }) => {
        const plan = plans.live.get(key);
        if (plan === undefined) return;
        await agent.rewrite({
          restoreId: this.#id,
          containerId: ref.containerId,
          rewrites: [...plan.rewrites],
          close: [...plan.close],
        });
      }),
    );
    await relocation.release(() => replacement.releasing());
    return Date.now() - frozenAtMs;
  }

  async #thaw(moving: readonly RoundTask[], reason: string): Promise<void> {
    await Promise.all(
      [...new Set(moving.map(({ agent }) => agent))].map((agent) =>
        agent.abort({ snapshotId: this.#id, reason }).catch((error: unknown) => {
          this.#ctx.reporter.info(
            `node ${agent.node} could not be told to go on (${messageOf(error)}); its own deadline will thaw the tasks`,
          );
        }),
      ),
    );
  }

  /** The parts in memory have done their work. */
  async #forget(moving: readonly RoundTask[]): Promise<void> {
    await Promise.all(
      [...new Set(moving.map(({ agent }) => agent))].map((agent) =>
        agent.remove({ snapshotId: this.#id }).catch((error: unknown) => {
          this.#ctx.log.warn({ node: agent.node, reason: messageOf(error) }, 'cannot remove the parts of a migration');
        }),
      ),
    );
  }

  #report({ moving, arrivals, checkpoints }: Moved, wallMs: number, downtimeMs: number): MigrateReport {
    return {
      id: this.#id,
      stack: this.#stack.name,
      wallMs,
      downtimeMs,
      tasks: moving.map(({ key, task }) => ({
        service: task.service,
        slot: task.slot,
        from: task.node,
        to: arrivals.get(key)?.agent.node ?? '',
        bytes: (checkpoints.get(key)?.parts ?? []).reduce((sum, part) => sum + part.sizeBytes, 0),
      })),
    };
  }
}

/**
 * A stack with sidecars moves by its own algorithm: only its streams can be parked with those that stay. Any other stops all moving tasks
 * together.
 * @throws SwarmcutError `precondition` when some service of a stack with sidecars has none
 */
function movingAlgorithm(stack: Stack): Algorithm {
  const own = algorithms[stackSettings(stack).algorithm];
  if (own?.interceptor !== 'proxy') return sync;
  refuseUndeclared(stack, own.name);
  return own;
}

/** A stack, or a service with or without its stack's prefix. */
async function findTarget(
  session: Session,
  what: string,
): Promise<{ stack: Stack; services: readonly SwarmService[] }> {
  const stack = await session.swarm.stack(what, session.nodes);
  if (stack.services.length > 0) return { stack, services: stack.services };
  const service = await session.swarm.service(what);
  const owner = service?.labels[STACK_LABEL];
  if (service !== undefined && owner !== undefined) {
    const ownerStack = await session.swarm.stack(owner, session.nodes);
    return { stack: ownerStack, services: ownerStack.services.filter(({ id }) => id === service.id) };
  }
  if (service !== undefined) {
    throw new SwarmcutError('precondition', `service ${what} does not belong to a stack`, {
      where: { service: what },
      advice: 'deploy it with `docker stack deploy`: only stacks can be moved',
    });
  }
  const services = await session.swarm.services();
  const names = [...new Set([...services.map(({ name }) => name), ...(await session.swarm.stackNames())])];
  const near = nearest(what, names);
  throw new SwarmcutError('not-found', `there is no stack or service named ${what}`, {
    advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : `known are ${names.sort().join(', ')}`,
  });
}

function existingNode(name: string, session: Session): string {
  const node = session.nodes.find((candidate) => candidate.hostname === name);
  if (node !== undefined) return node.hostname;
  const near = nearest(
    name,
    session.nodes.map(({ hostname }) => hostname),
  );
  throw new SwarmcutError('not-found', `there is no node named ${name}`, {
    where: { node: name },
    advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : '`docker node ls` lists them',
  });
}

/**
 * The services that are to move. Swarm places a service's tasks by one set of constraints, so that a service moves as a whole: with
 * `--from`, every service that has a task there.
 */
function chosenServices(
  services: readonly SwarmService[],
  tasks: readonly RoundTask[],
  from: string | undefined,
  to: string | undefined,
): readonly SwarmService[] {
  const moving = services.filter((service) => {
    const own = tasks.filter(({ task }) => task.serviceId === service.id);
    if (own.length === 0) return false;
    if (from !== undefined) return own.some(({ task }) => task.node === from);
    return to === undefined || own.some(({ task }) => task.node !== to);
  });
  if (moving.length === 0) {
    const place = from === undefined ? `is on ${to ?? 'a node'} already` : `has a task on ${from}`;
    throw new SwarmcutError('precondition', from === undefined ? `everything ${place}` : `nothing of it ${place}`, {
      advice: '`docker stack ps` shows where the tasks are',
    });
  }
  const stuck = moving.find((service) => service.mode === 'global' || service.publishesHostPorts);
  if (stuck !== undefined) {
    const why =
      stuck.mode === 'global' ? 'is global: it has a task on every node' : 'publishes ports of its nodes (mode host)';
    throw new SwarmcutError('precondition', `service ${stuck.name} cannot be moved live: it ${why}`, {
      where: { service: stuck.name },
      advice: 'name the services that are to move one by one, or use snapshot and restore',
    });
  }
  return moving;
}
