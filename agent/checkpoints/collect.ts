import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DumpTimes, Part, StreamCut, TaskCheckpoint } from '../../src/model/checkpoint.ts';
import type { Alias, TaskRef } from '../../src/model/task.ts';
import { readDump } from '../runtime/criu/read-dump.ts';
import { didSome, followed } from '../../src/platform/activity.ts';
import { concurrently, type PartStore } from './store/index.ts';
import type { StagedDump } from '../tasks/container-task.ts';
import type { PartSealing } from '../../src/storage/encryption/part-sealing.ts';

/** Files hashed and moved at the same time. */
const PARALLEL = 2;

export interface CollectOptions {
  readonly task: TaskRef;
  readonly staged: StagedDump;
  readonly times: DumpTimes;
  readonly aliases: readonly Alias[];
  readonly store: PartStore;
  /** Pins the parts until the ledger names them. */
  readonly owner: string;
  readonly inMemory: boolean;
  /** Encrypts the parts on their way into the store. */
  readonly sealing?: PartSealing | undefined;
  /** What the task's sidecar has recorded, if it has one. */
  readonly channels?: SidecarRecord;
}

/** A sidecar's record of a round: files in a folder, and where each stream stood. */
export interface SidecarRecord {
  readonly folder: string;
  readonly streams: readonly StreamCut[];
}

/** The hash of an image that was hashed while it was written. */
async function early({ followed: files }: StagedDump, path: string): Promise<string | undefined> {
  const file = files.get(path);
  if (file === undefined) return undefined;
  using _hashing = followed(file.progress);
  return await file.sha256.catch(() => undefined);
}

/** Moves everything that `save` has recorded into the store, and reads from the images what the coordinator wants to know. */
export async function collectCheckpoint(options: CollectOptions): Promise<TaskCheckpoint> {
  const { task, staged, times, aliases, store, owner, inMemory, sealing, channels } = options;
  const dump = await readDump(staged.imageDir, staged.workDir);
  const sources: { kind: Part['kind']; path: string; file: string }[] = [
    ...(await readdir(staged.imageDir))
      .sort()
      .map((path) => ({ kind: 'CRIU' as const, path, file: join(staged.imageDir, path) })),
    ...staged.files.parts,
    ...(channels === undefined ? [] : await readdir(channels.folder)).map((path) => ({
      kind: 'CHANNELS' as const,
      path,
      file: join(channels?.folder ?? '', path),
    })),
  ];
  const parts: Part[] = [];
  await concurrently(sources, PARALLEL, async ({ kind, path, file }) => {
    didSome(`${path} is being hashed, ${parts.length} of ${sources.length} parts are stored`);
    const where = { memory: inMemory, owner, sha256: kind === 'CRIU' ? await early(staged, path) : undefined };
    const adopted =
      sealing === undefined ? await store.adopt(file, where) : await store.adoptSealed(file, sealing, where);
    parts.push({ kind, path, ...adopted });
  });
  return {
    task,
    parts: parts.sort((a, b) => a.kind.localeCompare(b.kind) || a.path.localeCompare(b.path)),
    connections: dump.connections,
    processes: dump.processes,
    times: { ...times, ...dump.stats },
    aliases: [...aliases],
    notes: [...staged.files.notes],
    streams: [...(channels?.streams ?? [])],
    datagrams: dump.datagrams,
    bound: dump.bound,
  };
}
