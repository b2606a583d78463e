import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { ProgressDeadline, passedText, pause, seconds, type Passed } from '../../../src/platform/deadlines.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { ClusterService, ClusterTask, Placement, ServiceSpec } from '../../orchestrator/index.ts';
import { Furthest, statesOf } from './furthest.ts';
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

/** Between two looks at what the cluster does with new tasks, until they are placed and until they run. Milliseconds. */
const PLACE_LOOK_MS = 20;
const SETTLE_LOOK_MS = 100;

/** Beyond the time that a health check takes, the cluster sees a task running within this long, or something of it changes. Milliseconds. */
const SETTLE_TIMEOUT_MS = 60_000;

/** Time of a health check that only the image declares, and which is therefore not known here: that of the engine's defaults. Milliseconds. */
const UNKNOWN_VERDICT_MS = 240_000;

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
    await failPoint('coordinator.journal');
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

  /** The new tasks run: services keep their generation and get back everything else. */
  async settle(): Promise<void> {
    await failPoint('coordinator.settle');
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
    await failPoint('coordinator.replace');
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

  /** Waits until Swarm, too, sees every new task running; what has a health check, when that has called it healthy. */
  async #running(): Promise<void> {
    const { cluster, nodes } = this.#session;
    const verdictMs = Math.max(0, ...this.services.map(({ verdictMs: each }) => each));
    using deadline = new ProgressDeadline({
      limitMs: SETTLE_TIMEOUT_MS + verdictMs,
      late: (passed) => new Error(`${passed.doing} for ${seconds(passed.idleMs)}`),
    });
    const furthest = new Furthest();
    let changedAt = performance.now();
    for (;;) {
      const tasks = await cluster.tasks(this.services, nodes, 'wanted');
      const late = tasks.filter((task) => this.#isNew(task) && task.state !== 'running');
      if (late.length === 0 && tasks.some((task) => this.#isNew(task))) return;
      const mark = furthest.note(tasks.filter((task) => this.#isNew(task)));
      if (deadline.note({ doing: statesOf(late), mark })) changedAt = performance.now();
      // One whose image has a health check is not late yet.
      const checked = late.length > 0 && late.every(({ state }) => state === 'starting');
      if (checked && performance.now() - changedAt < UNKNOWN_VERDICT_MS) deadline.touch();
      if (deadline.signal.aborted) {
        const message = `Swarm does not yet see these tasks running: ${(deadline.signal.reason as Error).message}`;
        this.#ctx.emit({ kind: 'warning', message });
        return;
      }
      await pause(SETTLE_LOOK_MS);
    }
  }

  #generationOf({ present, spec }: ServiceChange): number {
    return this.#session.cluster.nextGeneration(present, spec);
  }

  #isNew(task: ClusterTask): boolean {
    return task.generation === this.#generations.get(task.serviceId);
  }
}
