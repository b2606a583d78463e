import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isSealed, type Part } from '../../src/model/checkpoint.ts';
import { messageOf, type SwarmcutError } from '../../src/model/errors.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { TaskRef } from '../../src/model/task.ts';
import type { FetchTicket__Output } from '../../src/rpc/generated/swarmcut/FetchTicket.ts';
import type { Source__Output } from '../../src/rpc/generated/swarmcut/Source.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { writeCriuConfig } from '../runtime/criu/config.ts';
import { keptLogsFolder } from '../runtime/criu/kept-logs.ts';
import { criuError } from '../runtime/criu/runc.ts';
import { waitingFacts } from '../runtime/docker/waiting.ts';
import { unpackFiles, unpackedFiles, type UnpackedFiles } from '../files/unpack.ts';
import { removeTree } from '../files/remove-tree.ts';
import { findSwaps, isSealed as isDecided, volumeOf } from '../files/volume-swaps.ts';
import type { PartStore } from '../checkpoints/store/index.ts';
import { refuseOtherSurroundings } from '../surroundings/restore.ts';
import type { DirectWays } from '../transfer/direct/ways.ts';
import { LateParts } from '../transfer/late-parts.ts';
import { PARALLEL, fetchParts, type PartSource, type PeerAgents } from '../transfer/fetch.ts';
import { openState } from './opened-state.ts';
import type { StagedState } from './waiting-container.ts';
import type { PartKeys } from '../../src/storage/encryption/snapshot-key.ts';

export interface StageOptions {
  readonly restoreId: string;
  readonly containerId: string;
  readonly bundle: string;
  readonly saved: TaskRef;
  readonly parts: readonly Part[];
  readonly sources: readonly Source__Output[];
  readonly inMemory: boolean;
  readonly ticket: FetchTicket__Output | null;
  /** Open encrypted parts. */
  readonly keys: PartKeys | undefined;
}

export interface StateStagerOptions {
  readonly directories: Directories;
  /** The engine's data directory. */
  readonly dataRoot: string;
  readonly nodeName: string;
  readonly store: PartStore;
  /** Ends the pins of a restore and deletes parts that only it needed. */
  readonly unpin: (restoreId: string) => Promise<void>;
  readonly peers: PeerAgents;
  readonly direct: DirectWays;
  readonly log: Logger;
}

/** Brings the saved state of a task into a container that waits in the shim. */
export class StateStager {
  readonly #options: StateStagerOptions;
  readonly #unpackedVolumes = new Map<string, Set<string>>();
  /** Of each restore. */
  readonly #late = new Map<string, Set<LateParts>>();

  constructor(options: StateStagerOptions) {
    this.#options = options;
  }

  /** A task has come for which parts may have to be fetched from there: connections are made before anything stands still. */
  warmUp(sources: readonly PartSource[]): void {
    for (const source of sources)
      if (source.node !== this.#options.nodeName) void this.#options.direct.warmUp(source, PARALLEL);
  }

  async stage(
    options: StageOptions,
    signal: AbortSignal,
    tell: {
      readonly progress: (doneBytes: number, totalBytes: number) => void;
      /** Parts come, but not as they should: for people. */
      readonly remark: (text: string) => void;
    },
  ): Promise<StagedState> {
    const { restoreId, containerId, bundle, parts, sources, inMemory, ticket, keys } = options;
    const { store, peers, direct, dataRoot, nodeName, directories, log } = this.#options;
    const sealed = parts.some(isSealed);
    // On the file system of the parts, so that they can be linked; what was encrypted is opened in memory.
    const dir = join(inMemory || sealed ? directories.run : directories.state, 'restore', restoreId, containerId);
    store.pin(
      restoreId,
      parts.map(({ sha256 }) => sha256),
    );
    const late = new LateParts();
    this.#late.set(restoreId, (this.#late.get(restoreId) ?? new Set()).add(late));
    const begun = performance.now();
    const { fetchedBytes } = await fetchParts({
      parts,
      sources,
      ticket,
      store,
      memory: inMemory,
      peers,
      direct,
      // Where nothing stands still for it, nothing is begun with what is not checked.
      late: inMemory ? late : undefined,
      signal,
      onProgress: tell.progress,
      onSlowerWay: (text) => {
        log.warn({ restoreId, containerId }, text);
        tell.remark(text);
      },
      owner: restoreId,
    });
    const fetched = performance.now();
    const imageDir = join(dir, 'criu');
    const workDir = join(dir, 'work');
    await mkdir(workDir, { recursive: true, mode: 0o700 });
    const channels = parts.filter(({ kind }) => kind === 'CHANNELS');
    const channelsDir = channels.length === 0 ? undefined : join(dir, 'channels');
    const state = openState(parts, { store, keys, scratch: join(dir, 'opened'), signal, late });
    await state.materialize('CRIU', imageDir);
    if (channelsDir !== undefined) await state.materialize('CHANNELS', channelsDir);
    const linked = performance.now();
    const target = await waitingFacts(dataRoot, containerId, bundle, nodeName);
    await refuseOtherSurroundings({ imageDir, bundle, containerId, imageDigest: target.imageDigest });
    const unpacked = await unpackFiles(state.files(), target, {
      restoreId,
      workDir,
      signal,
      unpackedVolumes: this.#volumesOf(restoreId),
    });
    log.info(
      {
        restoreId,
        containerId,
        fetchedBytes,
        fetchMs: Math.round(fetched - begun),
        linkMs: Math.round(linked - fetched),
        layMs: Math.round(performance.now() - linked),
      },
      'staged',
    );
    const checked = late.settle();
    checked.catch(() => undefined); // told to whoever restores
    return { imageDir, workDir, channelsDir, files: unpacked, fetchedBytes, checked, checking: () => late.progress() };
  }

  /**
   * What an agent before this one has left beside volumes: the former contents of those whose restored tasks wait for their release are kept for them,
   * all others are put back, or deleted where that was decided.
   * @param waiting restores with such tasks
   * @returns what becomes of those of one restore
   */
  async adoptFiles(waiting: ReadonlySet<string>): Promise<(restoreId: string) => UnpackedFiles> {
    const swaps = await findSwaps(this.#options.dataRoot);
    for (const swap of swaps) {
      const { restoreId } = swap;
      try {
        if (await isDecided(swap)) await swap.commit();
        else if (!waiting.has(restoreId)) {
          await swap.undo();
          this.#options.log.warn({ restoreId, volume: volumeOf(swap) }, 'a volume has its former contents back');
        }
      } catch (error) {
        this.#options.log.error(
          { restoreId, volume: volumeOf(swap), reason: messageOf(error) },
          'cannot tidy up beside a volume',
        );
      }
    }
    return (restoreId) => unpackedFiles(swaps.filter((swap) => swap.restoreId === restoreId));
  }

  #volumesOf(restoreId: string): Set<string> {
    const unpacked = this.#unpackedVolumes.get(restoreId) ?? new Set<string>();
    this.#unpackedVolumes.set(restoreId, unpacked);
    return unpacked;
  }

  /** CRIU's options for the restore. @returns the file's path */
  async criuConfig(staged: StagedState): Promise<string> {
    const file = join(staged.workDir, 'criu.conf');
    await writeCriuConfig(file);
    return file;
  }

  /** What CRIU said about a restore that failed; its log is kept, and named. */
  async restoreError(containerId: string, staged: StagedState, runcLog: string): Promise<SwarmcutError> {
    const keptLogs = keptLogsFolder(this.#options.directories.state);
    return criuError('restore', containerId, staged.workDir, runcLog, keptLogs);
  }

  async cleanUp(restoreId: string): Promise<void> {
    this.#unpackedVolumes.delete(restoreId);
    const late = [...(this.#late.get(restoreId) ?? [])];
    this.#late.delete(restoreId);
    // What comes into the store after the pins have ended would stay there.
    await Promise.allSettled(late.map((parts) => parts.settle()));
    await this.#options.unpin(restoreId);
    const { state, run } = this.#options.directories;
    for (const base of [state, run])
      await removeTree(join(base, 'restore', restoreId)).catch((error: unknown) =>
        // The restore is over all the same.
        this.#options.log.error({ restoreId, reason: messageOf(error) }, 'something of a restore is left'),
      );
  }
}
