import { messageOf } from '../../src/model/errors.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { armDeadman, type Deadman } from '../runtime/criu/deadman.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import type { TaskInterceptor } from '../network/task-interceptor.ts';
import type { Journal } from './journal.ts';
import type { Rounds } from './rounds.ts';
import type { Expectations } from '../runtime/shim/expectations.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';

/** The block outlives the freeze by this much, so that nothing runs unfrozen behind an expired block. Milliseconds. */
const HOLD_MARGIN_MS = 5_000;

/**
 * A task that has moved away is ended when the engine says so. If the engine does not within this time, it is ended all the same: it must
 * never run beside its successor. Milliseconds.
 */
const MOVED_GRACE_MS = 60_000;

interface Suspension {
  readonly restoreId: string;
  readonly containerId: string;
  readonly interceptor: TaskInterceptor;
  readonly runc: Runc;
  deadman: Deadman;
}

export interface SuspensionsOptions {
  readonly runDir: string;
  readonly containers: Containers;
  readonly expectations: Expectations;
  readonly journal: Journal;
  readonly rounds: Rounds;
  readonly sidecars: Pick<Sidecars, 'hold' | 'release' | 'end'>;
  readonly log: Logger;
}

/** Old tasks that stand still while their successors are being restored, until it is known which of the two goes on. */
export class Suspensions {
  readonly #options: SuspensionsOptions;
  readonly #suspended = new Map<string, Suspension>();

  constructor(options: SuspensionsOptions) {
    this.#options = options;
  }

  /** Holds and freezes a running container, or renews its deadline. */
  async suspend(restoreId: string, containerId: string, deadlineMs: number): Promise<void> {
    const { containers, journal, runDir, rounds, sidecars } = this.#options;
    const known = this.#suspended.get(containerId);
    if (known !== undefined) {
      await sidecars.hold(containerId, deadlineMs + HOLD_MARGIN_MS);
      await known.interceptor.renewHold(deadlineMs + HOLD_MARGIN_MS);
      known.deadman = await known.deadman.rearm(deadlineMs);
      return;
    }
    if (await rounds.renewFrozen(restoreId, containerId, deadlineMs)) return;
    const facts = await containers.facts(containerId);
    const interceptor = new KernelInterceptor({ netns: facts.networkNamespace });
    const runc = new Runc({ root: await findRuncRoot(containerId) });
    await journal.note({ containerId, pid: facts.pid, owner: restoreId });
    await sidecars.hold(containerId, deadlineMs + HOLD_MARGIN_MS);
    await interceptor.hold(deadlineMs + HOLD_MARGIN_MS);
    const undo = [runc.command('resume', containerId), ...interceptor.undoCommands()];
    const deadman = await armDeadman({ containerId, afterMs: deadlineMs, undo, runDir });
    this.#suspended.set(containerId, { restoreId, containerId, interceptor, runc, deadman });
    await runc.pause(containerId);
  }

  /** The successor is about to be released: from now on the engine's `kill` ends the container at once. */
  markMoving(containerId: string): void {
    this.#options.expectations.markMoved(containerId);
  }

  /** The task goes on here, or has moved: then the engine's next `kill` ends it at once. Works for tasks a round has left frozen, too. */
  async end(restoreId: string, containerId: string, moved: boolean): Promise<void> {
    const suspension = this.#suspended.get(containerId);
    if (suspension !== undefined) await (moved ? this.#retire(suspension) : this.#resume(suspension));
    else await this.#endKeptFrozen(restoreId, containerId, moved);
  }

  /** Every task that this restore suspended here goes on. */
  async abort(restoreId: string): Promise<void> {
    for (const suspension of this.#suspended.values()) {
      if (suspension.restoreId !== restoreId) continue;
      await this.#resume(suspension).catch((error: unknown) => {
        // The dead man's switch is still armed: it will do what we could not.
        this.#options.log.error({ containerId: suspension.containerId, reason: messageOf(error) }, 'cannot resume');
      });
    }
    for (const containerId of this.#options.rounds.frozenBy(restoreId))
      this.#options.expectations.unmarkMoved(containerId);
    await this.#options.rounds.abort(restoreId, 'the migration was given up');
  }

  async #resume(suspension: Suspension): Promise<void> {
    const { containerId, interceptor, runc, deadman } = suspension;
    this.#options.expectations.unmarkMoved(containerId);
    await interceptor.unhold();
    await runc.resume(containerId);
    await this.#options.sidecars.release(containerId);
    await deadman.cancel();
    this.#suspended.delete(containerId);
    await this.#options.journal.forget(containerId);
    await interceptor.detach();
  }

  async #retire(suspension: Suspension): Promise<void> {
    const { containerId, runc, deadman, interceptor } = suspension;
    this.#options.expectations.markMoved(containerId);
    await this.#armExecution(containerId, runc, interceptor);
    await this.#endSidecar(containerId);
    await deadman.cancel();
    this.#suspended.delete(containerId);
    await this.#options.journal.forget(containerId);
  }

  async #endKeptFrozen(restoreId: string, containerId: string, moved: boolean): Promise<void> {
    const { rounds, expectations } = this.#options;
    if (!moved) {
      expectations.unmarkMoved(containerId);
      return rounds.releaseContainer(restoreId, containerId);
    }
    const task = rounds.handOver(restoreId, containerId);
    if (task === undefined) return;
    expectations.markMoved(containerId);
    await this.#armExecution(containerId, task.runc, task.interceptor);
    await this.#endSidecar(containerId);
    await task.deadman?.cancel();
    await this.#options.journal.forget(containerId);
  }

  /** New connections must not be offered to a task that stands still for ever, for as long as names still lead to it. */
  async #endSidecar(containerId: string): Promise<void> {
    const { sidecars, log } = this.#options;
    await sidecars.end(containerId).catch((error: unknown) => {
      log.warn(
        { containerId, reason: messageOf(error) },
        'the sidecar of a task that has moved goes on until the task has ended',
      );
    });
  }

  async #armExecution(containerId: string, runc: Runc, interceptor: TaskInterceptor): Promise<void> {
    // The sockets of the dying task must not be heard by its peers, which now talk to its successor.
    await interceptor.renewHold(2 * MOVED_GRACE_MS);
    // Its own name, so that it is not mistaken for the switch that thaws.
    await armDeadman({
      containerId: `${containerId}-moved`,
      afterMs: MOVED_GRACE_MS,
      unattended: true,
      runDir: this.#options.runDir,
      undo: [runc.command('kill', containerId, 'KILL'), runc.command('resume', containerId)],
    });
  }
}
