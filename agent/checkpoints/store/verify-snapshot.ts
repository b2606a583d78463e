import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSealed, type Part, type TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { VerifyReply } from '../../../src/rpc/generated/swarmcut/VerifyReply.ts';
import { didSome } from '../../../src/platform/activity.ts';
import { checkSealed } from '../../../src/storage/encryption/part-cipher.ts';
import type { PartKeys } from '../../../src/storage/encryption/snapshot-key.ts';
import { readDump } from '../../runtime/criu/read-dump.ts';
import type { LedgerEntry } from './ledger.ts';
import { openedKey, refuseDisk, unsealInto } from './opened.ts';
import type { PartStore } from './parts.ts';

export interface VerifyOptions {
  readonly store: PartStore;
  /** Open encrypted parts; without them these are only hashed, and connections are those of the ledger. */
  readonly keys: PartKeys | undefined;
  /** A folder in memory, for images that are opened. */
  readonly scratch: string;
  readonly signal: AbortSignal;
}

/** Re-reads every part of what this node has of a snapshot: hashes, and the connections from the CRIU images. */
export async function verifySnapshot(entry: LedgerEntry, options: VerifyOptions): Promise<VerifyReply> {
  const problems: NonNullable<VerifyReply['problems']> = [];
  const tasks: TaskCheckpoint[] = [];
  let verifiedBytes = 0;
  for (const checkpoint of Object.values(entry.tasks)) {
    let sound = true;
    for (const part of checkpoint.parts) {
      didSome(`${part.path} is being read again`);
      const problem = await partProblem(part, options);
      if (problem === undefined) {
        verifiedBytes += part.sizeBytes;
        continue;
      }
      sound = false;
      problems.push({ task: checkpoint.task, part, problem });
    }
    if (!sound) continue;
    try {
      tasks.push({ ...checkpoint, connections: await readConnections(checkpoint, options) });
    } catch (error) {
      problems.push({ task: checkpoint.task, problem: `its CRIU images cannot be read: ${messageOf(error)}` });
    }
  }
  return { problems, tasks, verifiedBytes };
}

async function partProblem(part: Part, { store, keys, signal }: VerifyOptions): Promise<string | undefined> {
  const problem = await store.verify(part.sha256, signal);
  if (problem !== undefined || !isSealed(part) || keys === undefined) return problem;
  try {
    await checkSealed(await store.path(part.sha256), openedKey(part, keys), signal);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return `cannot be opened: ${messageOf(error)}`;
  }
}

async function readConnections(
  checkpoint: TaskCheckpoint,
  { store, keys, scratch }: VerifyOptions,
): Promise<TaskCheckpoint['connections']> {
  const images = checkpoint.parts.filter(({ kind, path }) => kind === 'CRIU' && !path.startsWith('pages-'));
  const sealed = images.some(isSealed);
  if (sealed && keys === undefined) return checkpoint.connections;
  // What was encrypted is opened in memory only.
  const base = sealed ? scratch : tmpdir();
  await mkdir(base, { recursive: true, mode: 0o700 });
  const dir = await mkdtemp(join(base, 'swarmcut-verify-'));
  try {
    if (sealed) {
      await refuseDisk(
        dir,
        images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      );
      await unsealInto(images, dir, { store, keys });
    } else await store.materialize(images, dir);
    return (await readDump(dir)).connections;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
