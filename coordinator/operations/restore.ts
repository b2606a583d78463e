import type { Manifest } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { newId } from '../../src/model/ids.ts';
import { taskKey } from '../../src/model/task.ts';
import { ProgressDeadline, passedText, pause } from '../../src/platform/deadlines.ts';
import { megabytes } from '../../src/model/size.ts';
import type { StoredSnapshot } from '../../src/storage/catalogue.ts';
import type { Vouching } from '../../src/storage/manifest-signature.ts';
import { withStackLock, type LockedSession } from './lock/stack-lock.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { RestoreOptions, RestoreReport } from './session/reports.ts';
import { refuseExternal } from './rounds/cut-check.ts';
import { foreignAddresses } from './rounds/participants.ts';
import { reconcile } from './rounds/reconcile.ts';
import { openClusterSession } from './session/session.ts';
import { compareLedgers, refuseDifferences } from './soundness/ledgers.ts';
import { refuseUnsigned } from './soundness/vouched.ts';
import type { AgentClient } from '../../src/rpc/index.ts';
import type { Resources, Stack } from '../orchestrator/index.ts';
import { reachableAgents, refuseLeftOut, type Reachable } from './relocation/reach.ts';
import { guarded } from './transaction/guarded.ts';
import { OldTasks } from './relocation/old-tasks.ts';
import { restorePlans, type RestorePlans } from './relocation/plans.ts';
import { Relocation } from './relocation/relocation.ts';
import { ServiceReplacement } from './relocation/replacement.ts';
import { putServicesBack } from './transaction/recovery.ts';
import { relocate, type Relocated, type RelocationSteps } from './relocation/sequence.ts';
import { readTargets } from './relocation/targets.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

const DEFAULT_TIMEOUT_MS = 120_000;

/** Between two looks at what is left of a removed stack. Milliseconds. */
const REMNANTS_LOOK_MS = 250;

/** Puts a stack back to a snapshot, on the nodes asked for. All tasks or none. */
export async function restoreSnapshot(
  ctx: CoordinatorContext,
  snapshot: StoredSnapshot,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { manifest } = snapshot;
  refuseUnsigned(ctx, snapshot, options.allowUnsigned ?? false);
  // Without a task there is nothing to go back to: the stack would only lose what it has.
  if (manifest.tasks.length === 0) throw new SwarmcutError('damaged', `snapshot ${manifest.id} has no tasks`);
  using session = await openClusterSession(ctx);
  const snapshotKey = await session.encryption.open(manifest, session.catalogue.wrappedKeyPath(manifest.id));
  const id = newId(Date.now(), Math.random());
  const services = manifest.services.map(({ name }) => name);
  const targets = readTargets(options.to, manifest.stack, services, session.nodes);
  if ((options.external ?? manifest.external) === 'refuse') refuseExternal(manifest);
  return await withStackLock(ctx, session, manifest.stack, { command: 'restore', id }, async (locked, own) => {
    await failPoint('coordinator.locked');
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    return await new Restore(locked, own, id, { ...snapshot, snapshotKey }, targets, timeoutMs).run();
  });
}

class Restore {
  readonly #ctx: CoordinatorContext;
  readonly #session: LockedSession;
  readonly #id: string;
  readonly #manifest: Manifest;
  readonly #vouching: Vouching;
  readonly #targets: ReadonlyMap<string, string>;
  readonly #timeoutMs: number;
  readonly #snapshotKey: Buffer | undefined;

  constructor(
    ctx: CoordinatorContext,
    session: LockedSession,
    id: string,
    { manifest, vouching, snapshotKey }: StoredSnapshot & { readonly snapshotKey: Buffer | undefined },
    targets: ReadonlyMap<string, string>,
    timeoutMs: number,
  ) {
    this.#ctx = ctx;
    this.#session = session;
    this.#id = id;
    this.#manifest = manifest;
    this.#vouching = vouching;
    this.#targets = targets;
    this.#timeoutMs = timeoutMs;
    this.#snapshotKey = snapshotKey;
  }

  async run(): Promise<RestoreReport> {
    const { cluster, nodes } = this.#session;
    const manifest = this.#manifest;
    const begun = performance.now();
    await putServicesBack(this.#ctx, this.#session, manifest.stack);
    // A round that was cut short would keep the running tasks from being suspended.
    await reconcile(this.#ctx, this.#session, manifest.stack);
    const before = await cluster.stack(manifest.stack, nodes);
    const old = this.#oldTasks(before);
    this.#refuseHostPorts(before);
    const reachable = await reachableAgents(this.#ctx, this.#session);
    const { agents, leftOut } = reachable;
    refuseLeftOut(this.#fixedTargets(leftOut), reachable);
    await failPoint('coordinator.check-parts');
    await this.#partsAreThere(reachable);
    await this.#remnantsAreGone(before);
    const resources = await cluster.ensureResources(manifest, (message) =>
      this.#ctx.emit({ kind: 'warning', message }),
    );
    const idle = await this.#makeIdle(before, resources);
    const replacement = this.#replacement(before, resources, [...leftOut.keys()], old);
    const relocation = new Relocation(this.#ctx, this.#session, this.#id, { agents, old });
    const saved = manifest.tasks.map((task) => ({ ...task, key: taskKey(task.task), ref: task.task }));
    let suspendedAtMs = 0;
    const steps: RelocationSteps<RestorePlans> = {
      stack: manifest.stack,
      services: this.#restored.map(({ name }) => name),
      keys: saved.map(({ key }) => key),
      timeoutMs: this.#timeoutMs,
      inMemory: false,
      snapshotKey: this.#snapshotKey,
      stopOld: async () => {
        suspendedAtMs = Date.now();
        await old.suspend(this.#timeoutMs);
        return saved;
      },
      plan: async (arrivals) => {
        const stack = await cluster.stack(manifest.stack, nodes);
        const own = stack.services.flatMap(({ virtualAddresses = [] }) =>
          virtualAddresses.map(({ address }) => address),
        );
        return restorePlans(manifest, arrivals, [...own, ...(await foreignAddresses(cluster, nodes, stack))]);
      },
      rescue: () => this.#endedOld(old),
      undo: async () => {
        await idle.undo();
        await resources.undo();
      },
    };
    const done = await guarded(this.#ctx, this.#session, manifest.stack, () =>
      relocate(this.#ctx, relocation, replacement, steps),
    );
    const wallMs = Math.round(performance.now() - begun);
    this.#ctx.log.info({ restore: this.#id, snapshot: manifest.id, wallMs }, 'restore is complete');
    return this.#report(done, wallMs, old.tasks.length === 0 ? 0 : done.releasedAtMs - suspendedAtMs);
  }

  #replacement(before: Stack, resources: Resources, excluded: readonly string[], old: OldTasks): ServiceReplacement {
    return new ServiceReplacement(
      this.#ctx,
      this.#session,
      { id: this.#id, stack: this.#manifest.stack, old: old.members },
      this.#restored.map(({ name, mode, spec }) => {
        const target = this.#targets.get(name);
        const present = before.services.find((service) => service.name === name);
        const tasks = this.#tasksOf(name);
        // Those that had ended at the snapshot are not run again.
        const counted = mode === 'global' ? undefined : this.#session.cluster.withTasks(spec, tasks);
        return {
          name,
          present,
          spec: resources.translate(counted ?? spec),
          placement: mode === 'global' ? {} : target === undefined ? { except: excluded } : { only: target },
          tasks,
        };
      }),
    );
  }

  /** Services of which the snapshot has tasks. The others had done their work, or were scaled to 0. */
  get #restored(): Manifest['services'] {
    return this.#manifest.services.filter(({ name }) => this.#tasksOf(name) > 0);
  }

  /** Services that cannot be kept off a node: those of `--to`, and global ones that have a saved task of one that is left out. */
  #fixedTargets(leftOut: ReadonlyMap<string, string>): (readonly [service: string, node: string])[] {
    return this.#restored.flatMap(({ name, mode }) => {
      const target = this.#targets.get(name);
      if (mode !== 'global') return target === undefined ? [] : [[name, target] as const];
      const saved = this.#manifest.tasks.filter(({ task }) => task.service === name && leftOut.has(task.slot));
      return saved.map(({ task }) => [name, task.slot] as const);
    });
  }

  #tasksOf(service: string): number {
    return this.#manifest.tasks.filter(({ task }) => task.service === service).length;
  }

  /** Services that had no task at the snapshot: one that is gone is made again, so that nothing of it runs; one that is there is left alone. */
  async #makeIdle(before: Stack, resources: Resources): Promise<{ undo(): Promise<void> }> {
    const { cluster } = this.#session;
    const { stack } = this.#manifest;
    const made: string[] = [];
    const undo = async (): Promise<void> => {
      for (const id of made.splice(0)) await cluster.remove(id).catch(() => undefined);
    };
    const warn = (message: string): void => this.#ctx.emit({ kind: 'warning', message });
    try {
      for (const { name, spec } of this.#manifest.services) {
        if (this.#tasksOf(name) > 0) continue;
        const present = before.services.find((service) => service.name === name);
        if (present === undefined) {
          const id = await cluster.createIdle(resources.translate(spec));
          if (id === undefined) warn(`service ${name} had ended, and is not made again: it would run on every node`);
          else made.push(id);
        } else if (before.tasks.some(({ serviceId }) => serviceId === present.id)) {
          warn(`service ${name} had no task at the snapshot and has some now: it is left as it is`);
        }
      }
    } catch (error) {
      await undo();
      await resources.undo();
      throw error;
    }
    if (made.length > 0) {
      this.#ctx.emit({
        kind: 'information',
        message: `${made.length} services of ${stack} had done their work: made again with no task`,
      });
    }
    return { undo };
  }

  /** Two tasks cannot have one port of a node: Swarm would have to end the old one before it is known whether the restore succeeds. */
  #refuseHostPorts({ services, tasks }: Stack): void {
    const found = services.find(
      ({ id, name, publishesHostPorts }) =>
        publishesHostPorts &&
        this.#restored.some((saved) => saved.name === name) &&
        tasks.some(({ serviceId }) => serviceId === id),
    );
    if (found === undefined) return;
    const { stack } = this.#manifest;
    throw new SwarmcutError(
      'precondition',
      `service ${found.name} publishes a port of its nodes (mode: host) and is running: the restored task cannot wait beside it`,
      {
        where: { stack, service: found.name },
        advice: `nothing was done; remove the stack (\`docker stack rm ${stack}\`) and restore it then: the snapshot has all that is needed`,
      },
    );
  }

  #oldTasks(before: Stack): OldTasks {
    const running = before.tasks.filter(
      ({ state, service }) => state === 'running' && this.#restored.some(({ name }) => name === service),
    );
    const old = running.map((task) => ({
      key: taskKey(task),
      containerId: task.containerId,
      agent: this.#session.agents.of(task.node),
    }));
    return new OldTasks(this.#ctx, this.#id, old);
  }

  /** Old tasks that the cluster ends although the restore has failed: what they were is lost, and people are told. */
  async #endedOld(old: OldTasks): Promise<string | undefined> {
    const { cluster, nodes } = this.#session;
    const { services } = await cluster.stack(this.#manifest.stack, nodes).catch(() => ({ services: [] }));
    const tasks = await cluster.tasks(services, nodes, 'all').catch(() => []);
    const ended = old.tasks.filter(({ containerId }) =>
      tasks.some((task) => task.containerId === containerId && !task.wanted),
    );
    if (ended.length === 0) return undefined;
    const keys = ended.map(({ key }) => key).join(', ');
    return `Swarm ends ${keys} for it: run \`coordinator restore ${this.#manifest.id}\` again`;
  }

  #report(done: Relocated<RestorePlans>, wallMs: number, downtimeMs: number): RestoreReport {
    const { arrivals, plans, fetched, restored } = done;
    return {
      id: this.#id,
      snapshot: this.#manifest.id,
      stack: this.#manifest.stack,
      manifest: this.#vouching.state,
      wallMs,
      downtimeMs,
      tasks: [...arrivals.values()].map(({ key, task, agent, containerId }) => ({
        service: task.service,
        slot: task.slot,
        node: agent.node,
        containerId,
        restoreMs: restored.get(key) ?? 0,
        fetchedBytes: fetched.get(key) ?? 0,
      })),
      closedConnections: plans.closed,
    };
  }

  /** Better to find out before the running stack is touched. */
  async #partsAreThere({ agents, leftOut }: Reachable): Promise<void> {
    const reachable = agents.map(({ node }) => node);
    const holders = [...new Set(this.#manifest.tasks.map((task) => task.node))];
    const away = holders.filter((node) => !reachable.includes(node));
    if (away.length > 0) {
      const why = (node: string): string => `${node} (${leftOut.get(node) ?? 'Swarm does not call it ready'})`;
      throw new SwarmcutError(
        'unreachable',
        `parts of snapshot ${this.#manifest.id} lie where they cannot be had now: on ${away.map(why).join(', ')}`,
        {
          where: { stack: this.#manifest.stack, node: away[0] ?? '' },
          advice: 'bring the node, its engine and its agent back, or restore another snapshot',
        },
      );
    }
    await this.#ledgersAgree(agents);
    await Promise.all(holders.map((node) => this.#partsAreSound(node)));
  }

  /** What the manifest says must be what the nodes recorded, all of it and no less. */
  async #ledgersAgree(agents: readonly AgentClient[]): Promise<void> {
    const { differences, unasked } = await compareLedgers(this.#ctx, agents, this.#manifest);
    refuseDifferences(this.#manifest, differences);
    for (const [node, reason] of unasked) {
      throw new SwarmcutError('unreachable', `node ${node} does not say what it has recorded: ${reason}`, {
        where: { stack: this.#manifest.stack, node },
        advice: 'nothing was done and the stack runs on; see that its agent runs, and is of this version',
      });
    }
  }

  /** Reads every part again where it lies: agents check hashes when a part is taken in, and what rots later would be restored. */
  async #partsAreSound(node: string): Promise<void> {
    const { id, stack } = this.#manifest;
    const agent = this.#session.agents.of(node);
    this.#ctx.emit({ kind: 'step-begun', node, step: 'check parts' });
    const { problems, verifiedBytes } = await agent.verify(
      { snapshotId: id, ...(this.#snapshotKey === undefined ? {} : { snapshotKey: this.#snapshotKey }) },
      { signal: this.#ctx.signal },
    );
    const [first] = problems;
    if (first !== undefined) {
      const { task, part, problem } = first;
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
      this.#ctx.emit({ kind: 'step-failed', node, step: 'check parts', reason: problem });
      throw new SwarmcutError('damaged', `snapshot ${id}: ${part?.path ?? 'a part'} ${problem}${more}`, {
        where: { stack, node, ...(task === null ? {} : { service: task.service, slot: task.slot }) },
        advice: `nothing was done and the stack runs on; \`coordinator verify ${id}\` shows all that is damaged`,
      });
    }
    this.#ctx.emit({ kind: 'step-done', node, step: 'check parts', detail: megabytes(verifiedBytes) });
  }

  /**
   * Swarm answers DNS queries with the addresses of a removed service's tasks until they have stopped: new connections of a restored task
   * must not reach its predecessor.
   */
  async #remnantsAreGone(before: Stack): Promise<void> {
    using deadline = new ProgressDeadline({
      limitMs: this.#timeoutMs,
      late: (passed) =>
        new SwarmcutError(
          'failed',
          `tasks of the removed stack ${this.#manifest.stack} do not end: ${passedText(passed)}`,
          { where: { stack: this.#manifest.stack }, advice: '`docker ps` on the nodes shows them; is a node down?' },
        ),
    });
    const present = new Set(before.services.map(({ id }) => id));
    for (let told = false; ; told = true) {
      const remnants = await this.#session.cluster.remnants(this.#manifest.stack, present);
      if (remnants === 0) return;
      if (this.#ctx.signal.aborted) throw new SwarmcutError('interrupted', 'interrupted: nothing has been done');
      deadline.note({ doing: `${remnants} tasks are left`, mark: String(remnants) });
      deadline.check();
      if (!told)
        this.#ctx.emit({ kind: 'information', message: `waiting for ${remnants} tasks of the removed stack to end` });
      await pause(REMNANTS_LOOK_MS);
    }
  }
}
