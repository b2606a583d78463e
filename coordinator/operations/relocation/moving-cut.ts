import type { Manifest } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LockedSession } from '../lock/stack-lock.ts';
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

  /** Asks for all that need not be asked for while tasks stand still. */
  async prepare(): Promise<void> {
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
    const cut = await finalCut(this.#ctx, this.#session, this.#stack, id, moving, (limitMs) =>
      this.#old.takeOver(id, limitMs),
    );
    this.#made = cut;
    if (movingAlgorithm(this.#stack).interceptor === 'proxy')
      refuseBrokenMove({ stack: this.#stack.name, moving, staying, checkpoints: cut.checkpoints });
    // What must be encrypted must not touch a disk as it is; the keys are made for snapshots, which take longer than a task may stand still.
    if (stackSettings(this.#stack).encrypt === 'required') return cut;
    this.#onDisk = new CutOnDisk(this.#ctx, this.#session, id);
    this.#onDisk.begin(this.#manifest(cut, startedAtMs));
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
    if (this.#onDisk === undefined)
      return 'nothing of it is on disk, since the stack says `swarmcut.encrypt: required`';
    await keepCut(this.#ctx, this.#session, this.#id);
    return keptText(this.#id);
  }

  /** Nobody needs it any more. Never throws. */
  async forget(): Promise<void> {
    await this.#onDisk?.forget();
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
      snapshotKey: undefined,
      migration: true,
    });
  }
}
