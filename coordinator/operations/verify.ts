import type { Manifest, TaskCheckpoint } from '../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { taskKey } from '../../src/model/task.ts';
import { megabytes } from '../../src/model/size.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { VerifyReport } from './session/reports.ts';
import { openClusterSession } from './session/session.ts';
import { cutOf, verifiedChannel } from './rounds/cut-check.ts';

/** Re-reads every part on the agents and checks the cut condition. A broken snapshot is a report with `ok: false`, not an exception. */
export async function verifySnapshot(ctx: CoordinatorContext, manifest: Manifest): Promise<VerifyReport> {
  using session = await openClusterSession(ctx);
  const problems: string[] = [];
  const reread = new Map<string, TaskCheckpoint>();
  let verifiedBytes = 0;
  const nodes = [...new Set(manifest.tasks.map((task) => task.node))].sort();
  await Promise.all(
    nodes.map(async (node) => {
      ctx.emit({ kind: 'step-begun', node, step: 'verify' });
      try {
        const reply = await session.agents.of(node).verify({ snapshotId: manifest.id }, { signal: ctx.signal });
        verifiedBytes += reply.verifiedBytes;
        for (const { task, part, problem } of reply.problems) {
          problems.push(`${task === null ? '?' : taskKey(task)} on ${node}: ${part?.path ?? 'a part'} ${problem}`);
        }
        for (const checkpoint of reply.tasks) {
          if (checkpoint.task !== null) reread.set(taskKey(checkpoint.task), checkpoint as TaskCheckpoint);
        }
        ctx.emit({ kind: 'step-done', node, step: 'verify', detail: megabytes(reply.verifiedBytes) });
      } catch (error) {
        if (error instanceof SwarmcutError && error.code === 'interrupted') throw error;
        problems.push(`node ${node} could not be asked: ${messageOf(error)}`);
        ctx.emit({ kind: 'step-failed', node, step: 'verify', reason: messageOf(error) });
      }
    }),
  );
  for (const task of manifest.tasks) {
    if (!reread.has(taskKey(task.task)) && problems.length === 0) {
      problems.push(`${taskKey(task.task)}: node ${task.node} does not have this checkpoint`);
    }
  }
  // What counts is what the images say now, not what the manifest remembers.
  const tasks = manifest.tasks.map((task) => {
    const { connections, streams } = reread.get(taskKey(task.task)) ?? task;
    // An agent that does not read the sidecar's record again has still checked its hash.
    return { ...task, connections, streams: streams.length === 0 ? task.streams : streams };
  });
  const cut = cutOf({ ...manifest, tasks });
  const channels = cut.channels.map(verifiedChannel);
  const ok = problems.length === 0 && [...cut.directions, ...channels].every((checked) => checked.ok);
  return { ok, verifiedBytes, problems, connections: cut.directions, channels };
}
