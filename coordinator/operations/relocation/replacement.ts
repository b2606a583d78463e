import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { CoordinatorContext } from '../../api.ts';
import type { Session } from '../../orchestrator/swarm/session.ts';
import type { RawSpec, SwarmService, SwarmTask } from '../../orchestrator/swarm/types.ts';
import { ReplacementJournal, type ReplacementEntry, type ReplacementRecord } from './replacement-journal.ts';
import { replacementSpec, settledSpec, type Replacement } from './specs.ts';

/** One service whose tasks are to be replaced by restored ones. */
export interface ServiceChange {
  readonly name: string;
  /** As it is now; undefined if it is gone and has to be made again. */
  readonly present: SwarmService | undefined;
  /** The spec that it is to have in the end. */
  readonly spec: RawSpec;
  readonly constraints: readonly string[];
  readonly publishesHostPorts: boolean;
}

const SETTLE_TIMEOUT_MS = 60_000;

/**
 * Lets Swarm make new tasks for services, and afterwards gives the services the spec that they shall have, or the one that they had.
 */
export class ServiceReplacement {
  readonly #ctx: CoordinatorContext;
  readonly #session: Session;
  readonly #changes: readonly ServiceChange[];
  readonly #generations = new Map<string, number>();
  readonly #services = new Map<string, SwarmService>();
  /** What to do, in reverse order, to have everything as before. */
  readonly #undos: (() => Promise<void>)[] = [];
  readonly #journal: ReplacementJournal;
  readonly #place: { readonly id: string; readonly stack: string };

  /** @param place id of the restore or migration, and the stack; for whoever finds the journal */
  constructor(
    ctx: CoordinatorContext,
    session: Session,
    place: { readonly id: string; readonly stack: string },
    changes: readonly ServiceChange[],
  ) {
    this.#ctx = ctx;
    this.#session = session;
    this.#place = place;
    this.#changes = changes;
    this.#journal = new ReplacementJournal(ctx.directories.state, place.stack);
  }

  /** `ForceUpdate` of the new tasks, by service id. Known after {@link begin}. */
  get generations(): ReadonlyMap<string, number> {
    return this.#generations;
  }

  get services(): readonly SwarmService[] {
    return [...this.#services.values()];
  }

  /** Tells Swarm to make the new tasks. They wait in the shims. */
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
      await this.#session.swarm.updateService(service.id, () => settledSpec(change.spec, generation));
    }
    await this.#journal.remove();
  }

  /** Gives every service the spec that it had, and removes those that were made. Never throws. */
  async undo(): Promise<void> {
    const failures: string[] = [];
    for (const undo of this.#undos.splice(0).reverse()) {
      await undo().catch((error: unknown) => {
        failures.push(messageOf(error));
        this.#ctx.reporter.info(
          `could not put a service back: ${messageOf(error)}; the next command on the stack tries again`,
        );
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
      return { name, ...before, spec, generation: generationOf(change) };
    });
    return { version: 1, ...this.#place, phase, services };
  }

  async #begin(change: ServiceChange): Promise<void> {
    const { swarm } = this.#session;
    const { present, spec } = change;
    const replacement: Replacement = {
      generation: generationOf(change),
      constraints: change.constraints,
      order: change.publishesHostPorts ? 'stop-first' : 'start-first',
    };
    if (present !== undefined) {
      this.#undos.push(() => swarm.updateService(present.id, () => present.spec));
      await swarm.updateService(present.id, () => replacementSpec(spec, replacement));
      this.#note(change.name, present, replacement.generation);
      return;
    }
    const id = await swarm.createService(replacementSpec(spec, replacement));
    this.#undos.push(() => swarm.removeService(id));
    const made = await swarm.service(id);
    if (made === undefined) throw new SwarmcutError('failed', `service ${change.name} was made and is gone again`);
    this.#note(change.name, made, replacement.generation);
  }

  #note(name: string, service: SwarmService, generation: number): void {
    this.#services.set(name, service);
    this.#generations.set(service.id, generation);
  }

  /** Waits until Swarm, too, sees every new task running. */
  async #running(): Promise<void> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS;
    for (;;) {
      const tasks = await this.#session.swarm.tasks(this.services, this.#session.nodes, 'running');
      const late = tasks.filter((task) => this.#isNew(task) && task.state !== 'running');
      if (late.length === 0 && tasks.some((task) => this.#isNew(task))) return;
      if (performance.now() > deadline) {
        this.#ctx.reporter.info(
          `Swarm does not yet see these tasks running: ${late.map((task) => `${task.service}.${task.slot} ${task.state}`).join(', ')}`,
        );
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #isNew(task: SwarmTask): boolean {
    return task.forceUpdate === this.#generations.get(task.serviceId);
  }
}

/** Higher than any that tasks of the service have had. */
function generationOf({ present, spec }: ServiceChange): number {
  return Math.max(present?.forceUpdate ?? 0, forceUpdateOf(spec)) + 1;
}

function forceUpdateOf(spec: RawSpec): number {
  const template = spec.TaskTemplate as { ForceUpdate?: number } | undefined;
  return template?.ForceUpdate ?? 0;
}
