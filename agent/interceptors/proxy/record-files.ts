import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { tcpEndSchema } from './repair.ts';
import type { TcpEnd } from './repair.ts';
import type { RoundRecord } from './round.ts';

/**
 * A round's record as files, beside the task's image: `channels.json`, and for each stream that had bytes in flight towards this task
 * `<stream>.in`, just these bytes; and `<stream>.end`, a {@link TcpEnd} as JSON, if ends were taken. Nobody but root may read them.
 */
export const CHANNELS_FILE = 'channels.json';

const endpoint = z.object({ address: z.string(), port: z.number() });

const schema = z.object({
  version: z.literal(1),
  epoch: z.number(),
  streams: z.array(
    z.object({
      id: z.string(),
      role: z.enum(['opener', 'acceptor']),
      client: endpoint,
      server: endpoint,
      opening: z.boolean(),
      sent: z.number(),
      finSent: z.boolean(),
      delivered: z.number(),
      finDelivered: z.boolean(),
      /** Bytes of the incoming channel's state; they are in the file `<id>.in` if there are any. */
      recorded: z.number(),
      /** The channel's end is part of its state. */
      finRecorded: z.boolean(),
      resetRecorded: z.boolean(),
      /** The file `<id>.end` has the state of the sidecar's local socket. */
      endTaken: z.boolean(),
      /** The peer's marker (or the channel's end) has come. */
      complete: z.boolean(),
    }),
  ),
});

/** What `channels.json` says. */
export type ChannelsRecord = z.infer<typeof schema>;

/** Writes the record into `folder`, which is made. */
export async function writeRecord(folder: string, record: RoundRecord): Promise<ChannelsRecord> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const streams: ChannelsRecord['streams'] = [];
  for (const cut of record.streams) {
    const recording = record.recordings.get(`${cut.id}${cut.role === 'opener' ? '<' : '>'}`);
    if (recording && recording.bytes > 0) {
      await using file = await open(join(folder, `${cut.id}.in`), 'w', 0o600);
      await file.writev(recording.chunks);
    }
    const end = record.ends.get(cut.id);
    if (end) await writeFile(join(folder, `${cut.id}.end`), JSON.stringify(end), { mode: 0o600 });
    streams.push({
      ...cut,
      recorded: recording?.bytes ?? 0,
      finRecorded: recording?.fin ?? false,
      resetRecorded: recording?.reset ?? false,
      endTaken: end !== undefined,
      complete: recording?.complete ?? true,
    });
  }
  const written: ChannelsRecord = { version: 1, epoch: record.epoch, streams };
  await writeFile(join(folder, CHANNELS_FILE), JSON.stringify(written), { mode: 0o600 });
  return written;
}

/** @throws ZodError or the system's error when there is no such record */
export async function readRecord(folder: string): Promise<ChannelsRecord> {
  return schema.parse(JSON.parse(await readFile(join(folder, CHANNELS_FILE), 'utf8')));
}

/** The local socket of a stream. @throws ZodError or the system's error when it was not taken */
export async function readEnd(folder: string, stream: string): Promise<TcpEnd> {
  return tcpEndSchema.parse(JSON.parse(await readFile(join(folder, `${stream}.end`), 'utf8')));
}
