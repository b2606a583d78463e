import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { ClusterService, ClusterTask, Placement, ServiceSpec } from '../../orchestrator/index.ts';
import {
  PLACE_TIMEOUT_MS,
  giveBack,
  unwanted,
  withReserved,
  type ReservedNode,
} from '../transaction/placement-window.ts';
import {
  ReplacementJournal,
  type CommitRecord,
  type ReplacementEntry,
  type ReplacementRecord,
} from '../transaction/replacement-journal.ts';

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

const SETTLE_TIMEOUT_MS = 60_000;

/**
 * Lets the cluster make new tasks for services, and afterwards gives the services the spec that they shall have, or the one that they had.
 */
export class ServiceReplacement {
  readonly #ctx: CoordinatorContext;
  readonly #session: LockedSession;
  readonly #changes: readonly ServiceChange[];
  readonly #generations = new Map<string, number>();
  readonly #services = new Map<string, ClusterService>();
  #reserved: readonly ReservedNode[] = [];
  #commit: CommitRecord | undefined;
  /** What to do, in reverse order, to have everything as before. */
  readonly #undos: (() => Promise<void>)[] = [];
  readonly #journal: ReplacementJournal;
  readonly #place: { readonly id: string; readonly stack: string };

  /** @param place id of the restore or migration, and the stack; for whoever finds the journal */
  constructor(
    ctx: CoordinatorContext,
    session: LockedSession,
    place: { readonly id: string; readonly stack: string },
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
    await this.#journal.write(this.#record('replacing'));
    if (all.length > 0) this.#undos.push(() => giveBack(cluster, this.#reserved));
    for (const { reserved, changes } of windows.values()) {
      await withReserved(this.#ctx, cluster, reserved, async () => {
        for (const change of changes) await this.#begin(change);
        if (reserved.length > 0) await this.#placed(changes);
      });
    }
  }

  /**
   * The commit record: from now on the new tasks count, whoever finds the journal. To be called when all of them are restored, and all old ones
   * stand still until told.
   */
  async commit(commit: CommitRecord): Promise<void> {
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

  /** The new tasks run: services keep their generation and get back everything else. */
  async settle(): Promise<void> {
    await this.#running();
    for (const change of this.#changes) {
      const service = this.#services.get(change.name);
      const generation = service === undefined ? undefined : this.#generations.get(service.id);
      if (service === undefined || generation === undefined) continue;
      await this.#session.cluster.settle(service.id, change.spec, generation);
    }
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
      return { name, ...before, spec, generation: this.#generationOf(change) };
    });
    const commit = this.#commit === undefined ? {} : { commit: this.#commit };
    return { version: 1, ...this.#place, phase, services, reserved: [...this.#reserved], ...commit };
  }

  async #begin(change: ServiceChange): Promise<void> {
    const { cluster } = this.#session;
    const { present, spec } = change;
    const generation = this.#generationOf(change);
    if (present !== undefined) {
      this.#undos.push(() => cluster.putBack(present.id, present.spec));
      await cluster.replace(present, spec, generation);
      this.#note(change.name, present, generation);
      return;
    }
    const id = await cluster.create(spec, generation);
    this.#undos.push(() => cluster.remove(id));
    const made = await cluster.service(id);
    if (made === undefined) throw new SwarmcutError('failed', `service ${change.name} was made and is gone again`);
    this.#note(change.name, made, generation);
  }

  #note(name: string, service: ClusterService, generation: number): void {
    this.#services.set(name, service);
    this.#generations.set(service.id, generation);
  }

  /** Waits until it is decided where the new tasks of these services go. @throws SwarmcutError `failed` when that takes too long */
  async #placed(changes: readonly ServiceChange[]): Promise<void> {
    const deadline = performance.now() + PLACE_TIMEOUT_MS;
    const services = changes.flatMap(({ name }) => this.#services.get(name) ?? []);
    for (;;) {
      const tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
      const placed = (name: string): ClusterTask[] =>
        tasks.filter((task) => task.service === name && this.#isNew(task) && task.node !== '');
      const late = changes.filter(({ name, tasks: wanted }) => placed(name).length < wanted);
      if (late.length === 0) return;
      if (performance.now() > deadline) {
        const why = tasks.find((task) => this.#isNew(task) && task.node === '')?.error ?? '';
        const message = `new tasks of ${late.map(({ name }) => name).join(', ')} do not fit where they are to go`;
        throw new SwarmcutError('failed', why === '' ? message : `${message}: ${why}`, {
          advice: '`docker service ps --no-trunc SERVICE` says what keeps them; the stack runs on',
        });
      }
      if (this.#ctx.signal.aborted) throw new SwarmcutError('interrupted', 'interrupted: everything is put back');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until Swarm, too, sees every new task running. */
  async #running(): Promise<void> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS;
    for (;;) {
      const tasks = await this.#session.cluster.tasks(this.services, this.#session.nodes, 'wanted');
      const late = tasks.filter((task) => this.#isNew(task) && task.state !== 'running');
      if (late.length === 0 && tasks.some((task) => this.#isNew(task))) return;
      if (performance.now() > deadline) {
        this.#ctx.emit({
          kind: 'warning',
          message: `Swarm does not yet see these tasks running: ${late.map((task) => `${task.service}.${task.slot} ${task.state}`).join(', ')}`,
        });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #generationOf({ present, spec }: ServiceChange): number {
    return this.#session.cluster.nextGeneration(present, spec);
  }

  #isNew(task: ClusterTask): boolean {
    return task.generation === this.#generations.get(task.serviceId);
  }
}
