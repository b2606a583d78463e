import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { streamCutSchema, type Manifest, type ManifestTask, type Part } from '../../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { StreamDirection } from '../../../src/model/cuts/stream-cut.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { openClusterSession } from '../session/session.ts';
import { PRIVATE_FILE_MODE, ensureDirectory } from '../../../src/platform/files.ts';
import { openSealed } from '../../../src/storage/encryption/part-cipher.ts';
import { PartKeys } from '../../../src/storage/encryption/snapshot-key.ts';

/** What is read here of the record of a task's sidecar: parts `channels.json` and `channels.bin` of kind CHANNELS. */
const recordSchema = z.object({
  version: z.literal(2),
  /** `at`: where the stream's recorded bytes begin in `channels.bin`. */
  streams: z.array(streamCutSchema.pick({ id: true, recorded: true }).extend({ at: z.number().int().nonnegative() })),
});

/**
 * The bytes that were on their way on a proxied channel at the cut, from the node of the task that they were on their way to.
 * @throws SwarmcutError `damaged` when the record does not have them
 */
export async function channelBytes(
  ctx: CoordinatorContext,
  manifest: Manifest,
  channel: { readonly id: string; readonly direction: StreamDirection },
): Promise<Uint8Array> {
  const role = channel.direction === 'to-server' ? 'acceptor' : 'opener';
  const has = ({ streams }: ManifestTask): boolean =>
    streams.some((cut) => cut.id === channel.id && cut.role === role && cut.recorded > 0);
  const receiver = manifest.tasks.find(has);
  // The other end was gone at the cut, or everything had been delivered.
  if (receiver === undefined) return new Uint8Array();
  using session = await openClusterSession(ctx);
  const agent = session.agents.of(receiver.node);
  const snapshotKey = await session.encryption.open(manifest, session.catalogue.wrappedKeyPath(manifest.id));
  if (snapshotKey !== undefined) return await sealedChannelBytes(ctx, agent, receiver, channel.id, snapshotKey);
  const record = await readRecord(ctx, agent, receiver);
  const stream = record.streams.find(({ id }) => id === channel.id);
  const part = channelsPart(receiver, 'channels.bin');
  if (stream === undefined || stream.at + stream.recorded > part.sizeBytes) {
    throw broken(receiver, `has no bytes of stream ${channel.id}`);
  }
  return await readRange(ctx, agent, part, stream.at, stream.recorded, receiver);
}

async function readRecord(
  ctx: CoordinatorContext,
  agent: AgentClient,
  task: ManifestTask,
): Promise<z.infer<typeof recordSchema>> {
  const part = channelsPart(task, 'channels.json');
  const text = await readRange(ctx, agent, part, 0, part.sizeBytes, task);
  if (createHash('sha256').update(text).digest('hex') !== part.sha256) throw broken(task, 'has another hash');
  return parseRecord(text, task);
}

function parseRecord(text: Uint8Array, task: ManifestTask): z.infer<typeof recordSchema> {
  try {
    return recordSchema.parse(JSON.parse(Buffer.from(text).toString('utf8')));
  } catch (error) {
    throw broken(task, `cannot be understood: ${messageOf(error)}`);
  }
}

/** As they are encrypted, parts are fetched whole, and opened here. */
async function sealedChannelBytes(
  ctx: CoordinatorContext,
  agent: AgentClient,
  task: ManifestTask,
  id: string,
  snapshotKey: Buffer,
): Promise<Uint8Array> {
  const keys = new PartKeys(snapshotKey);
  const readPart = async (path: string, from?: number, length?: number): Promise<Buffer> => {
    const part = channelsPart(task, path);
    const key = keys.unwrap(part.wrappedKey ?? '', part.sha256);
    if (key === undefined) throw broken(task, `has another key for ${path}`);
    await ensureDirectory(ctx.directories.run);
    const folder = await mkdtemp(join(ctx.directories.run, 'channel-'));
    try {
      const file = join(folder, part.sha256);
      await using target = await open(file, 'w', PRIVATE_FILE_MODE);
      for await (const { data } of agent.fetch({ sha256: [part.sha256] }, { signal: ctx.signal }))
        await target.writeFile(data);
      const pieces: Buffer[] = [];
      const range = { ...(from === undefined ? {} : { from }), ...(length === undefined ? {} : { length }) };
      for await (const piece of openSealed(file, key, range)) pieces.push(piece);
      return Buffer.concat(pieces);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  const stream = parseRecord(await readPart('channels.json'), task).streams.find((each) => each.id === id);
  if (stream === undefined) throw broken(task, `has no bytes of stream ${id}`);
  const bytes = await readPart('channels.bin', stream.at, stream.recorded);
  if (bytes.length !== stream.recorded) throw broken(task, 'is too short');
  return bytes;
}

/** Reads no further than needed: `channels.bin` has the bytes of all channels. */
async function readRange(
  ctx: CoordinatorContext,
  agent: AgentClient,
  part: Part,
  from: number,
  length: number,
  task: ManifestTask,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let have = 0;
  for await (const { offset, data } of agent.fetch({ sha256: [part.sha256] }, { signal: ctx.signal })) {
    const begin = Math.max(from, offset);
    const end = Math.min(from + length, offset + data.length);
    if (begin < end) {
      bytes.set(data.subarray(begin - offset, end - offset), begin - from);
      have += end - begin;
    }
    if (have === length) return bytes;
  }
  if (have < length) throw broken(task, `${part.path} is too short`);
  return bytes;
}

function channelsPart(task: ManifestTask, path: string): Part {
  const part = task.parts.find((candidate) => candidate.kind === 'CHANNELS' && candidate.path.endsWith(path));
  if (part === undefined) throw broken(task, `has no ${path}`);
  return part;
}

function broken(task: ManifestTask, what: string): SwarmcutError {
  return new SwarmcutError('damaged', `the record of the sidecar of ${taskKey(task.task)} ${what}`, {
    where: { node: task.node, service: task.task.service, slot: task.task.slot },
    advice: '`coordinator verify` checks all parts of the snapshot',
  });
}
