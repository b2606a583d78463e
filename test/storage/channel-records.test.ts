import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  CHANNELS_FILE,
  CHANNEL_BYTES_FILE,
  ENDS_FILE,
  readEnd,
  readRecord,
  readRecorded,
  writeRecord,
} from '../../src/storage/channel-records.ts';
import type { TcpEnd } from '../../src/formats/tcp-end.ts';
import type { RoundRecord } from '../../src/storage/channel-records.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'record-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const CLIENT = { address: '10.0.0.1', port: 4000 };
const SERVER = { address: '10.0.0.2', port: 80 };

function end(received: string, unacknowledged: string): TcpEnd {
  return {
    local: SERVER,
    remote: CLIENT,
    fins: { sent: true, acknowledged: false, received: false },
    options: 7,
    mss: 1448,
    sendScale: 7,
    receiveScale: 8,
    timestamp: 9,
    receiveSeq: 4_000_000_000,
    sendSeq: 1,
    window: Buffer.alloc(20, 5).toString('base64'),
    received: Buffer.from(received),
    unacknowledged: Buffer.from(unacknowledged),
    unsentBytes: 2,
  };
}

function stream(id: number, chunks: readonly string[], taken: TcpEnd | undefined): RoundRecord['streams'][number] {
  return {
    cut: {
      id: id.toString(16).padStart(32, '0'),
      role: 'opener',
      client: CLIENT,
      server: SERVER,
      target: SERVER,
      opening: false,
      sent: 2 ** 40,
      finSent: true,
      delivered: 7,
      finDelivered: false,
      recorded: chunks.join('').length,
      finRecorded: true,
      resetRecorded: false,
      endTaken: taken !== undefined,
      complete: true,
    },
    chunks: chunks.map((chunk) => Buffer.from(chunk)),
    end: taken,
  };
}

const RECORD: RoundRecord = {
  epoch: 3,
  streams: [
    stream(1, ['first, ', 'in two pieces'], end('abc', 'defgh')),
    stream(2, [], undefined),
    stream(3, ['third'], end('', 'xy')),
  ],
};

test('what is written is read, stream by stream', async () => {
  await writeRecord(folder, RECORD);
  const record = await readRecord(folder);
  expect(record).toMatchObject({ version: 2, epoch: 3 });
  for (const [at, { cut, chunks, end }] of RECORD.streams.entries()) {
    const read = record.streams[at];
    if (!read) throw new Error('a stream is missing');
    expect(read).toMatchObject(cut);
    expect(await readRecorded(folder, read)).toEqual(Buffer.concat(chunks));
    const taken = await readEnd(folder, read);
    expect(taken && { ...taken, at: undefined }).toEqual(end && { ...end, at: undefined });
  }
});

test('only root may read it', async () => {
  await writeRecord(join(folder, 'made'), RECORD);
  for (const file of [CHANNELS_FILE, CHANNEL_BYTES_FILE, ENDS_FILE])
    expect(statSync(join(folder, 'made', file)).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'made')).mode & 0o777).toBe(0o700);
});

test('a file that was cut short is noticed', async () => {
  const { streams } = await writeRecord(folder, RECORD);
  const [first, , last] = streams;
  if (!first || !last) throw new Error('a stream is missing');
  truncateSync(join(folder, CHANNEL_BYTES_FILE), 22);
  truncateSync(join(folder, ENDS_FILE), 9);
  expect((await readRecorded(folder, first)).toString()).toBe('first, in two pieces');
  await expect(readRecorded(folder, last)).rejects.toThrow('ends at 22, 3 bytes too early');
  await expect(readEnd(folder, last)).rejects.toThrow('ends at 9');
});
