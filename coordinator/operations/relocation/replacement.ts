import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';
import type { ClusterService, ClusterTask, Placement, Replacement, ServiceSpec } from '../../orchestrator/index.ts';
import { ReplacementJournal, type ReplacementEntry, type ReplacementRecord } from './replacement-journal.ts';

/** One service whose tasks are to be replaced by restored ones. */
export interface ServiceChange {
  readonly name: string;
  /** As it is now; undefined if it is gone and has to be made again. */
  readonly present: ClusterService | undefined;
  /** The spec that it is to have in the end. */
  readonly spec: ServiceSpec;
  /** Where the new tasks may go. */
  readonly placement: Placement;
  readonly publishesHostPorts: boolean;
}

const SETTLE_TIMEOUT_MS = 60_000;

/**
 * Lets the cluster make new tasks for services, and afterwards gives the services the spec that they shall have, or the one that they had.
 */
export class ServiceReplacement {
  readonly #ctx: CoordinatorContext;
  readonly #session: ClusterSession;
  readonly #changes: readonly ServiceChange[];
  readonly #generations = new Map<string, number>();
  readonly #services = new Map<string, ClusterService>();
  /** What to do, in reverse order, to have everything as before. */
  readonly #undos: (() => Promise<void>)[] = [];
  readonly #journal: ReplacementJournal;
  readonly #place: { readonly id: string; readonly stack: string };

  /** @param place id of the restore or migration, and the stack; for whoever finds the journal */
  constructor(
    ctx: CoordinatorContext,
    session: ClusterSession,
    place: { readonly id: string; readonly stack: string },
    changes: readonly ServiceChange[],
  ) {
    this.#ctx = ctx;
    this.#session = session;
    this.#place = place;
    this.#changes = changes;
    this.#journal = new ReplacementJournal(ctx.directories.state, place.stack);
  }

  /** Of the new tasks, by service id. Known after {@link begin}. */
  get generations(): ReadonlyMap<string, number> {
    return this.#generations;
  }

  get services(): readonly ClusterService[] {
    return [...this.#services.values()];
  }

  /** Asks for the new tasks. They wait in the shims. */
  async begin(): Promise<void> {
    await this.#journal.write(this.#record('replacing'));
    for (const change of this.#changes) await this.#begin(change);
  }

  /** To be called before the new tasks are released: whoever finds the journal from now on must not replace them. */
  async releasing(): Promise<void> {
    await this.#journal.write(this.#record('released'));
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
    await this.#journal.remove();
  }

  /** Gives every service the spec that it had, and removes those that were made. Never throws. */
  async undo(): Promise<void> {
    const failures: string[] = [];
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
    // What is left is for the next command.
    if (failures.length === 0) await this.#journal.remove().catch(() => undefined);
  }

  #record(phase: ReplacementRecord['phase']): ReplacementRecord {
    const services = this.#changes.map((change): ReplacementEntry => {
      const { name, present, spec } = change;
      const before = present === undefined ? {} : { present: { id: present.id, spec: present.spec } };
      return { name, ...before, spec, generation: this.#generationOf(change) };
    });
    return { version: 1, ...this.#place, phase, services };
  }

  async #begin(change: ServiceChange): Promise<void> {
    const { cluster } = this.#session;
    const { present, spec } = change;
    const replacement: Replacement = {
      generation: this.#generationOf(change),
      placement: change.placement,
      order: change.publishesHostPorts ? 'stop-first' : 'start-first',
    };
    if (present !== undefined) {
      this.#undos.push(() => cluster.putBack(present.id, present.spec));
      await cluster.replace(present, spec, replacement);
      this.#note(change.name, present, replacement.generation);
      return;
    }
    const id = await cluster.create(spec, replacement);
    this.#undos.push(() => cluster.remove(id));
    const made = await cluster.service(id);
    if (made === undefined) throw new SwarmcutError('failed', `service ${change.name} was made and is gone again`);
    this.#note(change.name, made, replacement.generation);
  }

  #note(name: string, service: ClusterService, generation: number): void {
    this.#services.set(name, service);
    this.#generations.set(service.id, generation);
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
