import { describe, expect, it } from 'vitest';
import { decodeBoundSockets, decodeConnections, decodeDatagramSockets } from '../../src/formats/criu-sockets.ts';
import { image, socketFile, STATE, streamImage, type KernelEnd, type SocketSpec } from './image-builder.ts';
import { random } from '../streams/random.ts';

const V4 = { local: [[10, 0, 1, 5], 53970], remote: [[10, 0, 1, 2], 5000] } as const;

function files(sockets: readonly (SocketSpec & { readonly end?: KernelEnd })[]): Map<string, Uint8Array> {
  const map = new Map([['files.img', image('files', sockets.map(socketFile))]]);
  for (const { ino, state, end } of sockets) {
    if (end !== undefined) map.set(`tcp-stream-${ino.toString(16)}.img`, streamImage(state, end));
  }
  return map;
}

const END: KernelEnd = { sndUna: 1000, sndNxt: 1600, writeSeq: 2000, rcvNxt: 500, copiedSeq: 450 };

describe('decodeConnections', () => {
  it('reads addresses, ports and sequence numbers', () => {
    expect(decodeConnections(files([{ ino: 0x6511, state: STATE.ESTABLISHED, ...V4, end: END }]))).toEqual([
      {
        local: { address: '10.0.1.5', port: 53970 },
        remote: { address: '10.0.1.2', port: 5000 },
        state: 'ESTABLISHED',
        sndUna: 1000,
        sndNxt: 1600,
        writeSeq: 2000,
        rcvNxt: 500,
        sendQueueBytes: 1000,
        recvQueueBytes: 50,
        sequencesKnown: true,
      },
    ]);
  });

  it.each([
    ['2001:db8::1', [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['fe80::a:0:0:1', [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 1]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ['10.0.1.5', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 1, 5]],
    ['::', Array<number>(16).fill(0)],
  ])('writes %s', (text, bytes) => {
    const map = files([{ ino: 1, state: STATE.ESTABLISHED, local: [bytes, 1], remote: [bytes, 2], end: END }]);
    expect(decodeConnections(map)[0]?.local.address).toBe(text);
  });

  it('knows that sockets which listen, were never connected or carry no TCP are no connections', () => {
    const any = [[0, 0, 0, 0], 0] as const;
    const map = files([
      { ino: 1, state: STATE.LISTEN, local: [[0, 0, 0, 0], 80], remote: any },
      { ino: 2, state: STATE.CLOSE, local: any, remote: any },
      { ino: 3, state: STATE.CLOSE, local: [[127, 0, 0, 1], 53], remote: any, type: 2, proto: 17 },
      { ino: 4, state: STATE.ESTABLISHED, local: [[127, 0, 0, 1], 53], remote: [[8, 8, 8, 8], 53], type: 2, proto: 17 },
      // Ended, but not closed by the program: CRIU makes a mere socket of it.
      { ino: 5, state: STATE.CLOSE, ...V4 },
    ]);
    expect(decodeConnections(map)).toEqual([]);
  });

  it('claims to know nothing of the queue of a connection that was reset', () => {
    const [connection] = decodeConnections(files([{ ino: 1, state: STATE.CLOSE, ...V4, end: END }]));
    expect(connection).toMatchObject({ state: 'CLOSE', sequencesKnown: false });
  });

  it('fails if the image of a connection is missing', () => {
    expect(() => decodeConnections(files([{ ino: 255, state: STATE.ESTABLISHED, ...V4 }]))).toThrow(
      /tcp-stream-ff\.img: it is missing/,
    );
  });

  // The kernel's numbers of each state, through CRIU's bookkeeping, must come back, also where they wrap.
  it.each(['ESTABLISHED', 'CLOSE_WAIT', 'FIN_WAIT1', 'FIN_WAIT2', 'CLOSING', 'LAST_ACK', 'SYN_SENT'] as const)(
    'gives back what the kernel had in %s',
    (state) => {
      const next = random(7);
      for (let round = 0; round < 500; round++) {
        const sndUna = round % 2 === 0 ? (0xffffffff - next(3000)) >>> 0 : next(2 ** 32);
        const ownFin = ['FIN_WAIT1', 'CLOSING', 'LAST_ACK'].includes(state) ? 1 : 0;
        const sent = state === 'FIN_WAIT2' ? 0 : state === 'SYN_SENT' ? 1 : next(2000);
        const unsent = state === 'FIN_WAIT2' || state === 'SYN_SENT' ? 0 : next(2) * next(2000);
        const writeSeq = (sndUna + sent + unsent + ownFin) >>> 0;
        // The FIN goes with the last data; if that is unsent, so is the FIN.
        const sndNxt = unsent > 0 ? (sndUna + sent) >>> 0 : writeSeq;
        const rcvNxt = next(2 ** 32);
        const end = { sndUna, sndNxt, writeSeq, rcvNxt, copiedSeq: (rcvNxt - next(5000)) >>> 0 };
        const [connection] = decodeConnections(files([{ ino: 9, state: STATE[state], ...V4, end }]));
        expect(connection).toMatchObject({
          state,
          sndUna,
          sndNxt,
          writeSeq,
          rcvNxt,
          sendQueueBytes: (writeSeq - sndUna) >>> 0,
          recvQueueBytes: (end.rcvNxt - end.copiedSeq) >>> 0,
        });
      }
    },
  );
});

describe('sockets without a connection', () => {
  const UDP = { type: 2, proto: 17 };
  const none = [[0, 0, 0, 0], 0] as const;
  const map = files([
    { ino: 1, state: STATE.LISTEN, local: [[0, 0, 0, 0], 80], remote: none },
    { ino: 2, state: STATE.LISTEN, local: [[10, 0, 1, 5], 80], remote: none },
    { ino: 3, state: STATE.LISTEN, local: [[127, 0, 0, 1], 80], remote: none },
    { ino: 4, state: STATE.CLOSE, local: [[10, 0, 1, 5], 53], remote: none, ...UDP },
    { ino: 5, state: STATE.CLOSE, local: [[0, 0, 0, 0], 53], remote: none, ...UDP },
    { ino: 6, state: STATE.ESTABLISHED, local: [[10, 0, 1, 5], 4000], remote: [[10, 0, 1, 2], 53], ...UDP },
    { ino: 7, state: STATE.ESTABLISHED, local: [[127, 0, 0, 1], 4000], remote: [[127, 0, 0, 11], 53], ...UDP },
    { ino: 8, state: STATE.ESTABLISHED, ...V4, end: END },
  ]);

  it('of UDP are told from those of the task itself', () => {
    expect(decodeDatagramSockets(map)).toEqual([
      { local: { address: '10.0.1.5', port: 4000 }, remote: { address: '10.0.1.2', port: 53 } },
    ]);
  });

  it('are named if they are bound to one address that others reach', () => {
    expect(decodeBoundSockets(map)).toEqual([
      { local: { address: '10.0.1.5', port: 80 }, datagrams: false },
      { local: { address: '10.0.1.5', port: 53 }, datagrams: true },
    ]);
  });
});
