import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CHANNELS_FILE } from '../../../src/storage/channel-records.ts';
import type { RecordedStream } from '../../../src/storage/channel-records.ts';
import { proxiedConnections } from '../../../agent/restores/proxied-connections.ts';
import type { Connection } from '../../../src/model/connection.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmcut-record-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const task = (port: number): { address: string; port: number } => ({ address: '10.0.1.2', port });
const peer = { address: '10.0.1.3', port: 9000 };

/** The application's end in the image. 100 bytes in its send queue. */
function connection(port: number, more: Partial<Connection> = {}): Connection {
  return {
    local: task(port),
    remote: peer,
    state: 'ESTABLISHED',
    sndUna: 1000,
    sndNxt: 1100,
    writeSeq: 1100,
    rcvNxt: port,
    sendQueueBytes: 100,
    recvQueueBytes: 0,
    sequencesKnown: true,
    ...more,
  };
}

/** A stream whose sidecar has received everything up to 1040 from its application. */
function stream(port: number, taken = true): RecordedStream {
  const end = {
    local: peer,
    remote: task(port),
    fins: { sent: false, acknowledged: false, received: false },
    options: 0,
    mss: 1460,
    sendScale: 7,
    receiveScale: 7,
    timestamp: 0,
    receiveSeq: 1040,
    sendSeq: port,
    window: '',
    at: 0,
    receivedBytes: 0,
    unacknowledgedBytes: 0,
    unsentBytes: 0,
  };
  return {
    id: port.toString(16).padStart(32, '0'),
    role: 'opener',
    client: task(port),
    server: peer,
    target: peer,
    opening: false,
    sent: 0,
    finSent: false,
    delivered: 0,
    finDelivered: false,
    recorded: 0,
    finRecorded: false,
    resetRecorded: false,
    endTaken: taken,
    complete: true,
    at: 0,
    ...(taken ? { end } : {}),
  };
}

function record(...streams: RecordedStream[]): void {
  writeFileSync(join(folder, CHANNELS_FILE), JSON.stringify({ version: 2, epoch: 1, streams }));
}

it('what the sidecar has not got is restored as unsent; other connections are none of its business', async () => {
  record(stream(40_001), stream(40_002), stream(40_003), stream(40_004, false), stream(40_005));
  const [open, emptied, closing, notTaken, direct] = [
    connection(40_001),
    connection(40_002, { sndUna: 1100 }),
    connection(40_003, { state: 'FIN_WAIT1' }),
    connection(40_004),
    connection(40_099),
  ];
  const found = await proxiedConnections(folder, [open, emptied, closing, notTaken, direct]);
  expect(found.connections).toEqual([open, emptied, closing]);
  expect(found.unsent).toEqual([{ writeSeq: 1100, rcvNxt: 40_001, from: 1040 }]);
});

it('a record that cannot be read fails the restore', async () => {
  await expect(proxiedConnections(folder, [])).rejects.toThrow(/ENOENT/);
});
