import { isDeepStrictEqual } from 'node:util';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { ProgressDeadline, passedText, pause, poll, type Passed } from '../../../src/platform/deadlines.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { ClusterService, ClusterTask, Placement, ServiceSpec } from '../../orchestrator/index.ts';
import type { Arrival } from './arrivals/arrivals.ts';
import { servicesWithSpares } from '../transaction/kept-tasks.ts';
import { Furthest, statesOf } from '../transaction/furthest.ts';
import {
  PLACE_TIMEOUT_MS,
  giveBack,
  unwanted,
  withReserved,
  type ReservedNode,
} from '../transaction/placement-window.ts';
import { confirmRunning, confirmation, type Confirmation } from '../transaction/confirmation.ts';
import type { Generations } from '../transaction/starting.ts';
import {
  ReplacementJournal,
  type CommitRecord,
  type Member,
  type ReplacementEntry,
  type ReplacementRecord,
} from '../transaction/replacement-journal.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** One service whose tasks are to be replaced by restored ones. */
export interface ServiceChange {
  readonly name: string;
  /** As it is now; undefined if it is gone and has to be made again. */
  readonly present: ClusterService | undefined;
  /** The spec that it is to have in the end. */
  readonly spec: ServiceSpec;
  /** Where the new tasks may go. */
  readonly placement: Placement;
  /** How many new tasks there will be. */
  readonly tasks: number;
}

/** Between two looks at what the cluster does with new tasks, until they are placed. Milliseconds. */
const PLACE_LOOK_MS = 20;

/** The cluster gives up spare tasks within this time. Milliseconds. */
const SPARES_TIMEOUT_MS = 10_000;
const SPARES_LOOK_MS = 50;

/** What whoever finds the journal must know besides. */
export interface ReplacementPlace {
  /** Of the restore or migration. */
  readonly id: string;
  readonly stack: string;
  /** A migration, which has a final cut of them. */
  readonly cut?: true;
  /** The running tasks that are replaced. */
  readonly old: readonly Member[];
}

/** Beyond the time that a health check takes, the cluster sees a task running within this long, or something of it changes. Milliseconds. */
const SETTLE_TIMEOUT_MS = 60_000;

/**
 * Lets the cluster make new tasks for services, and afterwards gives the services the spec that they shall have, or the one that they had.
 */
export class ServiceReplacement {
  readonly #ctx: CoordinatorContext;
  readonly #session: LockedSession;
  readonly #changes: readonly ServiceChange[];
  readonly #generations = new Map<string, number>();
  /** By name: the generations with which it begins. */
  readonly #first = new Map<string, number>();
  readonly #services = new Map<string, ClusterService>();
  /** All generations that new tasks may have, by service id. */
  readonly #made = new Map<string, Set<number>>();
  readonly #taken = new Set<string>();
  /** What we have made of services, by name: whatever differs from it is somebody else's. */
  readonly #ours = new Map<string, { readonly spec: ServiceSpec; readonly generation: number }>();
  /** Generations that services may have before the journal is written again, by name. */
  readonly #next = new Map<string, number>();
  /** Update settings that others have given to services meanwhile, by name. */
  readonly #updateConfigs = new Map<string, unknown>();
  #reserved: readonly ReservedNode[] = [];
  #commit: CommitRecord | undefined;
  /** What to do, in reverse order, to have everything as before. */
  readonly #undos: (() => Promise<void>)[] = [];
  readonly #journal: ReplacementJournal;
  readonly #place: ReplacementPlace;

  /** @param place for whoever finds the journal */
  constructor(
    ctx: CoordinatorContext,
    session: LockedSession,
    place: ReplacementPlace,
    changes: readonly ServiceChange[],
  ) {
    this.#ctx = ctx;
    this.#session = session;
    this.#place = place;
    this.#changes = changes;
    this.#journal = new ReplacementJournal(session.lock);
  }

  /** Of the new tasks, by service id. Known after {@link begin}. */
  get generations(): ReadonlyMap<string, number> {
    return this.#generations;
  }

  get services(): readonly ClusterService[] {
    return [...this.#services.values()];
  }

  /** All that was made. */
  get made(): Generations {
    return this.#made;
  }

  /** Ids of services whose old tasks end although the operation has failed: somebody else has had them replaced. */
  get taken(): ReadonlySet<string> {
    return this.#taken;
  }

  /** Asks for the new tasks. They wait in the shims. Where it matters where they go, ends when they have been placed. */
  async begin(): Promise<void> {
    const { cluster } = this.#session;
    const nodes = await cluster.nodes();
    // Services that are to go to the same nodes are placed together.
    const windows = new Map<string, { reserved: readonly ReservedNode[]; changes: ServiceChange[] }>();
    for (const change of this.#changes) {
      const reserved = unwanted(change.placement, nodes);
      const key = JSON.stringify(reserved);
      const window = windows.get(key) ?? { reserved, changes: [] };
      windows.set(key, window);
      window.changes.push(change);
    }
    const all = [...windows.values()].flatMap(({ reserved }) => reserved);
    this.#reserved = [...new Map(all.map((node) => [node.id, node])).values()];
    for (const { name, present, spec } of this.#changes)
      this.#first.set(name, await cluster.nextGeneration(present, spec));
    await failPoint('coordinator.journal');
    await this.#journal.write(this.#record('replacing'));
    if (all.length > 0) this.#undos.push(() => giveBack(cluster, this.#reserved));
    for (const { reserved, changes } of windows.values()) {
      await withReserved(this.#ctx, cluster, reserved, async () => {
        for (const change of changes) await this.#begin(change);
        if (reserved.length > 0) await this.#placed(changes);
      });
    }
    // They are given back. From now on it may be another operation that keeps them free.
    this.#reserved = [];
  }

  /**
   * Looks whether somebody else has changed the services since {@link begin}. Where their tasks can still take the state, the operation goes on with
   * them as they are now: the new tasks may be of another generation then.
   * @throws SwarmcutError `failed`, saying what was changed, where they cannot
   */
  async adapt(): Promise<void> {
    for (const change of this.#changes) {
      const made = this.#services.get(change.name);
      if (made === undefined) continue;
      const now = await this.#session.cluster.service(made.id);
      if (now === undefined) throw removed(change.name);
      const { fields, keepsState, renews } = this.#session.cluster.changes(made, now);
      if (fields.length === 0) continue;
      const what = `service ${change.name} was updated by somebody meanwhile (${fields.join(', ')})`;
      const tooFew = now.mode === 'replicated' && now.replicas < change.tasks;
      if (tooFew || !keepsState || now.generation < this.#generationOf(change)) {
        if (now.generation >= this.#generationOf(change)) this.#taken.add(now.id);
        throw new SwarmcutError('failed', tooFew ? `${what}: it wants ${now.replicas} tasks only` : what, {
          where: { service: change.name },
          advice: 'run the command again when nobody else works on the service',
        });
      }
      this.#ctx.log.warn({ service: change.name, fields }, 'somebody else has updated a service: going on with it');
      this.#ctx.emit({ kind: 'information', message: `${what}: going on with it` });
      await this.#adopt(change, now, fields, renews);
    }
  }

  /**
   * Just before the commit: where the cluster wants several new tasks for a slot, it gives up all but one, and has done so when this ends. It would
   * otherwise do so after the commit, and perhaps keep another one by then.
   * @param tasks of the services, as the cluster has them now
   * @returns whether there were any
   */
  async dropSpares(tasks: readonly ClusterTask[]): Promise<boolean> {
    const { cluster, nodes } = this.#session;
    const spares = servicesWithSpares(tasks, this.#generations);
    for (const { name, spec } of this.#changes) {
      const id = this.#services.get(name)?.id ?? '';
      if (!spares.has(id)) continue;
      this.#ctx.log.warn({ service: name }, 'Swarm wants several new tasks for a slot');
      await cluster.settle(id, this.#withTheirs(name, spec));
    }
    if (spares.size === 0) return false;
    const gone = async (): Promise<true | undefined> => {
      const now = await cluster.tasks(this.services, nodes, 'all');
      return servicesWithSpares(now, this.#generations).size === 0 ? true : undefined;
    };
    await poll(gone, { timeoutMs: SPARES_TIMEOUT_MS, intervalMs: SPARES_LOOK_MS, signal: this.#ctx.signal });
    return true;
  }

  /**
   * The commit record: from now on the new tasks count, whoever finds the journal. To be called when all of them are restored, and all old ones
   * stand still until told.
   */
  async commit(commit: CommitRecord): Promise<void> {
    await failPoint('coordinator.commit-record');
    this.#commit = commit;
    await this.#journal.write(this.#record('released'));
  }

  /** False when nothing may be undone here: somebody else has the lock, or it is not known whether the commit is written. */
  isOurs(): Promise<boolean> {
    return this.#session.lock.isOurs();
  }

  /** All is done. @param told every agent knows: whoever comes next has nothing to do */
  async done(told: boolean): Promise<void> {
    if (told) await this.#journal.remove();
    else await this.#journal.write(this.#record('over'));
  }

  /** The new tasks are released, and run: services keep their generation and get back everything else. */
  async settle(): Promise<void> {
    await failPoint('coordinator.settle');
    await confirmRunning(this.#session, this.services, this.#commit?.released ?? [], {
      limitMs: SETTLE_TIMEOUT_MS,
      patient: true,
    });
    for (const change of this.#changes) {
      const service = this.#services.get(change.name);
      if (service !== undefined)
        await this.#session.cluster.settle(service.id, this.#withTheirs(change.name, change.spec));
    }
  }

  /** What the cluster says of the new tasks now. */
  async confirmed(): Promise<Confirmation> {
    const { cluster, nodes } = this.#session;
    return confirmation(this.#commit?.released ?? [], await cluster.tasks(this.services, nodes, 'all'));
  }

  /**
   * Gives every service the spec that it had, and removes those that were made. Never throws.
   * @returns whether all are back; what is left is for the next command
   */
  async undo(): Promise<boolean> {
    const failures: string[] = [];
    // A commit record of which it is not known whether it is on disk must not be found there.
    if (this.#commit !== undefined) this.#undos.push(() => this.#journal.write(this.#record('replacing')));
    this.#commit = undefined;
    for (const undo of this.#undos.splice(0).reverse()) {
      await undo().catch((error: unknown) => {
        failures.push(messageOf(error));
        this.#ctx.emit({
          kind: 'warning',
          message: `could not put a service back: ${messageOf(error)}; the next command on the stack tries again`,
        });
        this.#ctx.log.error({ reason: messageOf(error) }, 'undo of a service failed');
      });
    }
    return failures.length === 0;
  }

  #record(phase: ReplacementRecord['phase']): ReplacementRecord {
    const services = this.#changes.map((change): ReplacementEntry => {
      const { name, present, spec } = change;
      const before = present === undefined ? {} : { present: { id: present.id, spec: present.spec } };
      const next = this.#next.get(name);
      return {
        name,
        ...before,
        spec: this.#withTheirs(name, spec),
        generation: this.#generationOf(change),
        ...(next === undefined ? {} : { next }),
      };
    });
    const commit = this.#commit === undefined ? {} : { commit: this.#commit };
    const { old, ...place } = this.#place;
    return { version: 1, ...place, phase, services, reserved: [...this.#reserved], old: [...old], ...commit };
  }

  /** Goes on with a service as somebody else has left it. */
  async #adopt(change: ServiceChange, now: ClusterService, fields: readonly string[], renews: boolean): Promise<void> {
    const { cluster } = this.#session;
    // Update settings of their own are what it is to have in the end.
    if (fields.includes('UpdateConfig')) this.#updateConfigs.set(change.name, now.spec.UpdateConfig);
    const before = this.#services.get(change.name)?.spec.TaskTemplate;
    const theirs = !isDeepStrictEqual(now.spec.TaskTemplate, before);
    // They have had tasks made anew: so it stays, even if the operation fails, and the old ones end by it.
    if (theirs) this.#taken.add(now.id);
    if (renews) {
      const generation = await cluster.nextGeneration(now, now.spec);
      this.#next.set(change.name, generation);
      await this.#journal.write(this.#record('replacing'));
      this.#noteMade(now.id, generation);
      await cluster.replace(now, now.spec, generation);
      const again = await cluster.service(now.id);
      if (again === undefined) throw removed(change.name);
      this.#note(change.name, again, generation);
      this.#next.delete(change.name);
      const ours = this.#ours.get(change.name);
      if (!theirs && ours !== undefined && !this.#taken.has(now.id))
        this.#ours.set(change.name, { spec: { ...ours.spec, TaskTemplate: again.spec.TaskTemplate }, generation });
    } else this.#note(change.name, now, now.generation);
    await this.#journal.write(this.#record('replacing'));
  }

  async #begin(change: ServiceChange): Promise<void> {
    const { cluster } = this.#session;
    await failPoint('coordinator.replace');
    const { present, spec } = change;
    const generation = this.#generationOf(change);
    if (present !== undefined) {
      const { id } = present;
      this.#ours.set(change.name, { spec, generation });
      this.#undos.push(() => {
        const ours = this.#ours.get(change.name) ?? { spec, generation };
        return cluster.putBack(id, this.#withTheirs(change.name, present.spec), ours.spec, ours.generation);
      });
      this.#noteMade(id, generation);
      await cluster.replace(present, spec, generation);
      const made = await cluster.service(id);
      if (made === undefined) throw removed(change.name);
      this.#ours.set(change.name, { spec: made.spec, generation });
      this.#note(change.name, made, generation);
      return;
    }
    const id = await cluster.create(spec, generation);
    this.#noteMade(id, generation);
    this.#undos.push(() => cluster.remove(id));
    const made = await cluster.service(id);
    if (made === undefined) throw removed(change.name);
    this.#note(change.name, made, generation);
  }

  /**
   * Warns of new tasks that are not where they were to go: the cluster has given one up, and made another one, when other nodes took tasks again.
   * @param arrivals what waits for its state
   */
  tellElsewhere(arrivals: readonly Pick<Arrival, 'key' | 'task' | 'agent'>[]): void {
    for (const { name, placement } of this.#changes)
      for (const { key, task, agent } of arrivals)
        if (task.service === name && placement.only !== undefined && agent.node !== placement.only)
          this.#ctx.emit({
            kind: 'warning',
            message: `${key} comes to ${agent.node}, not to ${placement.only}: Swarm has placed it anew (\`docker service ps --no-trunc ${name}\` says why)`,
          });
  }

  #noteMade(serviceId: string, generation: number): void {
    const all = this.#made.get(serviceId) ?? new Set();
    this.#made.set(serviceId, all.add(generation));
  }

  #note(name: string, service: ClusterService, generation: number): void {
    this.#services.set(name, service);
    this.#generations.set(service.id, generation);
  }

  /** Waits until it is decided where the new tasks of these services go. @throws SwarmcutError `failed` when that takes too long */
  async #placed(changes: readonly ServiceChange[]): Promise<void> {
    let tasks: readonly ClusterTask[] = [];
    const late = (passed: Passed): SwarmcutError => {
      const names = changes.map(({ name }) => name).join(', ');
      const why = tasks.find((task) => this.#isNew(task) && task.node === '')?.error ?? '';
      // Without a reason the cluster has not even tried.
      const message =
        why === ''
          ? `Swarm does not place the new tasks of ${names}: ${passedText(passed)}`
          : `new tasks of ${names} do not fit where they are to go: ${why}`;
      return new SwarmcutError('failed', message, {
        advice: '`docker service ps --no-trunc SERVICE` says what keeps them; the stack runs on',
      });
    };
    using deadline = new ProgressDeadline({ limitMs: PLACE_TIMEOUT_MS, late });
    const furthest = new Furthest();
    const services = changes.flatMap(({ name }) => this.#services.get(name) ?? []);
    for (;;) {
      tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
      const placed = (name: string): ClusterTask[] =>
        tasks.filter((task) => task.service === name && this.#isNew(task) && task.node !== '');
      if (changes.every(({ name, tasks: wanted }) => placed(name).length >= wanted)) return;
      const made = tasks.filter((task) => this.#isNew(task));
      deadline.note({ doing: statesOf(made), mark: furthest.note(made) });
      deadline.check();
      if (this.#ctx.signal.aborted) throw new SwarmcutError('interrupted', 'interrupted: everything is put back');
      await pause(PLACE_LOOK_MS);
    }
  }

  /** A spec for the end, with the update settings that somebody else has given to the service meanwhile. */
  #withTheirs(name: string, spec: ServiceSpec): ServiceSpec {
    return this.#updateConfigs.has(name) ? { ...spec, UpdateConfig: this.#updateConfigs.get(name) } : spec;
  }

  /** That of a service's new tasks, as it is now. Known from the beginning of {@link begin}. */
  #generationOf({ name }: ServiceChange): number {
    const made = this.#services.get(name);
    const generation = (made === undefined ? undefined : this.#generations.get(made.id)) ?? this.#first.get(name);
    if (generation === undefined) throw new Error(`the replacement of ${name} has not begun`);
    return generation;
  }

  #isNew(task: ClusterTask): boolean {
    return task.generation === this.#generations.get(task.serviceId);
  }
}

function removed(service: string): SwarmcutError {
  return new SwarmcutError('failed', `service ${service} was removed by somebody meanwhile`, { where: { service } });
}
