import type { Manifest } from '../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { taskKey } from '../../src/model/task.ts';
import { megabytes } from '../../src/model/size.ts';
import { acquireStackLock } from '../../src/storage/locks.ts';
import type { CoordinatorContext, RestoreOptions, RestoreReport } from '../api.ts';
import { refuseExternal } from './rounds/cut-check.ts';
import { openSession, type Session } from '../orchestrator/swarm/session.ts';
import type { Stack } from '../orchestrator/swarm/types.ts';
import { reachableAgents } from './relocation/reach.ts';
import { restorePlans } from './relocation/plans.ts';
import { Relocation, type OldTask } from './relocation/relocation.ts';
import { ServiceReplacement } from './relocation/replacement.ts';
import { putServicesBack } from './relocation/replacement-journal.ts';
import { ensureResources } from './relocation/resources.ts';
import { withIds } from './relocation/specs.ts';
import { readTargets } from './relocation/targets.ts';

const DEFAULT_TIMEOUT_MS = 120_000;

/** Puts a stack back to a snapshot, on the nodes asked for. All tasks or none. */
export async function restoreSnapshot(
  ctx: CoordinatorContext,
  manifest: Manifest,
  options: RestoreOptions,
): Promise<RestoreReport> {
  using session = await openSession(ctx);
  const id = newId(Date.now(), Math.random());
  const services = manifest.services.map(({ name }) => name);
  const targets = readTargets(options.to, manifest.stack, services, session.nodes);
  if ((options.external ?? manifest.external) === 'refuse') refuseExternal(manifest);
  const lock = await acquireStackLock(ctx.directories.run, manifest.stack, { command: 'restore', id });
  try {
    const restore = new Restore(ctx, session, id, manifest, targets, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    return await restore.run();
  } finally {
    await lock.release();
  }
}

class Restore {
  readonly #ctx: CoordinatorContext;
  readonly #session: Session;
  readonly #id: string;
  readonly #manifest: Manifest;
  readonly #targets: ReadonlyMap<string, string>;
  readonly #timeoutMs: number;

  constructor(
    ctx: CoordinatorContext,
    session: Session,
    id: string,
    manifest: Manifest,
    targets: ReadonlyMap<string, string>,
    timeoutMs: number,
  ) {
    this.#ctx = ctx;
    this.#session = session;
    this.#id = id;
    this.#manifest = manifest;
    this.#targets = targets;
    this.#timeoutMs = timeoutMs;
  }

  async run(): Promise<RestoreReport> {
    const { swarm, nodes } = this.#session;
    const begun = performance.now();
    await putServicesBack(this.#ctx, this.#session, this.#manifest.stack);
    const before = await swarm.stack(this.#manifest.stack, nodes);
    const { agents, excluded } = await reachableAgents(this.#ctx, this.#session);
    await this.#partsAreThere(agents.map(({ node }) => node));
    await this.#remnantsAreGone(before);
    const resources = await ensureResources(swarm, this.#manifest, this.#ctx.reporter);
    const replacement = new ServiceReplacement(
      this.#ctx,
      this.#session,
      { id: this.#id, stack: this.#manifest.stack },
      this.#manifest.services.map(({ name, mode, spec }) => {
        const target = this.#targets.get(name);
        const present = before.services.find((service) => service.name === name);
        return {
          name,
          present,
          spec: withIds(spec, resources.ids),
          constraints:
            mode === 'global'
              ? []
              : target === undefined
                ? excluded.map((node) => `node.hostname!=${node}`)
                : [`node.hostname==${target}`],
          publishesHostPorts: present?.publishesHostPorts ?? false,
        };
      }),
    );
    const relocation = new Relocation(this.#ctx, this.#session, this.#id, agents);
    try {
      return await this.#relocate(relocation, replacement, before, begun);
    } catch (error) {
      // Services first: otherwise Swarm would make another task for each that fails, and start it empty.
      await replacement.undo();
      await relocation.abort(messageOf(error));
      await resources.undo();
      throw error;
    } finally {
      await relocation.end();
    }
  }

  async #relocate(
    relocation: Relocation,
    replacement: ServiceReplacement,
    before: Stack,
    begun: number,
  ): Promise<RestoreReport> {
    const { manifest } = { manifest: this.#manifest };
    const saved = manifest.tasks.map((task) => ({
      key: taskKey(task.task),
      ref: task.task,
      parts: task.parts,
      connections: task.connections,
      node: task.node,
    }));
    await relocation.expect(manifest.services.map(({ name }) => name));
    await replacement.begin();
    const arrivals = await relocation.arrivals(
      saved.map(({ key }) => key),
      replacement.services,
      replacement.generations,
      this.#timeoutMs,
    );
    const old: OldTask[] = before.tasks
      .filter((task) => task.state === 'running' && manifest.services.some(({ name }) => name === task.service))
      .map((task) => ({
        key: taskKey(task),
        containerId: task.containerId,
        agent: this.#session.agents.of(task.node),
      }));
    const suspendedAt = performance.now();
    await relocation.suspend(old, this.#timeoutMs);
    const fetched = await relocation.stage(saved, false);
    const { plans, closed } = restorePlans(manifest, arrivals);
    const times = await relocation.restore(saved, plans);
    await relocation.release(() => replacement.releasing());
    const releasedAt = performance.now();
    await replacement.settle();
    const wallMs = Math.round(performance.now() - begun);
    this.#ctx.log.info({ restore: this.#id, snapshot: manifest.id, wallMs }, 'restore is complete');
    return {
      id: this.#id,
      snapshot: manifest.id,
      stack: manifest.stack,
      wallMs,
      downtimeMs: old.length === 0 ? 0 : Math.round(releasedAt - suspendedAt),
      tasks: [...arrivals.values()].map(({ key, task, agent, containerId }) => ({
        service: task.service,
        slot: task.slot,
        node: agent.node,
        containerId,
        restoreMs: times.get(key) ?? 0,
        fetchedBytes: fetched.get(key) ?? 0,
      })),
      closedConnections: closed,
    };
  }

  /** Better to find out before the running stack is touched. */
  async #partsAreThere(reachable: readonly string[]): Promise<void> {
    const holders = [...new Set(this.#manifest.tasks.map((task) => task.node))];
    const away = holders.filter((node) => !reachable.includes(node));
    if (away.length > 0) {
      throw new SwarmcutError(
        'unreachable',
        `parts of snapshot ${this.#manifest.id} lie on ${away.join(', ')}, which cannot be reached`,
        {
          where: { stack: this.#manifest.stack, node: away[0] ?? '' },
          advice: 'bring the node and its agent back, or restore another snapshot',
        },
      );
    }
    await Promise.all(holders.map((node) => this.#partsAreSound(node)));
  }

  /** Reads every part again where it lies: agents check hashes when a part is taken in, and what rots later would be restored. */
  async #partsAreSound(node: string): Promise<void> {
    const { id, stack } = this.#manifest;
    const agent = this.#session.agents.of(node);
    const { snapshots } = await agent.listSnapshots({});
    if (!snapshots.some(({ snapshotId }) => snapshotId === id)) {
      throw new SwarmcutError('damaged', `node ${node} no longer has its part of snapshot ${id}`, {
        where: { stack, node },
        advice: 'the agent lost its state directory, or another coordinator removed the snapshot; restore another one',
      });
    }
    this.#ctx.reporter.begin(node, 'check parts');
    const { problems, verifiedBytes } = await agent.verify({ snapshotId: id }, { signal: this.#ctx.signal });
    const [first] = problems;
    if (first !== undefined) {
      const { task, part, problem } = first;
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
      this.#ctx.reporter.failed(node, 'check parts', problem);
      throw new SwarmcutError('damaged', `snapshot ${id}: ${part?.path ?? 'a part'} ${problem}${more}`, {
        where: { stack, node, ...(task === null ? {} : { service: task.service, slot: task.slot }) },
        advice: `nothing was done and the stack runs on; \`coordinator verify ${id}\` shows all that is damaged`,
      });
    }
    this.#ctx.reporter.done(node, 'check parts', megabytes(verifiedBytes));
  }

  /**
   * Swarm answers DNS queries with the addresses of a removed service's tasks until they have stopped: new connections of a restored task
   * must not reach its predecessor.
   */
  async #remnantsAreGone(before: Stack): Promise<void> {
    const deadline = performance.now() + this.#timeoutMs;
    const present = new Set(before.services.map(({ id }) => id));
    for (let told = false; ; told = true) {
      const remnants = await this.#session.swarm.remnants(this.#manifest.stack, present);
      if (remnants === 0) return;
      if (this.#ctx.signal.aborted) throw new SwarmcutError('interrupted', 'interrupted: nothing has been done');
      if (performance.now() > deadline) {
        throw new SwarmcutError('failed', `${remnants} tasks of the removed stack ${this.#manifest.stack} do not end`, {
          where: { stack: this.#manifest.stack },
          advice: '`docker ps` on the nodes shows them; is a node down?',
        });
      }
      if (!told) this.#ctx.reporter.info(`waiting for ${remnants} tasks of the removed stack to end`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
