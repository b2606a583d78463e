import type { Manifest, TaskCheckpoint } from '../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { taskKey } from '../../src/model/task.ts';
import type { StoredSnapshot } from '../../src/storage/catalogue.ts';
import { vouchingText } from '../../src/storage/manifest-signature.ts';
import { megabytes } from '../../src/model/size.ts';
import type { CoordinatorContext } from './session/context.ts';
import type { VerifyOptions, VerifyReport } from './session/reports.ts';
import { openClusterSession, type ClusterSession } from './session/session.ts';
import { readWrappedKey } from '../../src/storage/encryption/wrapped-key.ts';
import { compareLedgers } from './soundness/ledgers.ts';
import { cutOf, verifiedChannel } from './rounds/cut-check.ts';

/** Checks the manifest's signature, compares it with the agents' ledgers, re-reads every part there and checks the cut condition. A broken snapshot is a report with `ok: false`, not an exception. */
export async function verifySnapshot(
  ctx: CoordinatorContext,
  { manifest, vouching }: StoredSnapshot,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  using session = await openClusterSession(ctx);
  const problems: string[] = [];
  const unvouched = vouchingText(vouching);
  if (unvouched !== undefined) {
    if (options.allowUnsigned === true) ctx.emit({ kind: 'warning', message: `snapshot ${manifest.id}: ${unvouched}` });
    else problems.push(`${unvouched}: \`restore\` refuses it without --allow-unsigned`);
  }
  const key = await keyFor(ctx, session, manifest, problems);
  problems.push(...(await ledgerProblems(ctx, session, manifest)));
  const reread = new Map<string, TaskCheckpoint>();
  let verifiedBytes = 0;
  const nodes = [...new Set(manifest.tasks.map((task) => task.node))].sort();
  await Promise.all(
    nodes.map(async (node) => {
      ctx.emit({ kind: 'step-begun', node, step: 'verify' });
      try {
        const reply = await session.agents
          .of(node)
          .verify(
            { snapshotId: manifest.id, ...(key?.bytes === undefined ? {} : { snapshotKey: key.bytes }) },
            { signal: ctx.signal },
          );
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
  const encryption = key === undefined ? {} : { encryption: { keyId: key.id, opened: key.bytes !== undefined } };
  return {
    ok,
    manifest: vouching.state,
    ...encryption,
    verifiedBytes,
    problems,
    connections: cut.directions,
    channels,
  };
}

/** Which key an encrypted snapshot has, and its own key if that can be had. Hashes can be checked without. */
async function keyFor(
  ctx: CoordinatorContext,
  { encryption, catalogue }: ClusterSession,
  manifest: Manifest,
  problems: string[],
): Promise<{ readonly id: string; readonly bytes: Buffer | undefined } | undefined> {
  if (manifest.encryption === undefined) return undefined;
  const file = catalogue.wrappedKeyPath(manifest.id);
  let id = 'unknown';
  try {
    ({ keyId: id } = await readWrappedKey(file, manifest.id));
    return { id, bytes: await encryption.open(manifest, file) };
  } catch (error) {
    if (!(error instanceof SwarmcutError)) throw error;
    if (error.code === 'damaged') problems.push(error.message);
    else if ((await encryption.keys()).source !== undefined) ctx.emit({ kind: 'warning', message: error.message });
    return { id, bytes: undefined };
  }
}

/** Where the manifest and what the nodes have recorded differ. Nodes that do not answer and have a part in it are told by the re-reading. */
async function ledgerProblems(ctx: CoordinatorContext, session: ClusterSession, manifest: Manifest): Promise<string[]> {
  const ready = session.nodes.filter(({ state }) => state === 'ready');
  const agents = ready.map(({ hostname }) => session.agents.of(hostname));
  const { differences, unasked } = await compareLedgers(ctx, agents, manifest);
  for (const [node, reason] of unasked) {
    if (manifest.tasks.some((task) => task.node === node)) continue;
    ctx.emit({ kind: 'warning', message: `whether ${node} has more of this snapshot is not known: ${reason}` });
  }
  return differences.map(({ text }) => text);
}
