import type { Containers } from '../runtime/docker/containers.ts';
import type { Standstills } from '../runtime/shim/standstills.ts';

export interface KeptTasksOptions {
  readonly containers: Pick<Containers, 'facts' | 'keepFacts' | 'forgetFacts'>;
  readonly standstills: Pick<Standstills, 'mark' | 'unmarkRunning'>;
}

/**
 * Running tasks that a relocation is about to replace. Nothing is done to them yet, but somebody may update their service meanwhile, or drain their
 * node, and then the engine is to end them: it waits until it is known whether their state goes on elsewhere. Not recorded: an agent that
 * starts again lets the engine go on, and every mark ends by itself.
 */
export class KeptTasks {
  readonly #options: KeptTasksOptions;
  /** Containers, by restore. */
  readonly #kept = new Map<string, Set<string>>();

  constructor(options: KeptTasksOptions) {
    this.#options = options;
  }

  /** @throws SwarmcutError as `Containers.facts` does */
  async keep(restoreId: string, containerId: string, deadlineMs: number): Promise<void> {
    const { containers, standstills } = this.#options;
    // Asked now: while it stops a container, the engine does not answer for it.
    await containers.keepFacts(containerId);
    const { health } = await containers.facts(containerId);
    const kept = this.#kept.get(restoreId) ?? new Set();
    this.#kept.set(restoreId, kept.add(containerId));
    standstills.mark({ containerId, endsInMs: deadlineMs, decided: false, runs: true, health });
  }

  /** The engine may stop them, but for those that stand still for the relocation. Unknown ids are no error. */
  release(restoreId: string): void {
    const { containers, standstills } = this.#options;
    for (const containerId of this.#kept.get(restoreId) ?? []) {
      standstills.unmarkRunning(containerId);
      containers.forgetFacts(containerId);
    }
    this.#kept.delete(restoreId);
  }
}
