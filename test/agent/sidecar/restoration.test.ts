import { describe, expect, test } from 'vitest';
import { restorationOf } from '../../../agent/sidecar/checkpoint/restoration.ts';
import type { RecordedStream } from '../../../src/storage/channel-records.ts';
import { emptyEnd } from '../../../agent/linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { Connection } from '../../../src/model/connection.ts';
import { end } from '../../model/connections.ts';
import { streamEnd } from '../../model/streams.ts';

const SEND_WINDOW_AT = 4;
// The send queue lies across the border of the sequence numbers: 2^32 - 6 … 4.
const QUEUE_BEGIN = 2 ** 32 - 6;
const QUEUE_END = 4;

function window(sendWindow: number): string {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(sendWindow, SEND_WINDOW_AT);
  return bytes.toString('base64');
}

const CUT: RecordedStream = { ...streamEnd('opener', { sent: 100, delivered: 50, recorded: 8 }), at: 0 };
const RECORDED = Buffer.from('recorded');

const OPEN = { sent: false, acknowledged: false, received: false };
/** The sidecar's end of its connection with the application. */
const END: TcpEnd = {
  local: CUT.server,
  remote: CUT.client,
  fins: OPEN,
  options: 7,
  mss: 1448,
  sendScale: 7,
  receiveScale: 7,
  timestamp: 1,
  receiveSeq: 5_000,
  sendSeq: QUEUE_END,
  window: window(1_000),
  received: Buffer.from('from the application'),
  unacknowledged: Buffer.from('0123456789'),
  unsentBytes: 3,
};
const WITH_FIN: TcpEnd = { ...END, fins: { ...OPEN, sent: true } };

/** The application's end. */
function connection(rcvNxt: number, state = 'ESTABLISHED'): Connection {
  return end('10.0.1.2:4000', '10.0.1.3:9000', [0, 0, rcvNxt], { state });
}

describe('an end that is to be made again', () => {
  test.each([
    ['nothing of the queue', END, QUEUE_BEGIN, { unsent: '0123456789', sendWindow: 1_000, finDelivered: false }],
    ['a part of it', END, 0, { unsent: '6789', sendWindow: 994, finDelivered: false }],
    ['all of it', END, QUEUE_END, { unsent: '', sendWindow: 990, finDelivered: false }],
    ['all of it but the FIN', WITH_FIN, QUEUE_END, { unsent: '', sendWindow: 990, finDelivered: false }],
    ['all of it and the FIN', WITH_FIN, QUEUE_END + 1, { unsent: '', sendWindow: 990, finDelivered: true }],
  ])('sends again what the application has not: it has %s', (_name, recorded, rcvNxt, expected) => {
    const { end, unsent, finDelivered } = emptyEnd(recorded, rcvNxt);
    const sendWindow = Buffer.from(end.window, 'base64').readUInt32LE(SEND_WINDOW_AT);
    expect({ unsent: unsent.toString(), sendWindow, finDelivered }).toEqual(expected);
    expect(end).toMatchObject({ sendSeq: rcvNxt, receiveSeq: 5_000, unsentBytes: 0 });
    expect([end.received.length, end.unacknowledged.length]).toEqual([0, 0]);
  });

  test.each([
    ['more than was sent', QUEUE_END + 1, 'expects 5'],
    ['less than it has acknowledged', QUEUE_BEGIN - 1, '10 bytes up to 4'],
  ])('refuses an application that has got %s', (_name, rcvNxt, problem) => {
    expect(() => emptyEnd(END, rcvNxt)).toThrow(problem);
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
    const ended = { ...END, fins: { ...OPEN, received: true } };
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
