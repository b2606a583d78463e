import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnsentMark } from '../../../src/model/plans/network-plan.ts';
import { replaceFile } from '../../../src/platform/files.ts';
import protobuf from 'protobufjs/minimal.js';

/** tcp_stream_entry (images/tcp-stream.proto of CRIU; soccr/soccr.c says what is in it). */
const INQ_SEQ = 2;
const OUTQ_LEN = 3;
const OUTQ_SEQ = 4;
const UNSQ_LEN = 12;
/** Two magic numbers, then the entry's size; the entry; the queues. */
const ENTRY_AT = 12;
const HEAD_BYTES = 4096;

/**
 * CRIU hands what is unsent to an ordinary send(), which waits if it is more than the socket's buffer takes, and nothing drains while
 * the container is blocked. Longer queues are those of streams, where what follows makes TCP find the gap.
 */
const MAX_QUEUE_BYTES = 64 * 1024;

/**
 * Makes CRIU restore bytes that were in flight at the cut as bytes not sent yet, in the `tcp-stream-*.img` of a directory that is about to be
 * restored; {@link UnsentMark} says why. `pushUnsent` then sends them.
 *
 * The files are replaced, not changed: they may be links into the store.
 * @returns how many images were changed
 */
export async function markUnsent(imageDir: string, marks: readonly UnsentMark[]): Promise<number> {
  if (marks.length === 0) return 0;
  const byName = new Map(marks.map((mark) => [nameOf(mark.writeSeq, mark.rcvNxt), mark]));
  const names = (await readdir(imageDir)).filter((name) => name.startsWith('tcp-stream-') && name.endsWith('.img'));
  const changed = await Promise.all(names.map((name) => markFile(join(imageDir, name), byName)));
  return changed.filter(Boolean).length;
}

/** Both are random at first and never equal for two connections of a task, but with probability 2^-64. */
function nameOf(writeSeq: number, rcvNxt: number): string {
  return `${writeSeq} ${rcvNxt}`;
}

async function markFile(path: string, marks: ReadonlyMap<string, UnsentMark>): Promise<boolean> {
  const file = await open(path);
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0).finally(() => file.close());
  if (!marked(head.subarray(0, bytesRead), marks)) return false;
  const data = marked(await readFile(path), marks);
  if (!data) return false;
  await replaceFile(path, data);
  return true;
}

/**
 * The image with the mark that is meant for it, or undefined if there is nothing to change (or it is no such image: CRIU will say so).
 * @param image from its beginning; must contain the entry, and the queues only if the result is to be used
 */
function marked(image: Uint8Array, marks: ReadonlyMap<string, UnsentMark>): Uint8Array | undefined {
  if (image.length < ENTRY_AT) return undefined;
  const size = new DataView(image.buffer, image.byteOffset, image.byteLength).getUint32(ENTRY_AT - 4, true);
  if (size > image.length - ENTRY_AT) return undefined;
  const entry = image.subarray(ENTRY_AT, ENTRY_AT + size);
  const reader = protobuf.Reader.create(entry);
  const kept: Uint8Array[] = [];
  const values = new Map<number, number>();
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    if ((tag & 7) === 0) values.set(tag >>> 3, reader.uint32());
    else reader.skipType(tag & 7);
    if (tag >>> 3 !== UNSQ_LEN) kept.push(entry.subarray(start, reader.pos));
  }
  const writeSeq = values.get(OUTQ_SEQ) ?? 0;
  const queued = values.get(OUTQ_LEN) ?? 0;
  const mark = marks.get(nameOf(writeSeq, values.get(INQ_SEQ) ?? 0));
  if (!mark) return undefined;
  const unsent = (writeSeq - mark.from) >>> 0;
  if (unsent === (values.get(UNSQ_LEN) ?? 0) || unsent > queued || queued > MAX_QUEUE_BYTES) return undefined;
  const field = protobuf.Writer.create()
    .uint32((UNSQ_LEN << 3) | 0)
    .uint32(unsent)
    .finish();
  const newEntry = Buffer.concat([...kept, field]);
  const head = Buffer.from(image.subarray(0, ENTRY_AT));
  head.writeUInt32LE(newEntry.length, ENTRY_AT - 4);
  return Buffer.concat([head, newEntry, image.subarray(ENTRY_AT + size)]);
}
