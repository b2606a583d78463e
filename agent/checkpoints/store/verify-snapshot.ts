import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { VerifyReply } from '../../../src/rpc/generated/swarmcut/VerifyReply.ts';
import { didSome } from '../../../src/platform/activity.ts';
import { readDump } from '../../runtime/criu/read-dump.ts';
import type { LedgerEntry } from './ledger.ts';
import type { PartStore } from './parts.ts';

/** Re-reads every part of what this node has of a snapshot: hashes, and the connections from the CRIU images. */
export async function verifySnapshot(entry: LedgerEntry, store: PartStore, signal: AbortSignal): Promise<VerifyReply> {
  const problems: NonNullable<VerifyReply['problems']> = [];
  const tasks: TaskCheckpoint[] = [];
  let verifiedBytes = 0;
  for (const checkpoint of Object.values(entry.tasks)) {
    let sound = true;
    for (const part of checkpoint.parts) {
      didSome(`${part.path} is being read again`);
      const problem = await store.verify(part.sha256, signal);
      if (problem === undefined) {
        verifiedBytes += part.sizeBytes;
        continue;
      }
      sound = false;
      problems.push({ task: checkpoint.task, part, problem });
    }
    if (!sound) continue;
    try {
      tasks.push({ ...checkpoint, connections: await readConnections(checkpoint, store) });
    } catch (error) {
      problems.push({ task: checkpoint.task, problem: `its CRIU images cannot be read: ${messageOf(error)}` });
    }
  }
  return { problems, tasks, verifiedBytes };
}

async function readConnections(checkpoint: TaskCheckpoint, store: PartStore): Promise<TaskCheckpoint['connections']> {
  const dir = await mkdtemp(join(tmpdir(), 'swarmcut-verify-'));
  try {
    const images = checkpoint.parts.filter(({ kind, path }) => kind === 'CRIU' && !path.startsWith('pages-'));
    await store.materialize(images, dir);
    return (await readDump(dir)).connections;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
