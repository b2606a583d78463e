import { describe, expect, it } from 'vitest';
import { SwarmcutError } from '../../src/model/errors.ts';
import { decodeImage } from '../../src/formats/criu-image.ts';
import { decodeDumpStats, decodeProcesses } from '../../src/formats/criu-processes.ts';
import { decodeConnections } from '../../src/formats/criu-sockets.ts';
import { image, message, socketFile, STATE, streamImage } from './image-builder.ts';
import { random } from '../streams/random.ts';

const PSTREE = image('pstree', [
  message([
    [1, 1],
    [2, 0],
    [3, 1],
    [4, 1],
    [5, [1, 7, 8]],
  ]),
  message([
    [1, 9],
    [2, 1],
    [3, 1],
    [4, 1],
    [5, [9]],
  ]),
]);
const CORE = image('core', [
  message([
    [1, 1],
    [
      3,
      message([
        [1, 1],
        [2, 0],
        [3, 0],
        [4, 0],
        [5, 2 ** 40],
        [6, 'node'],
      ]),
    ],
  ]),
]);
const STATS = image('stats', [
  message([
    [
      1,
      message([
        [1, 490],
        [2, 282_655],
        [3, 50_473],
        [4, 47_088],
        [5, 3000],
        [6, 0],
        [7, 2 ** 33 + 1],
        [9, 0],
      ]),
    ],
  ]),
]);

describe('decodeProcesses', () => {
  it('reads the tree, threads and names', () => {
    const files = new Map([
      ['pstree.img', PSTREE],
      ['core-1.img', CORE],
    ]);
    expect(decodeProcesses(files)).toEqual([
      { pid: 1, parentPid: 0, threads: 3, command: 'node' },
      { pid: 9, parentPid: 1, threads: 1, command: '' },
    ]);
  });
});

describe('decodeDumpStats', () => {
  it('reads figures beyond 32 bits', () => {
    expect(decodeDumpStats(STATS)).toEqual({
      freezingUs: 490,
      frozenUs: 282_655,
      memdumpUs: 50_473,
      memwriteUs: 47_088,
      pagesWritten: 2 ** 33 + 1,
    });
  });
});

describe('malformed images', () => {
  it.each([
    ['shorter than its head', new Uint8Array(7), /shorter than its head/],
    ['wrong magic', new Uint8Array(16), /does not begin like an image/],
    ['another kind', CORE, /not an image of kind pstree/],
    ['a cut size', PSTREE.subarray(0, 10), /within the size of an entry/],
    ['a cut entry', PSTREE.subarray(0, PSTREE.length - 1), /ends within an entry/],
    ['an absurd size', new Uint8Array([...PSTREE.subarray(0, 8), 0xff, 0xff, 0xff, 0x7f]), /claims 2147483647 bytes/],
    ['no protobuf', image('pstree', [new Uint8Array([0xff, 0xff])]), /not a protobuf message/],
    ['a missing field', image('pstree', [message([[1, 1]])]), /field 2 is missing/],
    [
      'a text for a number',
      image('pstree', [
        message([
          [1, 'x'],
          [2, 0],
        ]),
      ]),
      /field 1 is not a number/,
    ],
  ])('%s', (_, data, reason) => {
    expect(() => decodeProcesses(new Map([['pstree.img', data]]))).toThrow(reason);
    expect(() => decodeProcesses(new Map([['pstree.img', data]]))).toThrow(SwarmcutError);
  });

  it('stops at the limit, since raw data may follow', () => {
    const data = image('tcp-stream', [message([[1, 1]])], new Uint8Array(100).fill(0xff));
    expect(decodeImage('tcp-stream', 'x', data, 1)).toHaveLength(1);
    expect(() => decodeImage('tcp-stream', 'x', data)).toThrow(/claims/);
  });

  // Whatever the bytes are: an answer or the one error, never another one, and never without end.
  it('yields an answer or a SwarmcutError for any damage', () => {
    const good = new Map([
      [
        'files.img',
        image('files', [
          socketFile({ ino: 5, state: STATE.FIN_WAIT1, local: [[10, 0, 0, 1], 1], remote: [[10, 0, 0, 2], 2] }),
        ]),
      ],
      [
        'tcp-stream-5.img',
        streamImage(STATE.FIN_WAIT1, { sndUna: 1, sndNxt: 5, writeSeq: 9, rcvNxt: 3, copiedSeq: 2 }),
      ],
      ['pstree.img', PSTREE],
      ['core-1.img', CORE],
    ]);
    const next = random(20_261_123);
    let failures = 0;
    for (let round = 0; round < 3000; round++) {
      const files = new Map([...good].map(([name, data]) => [name, damage(data, next)]));
      for (const decode of [decodeConnections, decodeProcesses]) {
        try {
          decode(files);
        } catch (error) {
          failures++;
          if (!(error instanceof SwarmcutError) || error.code !== 'damaged') throw error;
        }
      }
    }
    expect(failures).toBeGreaterThan(1000);
  });
});

function damage(data: Uint8Array, next: (n: number) => number): Uint8Array {
  const copy = data.slice(0, next(3) === 0 ? next(data.length + 1) : data.length);
  for (let count = next(4); count > 0 && copy.length > 0; count--) copy[next(copy.length)] = next(256);
  return copy;
}
