import { describe, expect, test } from 'vitest';
import { restorationOf } from '../../../agent/sidecar/checkpoint/restoration.ts';
import type { RecordedStream } from '../../../src/storage/channel-records.ts';
import { emptyEnd } from '../../../agent/linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { Connection } from '../../../src/model/connection.ts';

const APP = { address: '10.0.0.1', port: 4000 };
const SERVER = { address: '10.0.0.2', port: 80 };
const SEND_WINDOW_AT = 4;

function window(sendWindow: number): string {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(sendWindow, SEND_WINDOW_AT);
  return bytes.toString('base64');
}

const END: TcpEnd = {
  local: SERVER,
  remote: APP,
  fins: { sent: false, acknowledged: false, received: false },
  options: 7,
  mss: 1448,
  sendScale: 7,
  receiveScale: 7,
  timestamp: 1,
  receiveSeq: 5_000,
  sendSeq: 4,
  window: window(1_000),
  received: Buffer.from('from the application'),
  unacknowledged: Buffer.from('0123456789'),
  unsentBytes: 3,
};

const CUT: RecordedStream = {
  id: '0'.repeat(32),
  role: 'opener',
  client: APP,
  server: SERVER,
  target: SERVER,
  opening: false,
  sent: 100,
  finSent: false,
  delivered: 50,
  finDelivered: false,
  recorded: 8,
  finRecorded: false,
  resetRecorded: false,
  endTaken: true,
  complete: true,
  at: 0,
};
const RECORDED = Buffer.from('recorded');

function connection(rcvNxt: number, state = 'ESTABLISHED'): Connection {
  const queues = { sndUna: 0, sndNxt: 0, writeSeq: 0, sendQueueBytes: 0, recvQueueBytes: 0, sequencesKnown: true };
  return { local: APP, remote: SERVER, state, rcvNxt, ...queues };
}

describe('an end that is to be made again', () => {
  // The send queue lies across the border of the sequence numbers: 2^32 - 6 … 4.
  const FIRST = 2 ** 32 - 6;

  test.each([
    ['nothing of the queue', FIRST, '0123456789', 1_000],
    ['a part of it', 0, '6789', 994],
    ['all of it', 4, '', 990],
  ])('sends again what the application has not: it has %s', (_name, rcvNxt, unsent, sendWindow) => {
    const emptied = emptyEnd(END, rcvNxt >>> 0);
    expect(emptied.unsent.toString()).toBe(unsent);
    expect(emptied.end).toMatchObject({ sendSeq: rcvNxt >>> 0, receiveSeq: 5_000, unsentBytes: 0 });
    expect([emptied.end.received.length, emptied.end.unacknowledged.length]).toEqual([0, 0]);
    expect(Buffer.from(emptied.end.window, 'base64').readUInt32LE(SEND_WINDOW_AT)).toBe(sendWindow);
    expect(emptied.finDelivered).toBe(false);
  });

  test('knows whether the application has its FIN', () => {
    const closed = { ...END, fins: { sent: true, acknowledged: false, received: false } };
    expect(emptyEnd(closed, 5)).toMatchObject({ finDelivered: true, end: { sendSeq: 5 } });
    expect(emptyEnd(closed, 4)).toMatchObject({ finDelivered: false, end: { sendSeq: 4 } });
    expect(() => emptyEnd(END, 5)).toThrow('expects 5');
  });

  test('refuses an application that has not got what was acknowledged', () => {
    expect(() => emptyEnd(END, (FIRST - 1) >>> 0)).toThrow('10 bytes up to 4');
  });
});

describe('a recorded stream', () => {
  const plan = { action: 'RESUME' } as const;

  test('goes on with what is missing in the application, then with the recorded bytes', () => {
    const restoration = restorationOf(CUT, plan, END, connection(0), RECORDED);
    expect(restoration).toMatchObject({
      kind: 'connected',
      stream: {
        outgoing: { sent: 100, finSent: false, pending: END.received },
        appEnded: false,
        incoming: { received: 58, finReceived: false, finDelivered: false },
        phase: 'reconnecting',
      },
    });
    const { stream } = restoration as Extract<typeof restoration, { kind: 'connected' }>;
    expect(Buffer.concat(stream.incoming.undelivered).toString()).toBe('6789recorded');
  });

  test.each([
    ['without a plan', undefined, {}, 'reset'],
    ['whose other end nobody has', 'RESET', {}, 'reset'],
    ['that is alone and has not ended', 'ALONE', {}, 'reset'],
    ['that is alone and has ended', 'ALONE', { finRecorded: true }, 'ended'],
    ['that was reset by its peer', 'RESUME', { resetRecorded: true }, 'ended'],
    ['that nobody had heard of', 'OPEN', { opening: true }, 'opening'],
    ['whose sidecar had no end any more', 'RESUME', { endTaken: false }, 'none'],
  ] as const)('%s', (_name, action, changes, outcome) => {
    const cut = { ...CUT, ...changes };
    const restoration = restorationOf(
      cut,
      action && { action },
      cut.endTaken ? END : undefined,
      connection(4),
      RECORDED,
    );
    expect(restoration.kind === 'connected' ? restoration.stream.phase : restoration.kind).toBe(outcome);
  });

  test('whose numbers do not fit is given up, and says why', () => {
    expect(restorationOf(CUT, plan, END, connection(77), RECORDED)).toEqual({
      kind: 'none',
      problem: expect.stringContaining('expects 77') as string,
    });
  });

  describe('whose application was not restored', () => {
    const ended = { ...END, fins: { sent: false, acknowledged: false, received: true } };
    const over = { ...END, fins: { sent: true, acknowledged: true, received: true } };
    const fresh = { ...CUT, role: 'acceptor', sent: 0, delivered: 0 } as const;
    const silent = { ...END, received: Buffer.alloc(0) };

    test.each([
      ['had closed its direction', CUT, ended, undefined, 'absent'],
      ['had closed both, unheard', CUT, over, undefined, 'absent'],
      ['had closed both, and its socket was not gone', CUT, over, connection(5, 'LAST_ACK'), 'absent'],
      ['had closed both, and the peer knew', { ...CUT, finSent: true, finDelivered: true }, over, undefined, 'none'],
      ['had not accepted', fresh, silent, undefined, 'unaccepted'],
      ['had not accepted, and something was lost', { ...fresh, delivered: 9 }, silent, undefined, 'none'],
      ['was reset', CUT, END, connection(4, 'CLOSE'), 'none'],
    ] as const)('because it %s', (_name, cut, end, found, kind) => {
      expect(restorationOf(cut, plan, end, found, RECORDED).kind).toBe(kind);
    });
  });
});
