import type { Manifest } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
import type { SnapshotSealing } from '../session/encryption.ts';
import { stackSettings } from '../session/settings.ts';
import type { ClusterService, Stack } from '../../orchestrator/index.ts';
import { buildManifest, type ManifestInput } from '../rounds/manifest.ts';
import type { RoundTask } from '../rounds/participants.ts';
import { CutOnDisk, keepCut, keptText } from '../transaction/cut-on-disk.ts';
import { finalCut, movingAlgorithm, type FinalCut } from './final-cut.ts';
import { refuseBrokenMove } from './migration-plans.ts';
import type { OldTasks } from './old-tasks.ts';

/** Who moves, and who does not. */
export interface Who {
  readonly services: readonly ClusterService[];
  readonly moving: readonly RoundTask[];
  readonly staying: readonly RoundTask[];
}

/** The final cut of a migration: in memory for the way to the new tasks, and beside that a snapshot on disk. */
export class MovingCut {
  readonly #ctx: CoordinatorContext;
  readonly #session: LockedSession;
  readonly #stack: Stack;
  readonly #who: Who;
  readonly #old: OldTasks;
  #made: FinalCut | undefined;
  #id = '';
  #onDisk: CutOnDisk | undefined;
  /** Of the snapshot of {@link prepare}, and then of {@link make}. */
  #sealing: { readonly id: string; readonly keys: SnapshotSealing | undefined } | undefined;
  /** What a manifest says of nodes and resources: asked for before anything stands still. */
  #facts: Pick<ManifestInput, 'infos' | 'resources'> = {
    infos: [],
    resources: { networks: [], configs: [], secrets: [] },
  };

  constructor(ctx: CoordinatorContext, session: LockedSession, stack: Stack, who: Who, old: OldTasks) {
    this.#ctx = ctx;
    this.#session = session;
    this.#stack = stack;
    this.#who = who;
    this.#old = old;
  }

  /** Undefined before {@link make}. */
  get cut(): FinalCut | undefined {
    return this.#made;
  }

  /** @throws SwarmcutError `internal` before {@link make} */
  get made(): FinalCut {
    if (this.#made === undefined) throw new SwarmcutError('internal', 'there was no final cut');
    return this.#made;
  }

  /** Opens it, if it is encrypted. */
  get snapshotKey(): Buffer | undefined {
    return this.#sealing?.keys?.keys.snapshotKey;
  }

  /** Asks for all that need not be asked for while tasks stand still. @param id as for {@link make} */
  async prepare(id: string): Promise<void> {
    await this.#seal(id);
    const { services, moving } = this.#who;
    const tasks = moving.map(({ task }) => task);
    const [infos, resources] = await Promise.all([
      Promise.all(this.#old.agents.map((agent) => agent.info({}, { signal: this.#ctx.signal }))),
      this.#session.cluster.resourcesOf({ name: this.#stack.name, services, tasks }),
    ]);
    this.#facts = { infos, resources };
  }

  /** The moving tasks stop together and stay frozen; their parts stay in memory, and begin to be written to disk. @param id of the snapshot */
  async make(id: string): Promise<FinalCut> {
    const { moving, staying } = this.#who;
    this.#id = id;
    this.#ctx.log.info({ cut: id }, 'the final cut begins');
    const startedAtMs = Date.now();
    const sealing = await this.#seal(id);
    const cut = await finalCut(this.#ctx, this.#session, this.#stack, id, moving, sealing, (limitMs) =>
      this.#old.takeOver(id, limitMs),
    );
    this.#made = cut;
    this.#onDisk = new CutOnDisk(this.#ctx, this.#session, id);
    this.#onDisk.begin(this.#manifest(cut, startedAtMs), sealing?.wrapped);
    // Even then it may have to be kept.
    if (movingAlgorithm(this.#stack).interceptor === 'proxy')
      refuseBrokenMove({ stack: this.#stack.name, moving, staying, checkpoints: cut.checkpoints });
    return cut;
  }

  /** Waits until it is on disk. */
  async written(): Promise<void> {
    const begun = performance.now();
    await this.#onDisk?.written();
    this.#ctx.log.info({ cut: this.#id, waitedMs: Math.round(performance.now() - begun) }, 'waited for the disk');
  }

  /** It is all that is left of tasks. @returns what people must know of it */
  async keep(): Promise<string> {
    await keepCut(this.#ctx, this.#session, this.#id);
    return keptText(this.#id);
  }

  /** Nobody needs it any more. Never throws. */
  async forget(): Promise<void> {
    await this.#onDisk?.forget();
  }

  async #seal(id: string): Promise<SnapshotSealing | undefined> {
    if (this.#sealing?.id !== id) {
      const keys = await this.#session.encryption.begin(id, this.#stack.name, stackSettings(this.#stack).encrypt);
      this.#sealing = { id, keys };
    }
    return this.#sealing.keys;
  }

  #manifest({ epoch, checkpoints }: FinalCut, startedAtMs: number): Manifest {
    return buildManifest({
      id: this.#id,
      stack: { ...this.#stack, services: this.#who.services },
      algorithm: movingAlgorithm(this.#stack).name,
      epoch,
      startedAtMs,
      // Those that did not move have lost their ends by the time when this is restored.
      external: 'close',
      tasks: this.#who.moving,
      checkpoints,
      ...this.#facts,
      snapshotKey: this.#sealing?.keys?.snapshotKeyId,
      migration: true,
    });
  }
}
