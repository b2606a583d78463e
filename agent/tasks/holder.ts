import { SwarmcutError } from '../../src/model/errors.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import type { HeldTask } from './held-task.ts';

/** A sidecar stands still for this much longer than its task. Milliseconds. */
const SIDECAR_MARGIN_MS = 5_000;

/** How many holders that have given up are remembered. */
const REMEMBERED_HOLDERS = 100;

/** Who has a task: a round (by its snapshot's id) or a relocation (by the id of the restore or migration). */
export interface Holder {
  readonly kind: 'round' | 'relocation';
  readonly id: string;
}

/** What goes with a task that stands still (the participant of its round, its sidecar) and is told what becomes of it. */
export interface Keeper {
  /** The task must run on: undoes what was done to it and to what goes with it. May be called again. */
  letGo(reason: string): Promise<void>;
  /** Another holder answers for the frozen task: deadlines of one's own count no more. */
  handedOver?(): void;
  /** The task stands still for at most so long from now. */
  renewing?(deadlineMs: number): Promise<void>;
}

/** @param restoreId of the restore or migration */
export function relocation(restoreId: string): Holder {
  return { kind: 'relocation', id: restoreId };
}

export function round(snapshotId: string): Holder {
  return { kind: 'round', id: snapshotId };
}

export function sameHolder(one: Holder, other: Holder): boolean {
  return one.kind === other.kind && one.id === other.id;
}

/** Holders that have given up lately. */
export class ClosedHolders {
  readonly #keys = new Set<string>();

  add(holder: Holder): void {
    this.#keys.add(keyOf(holder));
    for (const oldest of this.#keys) {
      if (this.#keys.size <= REMEMBERED_HOLDERS) break;
      this.#keys.delete(oldest);
    }
  }

  /** @throws SwarmcutError `interrupted` when the holder has given up */
  refuse(holder: Holder): void {
    if (!this.#keys.has(keyOf(holder))) return;
    throw new SwarmcutError('interrupted', `${holderText(holder)} was given up`);
  }
}

function keyOf({ kind, id }: Holder): string {
  return `${kind}/${id}`;
}

/** For messages. */
export function holderText({ kind, id }: Holder): string {
  return kind === 'round' ? `round ${id}` : `restore or migration ${id}`;
}

/** The keeper of a task that stands still without a dump. Its sidecar, if it has one, stands still with it. */
export function suspendedTask(task: HeldTask, sidecars: Pick<Sidecars, 'block' | 'release'>): Keeper {
  return {
    letGo: async () => {
      await task.letGo();
      await sidecars.release(task.containerId);
    },
    renewing: (deadlineMs) => sidecars.block(task.containerId, deadlineMs + SIDECAR_MARGIN_MS),
  };
}
