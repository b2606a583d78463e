import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChannelsRecord, RecordedStream } from '../formats/channel-record.ts';
import type { TcpEnd } from '../formats/tcp-end.ts';
import type { StreamCut } from '../model/checkpoint.ts';
import { orDiskFull } from '../platform/disk-full.ts';

export type { ChannelsRecord, RecordedStream } from '../formats/channel-record.ts';

/**
 * A round's record as files, beside the task's image; nobody but root may read them:
 * - `channels.json`: every stream's cut ({@link ChannelsRecord});
 * - `channels.bin`: the states of the incoming channels, one after the other: `recorded` bytes from `at` on;
 * - `ends.bin`: for each taken end what its kernel socket had received, then what it had not yet got acknowledged.
 */
export const CHANNELS_FILE = 'channels.json';
export const CHANNEL_BYTES_FILE = 'channels.bin';
export const ENDS_FILE = 'ends.bin';

/** What a round has recorded in this sidecar. */
export interface RoundRecord {
  readonly epoch: number;
  readonly streams: readonly {
    readonly cut: StreamCut;
    /** The incoming channel's state. */
    readonly chunks: readonly Uint8Array[];
    /** The sidecar's end of the local connection. Its application's end is in the CRIU image. */
    readonly end: TcpEnd | undefined;
  }[];
}

/** Writes the record into `folder`, which is made. @throws DiskFullError when there is no room */
export function writeRecord(folder: string, record: RoundRecord): Promise<ChannelsRecord> {
  return orDiskFull(folder, () => writeFiles(folder, record));
}

async function writeFiles(folder: string, record: RoundRecord): Promise<ChannelsRecord> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await using channels = await BytesFile.open(join(folder, CHANNEL_BYTES_FILE));
  await using ends = await BytesFile.open(join(folder, ENDS_FILE));
  const streams: RecordedStream[] = [];
  for (const { cut, chunks, end } of record.streams) {
    const stream: RecordedStream = { ...cut, at: await channels.append(chunks) };
    if (end) {
      const { received, unacknowledged, ...rest } = end;
      stream.end = {
        ...rest,
        at: await ends.append([received, unacknowledged]),
        receivedBytes: received.length,
        unacknowledgedBytes: unacknowledged.length,
      };
    }
    streams.push(stream);
  }
  const written: ChannelsRecord = { version: 2, epoch: record.epoch, streams };
  await writeFile(join(folder, CHANNELS_FILE), JSON.stringify(written), { mode: 0o600 });
  return written;
}

/** @throws ZodError or the system's error when there is no such record */
export async function readRecord(folder: string): Promise<ChannelsRecord> {
  const { recordSchema } = await import('../formats/channel-record.ts');
  return recordSchema.parse(await readCheckedRecord(folder));
}

/** The same, for who knows that somebody has looked at it before. @throws the system's error when there is no such record */
export async function readCheckedRecord(folder: string): Promise<ChannelsRecord> {
  return JSON.parse(await readFile(join(folder, CHANNELS_FILE), 'utf8')) as ChannelsRecord;
}

/** The state of the stream's incoming channel. @throws Error when the file is shorter than it must be */
export async function readRecorded(folder: string, stream: RecordedStream): Promise<Buffer> {
  await using file = await open(join(folder, CHANNEL_BYTES_FILE));
  return await readBytes(file, stream.at, stream.recorded); // before it is closed
}

/** The sidecar's end of the local connection. @returns undefined when it was not taken @throws as {@link readRecorded} */
export async function readEnd(folder: string, stream: RecordedStream): Promise<TcpEnd | undefined> {
  if (!stream.end) return undefined;
  const { at, receivedBytes, unacknowledgedBytes, ...rest } = stream.end;
  await using file = await open(join(folder, ENDS_FILE));
  return {
    ...rest,
    received: await readBytes(file, at, receivedBytes),
    unacknowledged: await readBytes(file, at + receivedBytes, unacknowledgedBytes),
  };
}

async function readBytes(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let have = 0; have < length;) {
    const { bytesRead } = await file.read(bytes, have, length - have, at + have);
    if (bytesRead === 0) throw new Error(`the record ends at ${at + have}, ${length - have} bytes too early`);
    have += bytesRead;
  }
  return bytes;
}

/** A file that grows, and says where. */
class BytesFile {
  readonly #file: FileHandle;
  #length = 0;

  static async open(path: string): Promise<BytesFile> {
    return new BytesFile(await open(path, 'w', 0o600));
  }

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @returns where the bytes begin */
  async append(chunks: readonly Uint8Array[]): Promise<number> {
    const at = this.#length;
    for (const chunk of chunks) {
      for (let written = 0; written < chunk.length;)
        written += (await this.#file.write(chunk, written, chunk.length - written)).bytesWritten;
      this.#length += chunk.length;
    }
    return at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
