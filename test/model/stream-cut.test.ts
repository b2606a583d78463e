import { describe, expect, test } from 'vitest';
import type { StreamCut } from '../../src/model/checkpoint.ts';
import { pairConnections } from '../../src/model/cut.ts';
import {
  checkStreams,
  directConnections,
  halfOpenConnections,
  pairStreams,
  streamChannelText,
} from '../../src/model/stream-cut.ts';
import { end, endpoint, task } from './connections.ts';
import { streamEnd, streamId } from './streams.ts';

type Changes = Partial<StreamCut>;

/** The verdicts on the two channels of one stream; undefined: that end is in no record. */
function verdicts(opener: Changes | undefined, acceptor: Changes | undefined, partial = false) {
  const tasks = [
    { key: 'a.1', streams: opener === undefined ? [] : [streamEnd('opener', opener)] },
    { key: 'b.1', streams: acceptor === undefined ? [] : [streamEnd('acceptor', acceptor)] },
  ];
  return checkStreams(pairStreams(tasks), { partial }).map(({ direction, reason }) => [direction, reason]);
}

const SOUND = [
  ['to-server', ''],
  ['to-client', ''],
];

describe('the cut condition of a stream', () => {
  test('what was sent is delivered or recorded, in each direction', () => {
    expect(verdicts({ sent: 100, delivered: 7 }, { delivered: 60, recorded: 40, sent: 7 })).toEqual(SOUND);
  });

  test.each([
    [39, '1 bytes that were sent before the cut are neither delivered nor recorded'],
    [41, 'the receiver has 1 bytes that the sender had not sent at its cut'],
  ])('%i recorded bytes of 40 break it', (recorded, reason) => {
    expect(verdicts({ sent: 100 }, { delivered: 60, recorded })).toEqual([
      ['to-server', reason],
      ['to-client', ''],
    ]);
    expect(verdicts({ delivered: 60, recorded }, { sent: 100 })).toEqual([
      ['to-server', ''],
      ['to-client', reason],
    ]);
  });

  test('a recording whose marker has not come is none, even if the numbers agree', () => {
    expect(verdicts({ sent: 5 }, { delivered: 5, complete: false })[0]?.[1]).toMatch(/not complete/);
    expect(verdicts(undefined, { finRecorded: true, complete: false })[0]?.[1]).toMatch(/not complete/);
  });

  test("the channel's end is part of the channel's state", () => {
    expect(verdicts({ sent: 5, finSent: true }, { delivered: 5, finDelivered: true })).toEqual(SOUND);
    expect(verdicts({ sent: 5, finSent: true }, { recorded: 5, finRecorded: true })).toEqual(SOUND);
    expect(verdicts({ sent: 5, finSent: true }, { delivered: 5 })[0]?.[1]).toMatch(/neither delivered nor recorded/);
    expect(verdicts({ sent: 5 }, { delivered: 5, finRecorded: true })[0]?.[1]).toMatch(/had not ended/);
    expect(verdicts({ sent: 5, finSent: true }, { recorded: 5, resetRecorded: true })).toEqual(SOUND);
  });

  test('an end that was gone at its cut must have been seen to end', () => {
    const gone = 'no task has the other end, and b.1 has not seen it end';
    expect(verdicts(undefined, { delivered: 5, sent: 9 })).toEqual([
      ['to-server', gone],
      ['to-client', gone],
    ]);
    expect(verdicts(undefined, { delivered: 5, finRecorded: true })).toEqual(SOUND);
    expect(verdicts(undefined, { recorded: 5, resetRecorded: true })).toEqual(SOUND);
    expect(verdicts({ finDelivered: true }, undefined)).toEqual(SOUND);
    // Its application's connection was gone, too: nothing of the stream is left anywhere.
    expect(verdicts({ endTaken: false }, undefined)).toEqual(SOUND);
  });

  test('a stream that the peer had not heard of has carried nothing', () => {
    expect(verdicts({ opening: true }, undefined)).toEqual(SOUND);
    expect(verdicts({ opening: true, sent: 1 }, undefined)[0]?.[1]).toMatch(/before it was accepted/);
    // Accepted, but the answer was on its way at the cut; the server has spoken first.
    expect(verdicts({ opening: true, recorded: 12 }, { sent: 12 })).toEqual(SOUND);
  });

  test('when only some tasks take part, the other ends are with the others', () => {
    expect(verdicts({ sent: 5 }, undefined, true)).toEqual(SOUND);
    expect(verdicts({ sent: 5, complete: false }, undefined, true)[1]?.[1]).toMatch(/not complete/);
    expect(verdicts({ sent: 5 }, { delivered: 4 }, true)[0]?.[1]).toMatch(/1 bytes/);
  });

  test('two tasks cannot have the same end', () => {
    const streams = [streamEnd('opener')];
    const checks = checkStreams(
      pairStreams([
        { key: 'a.1', streams },
        { key: 'c.1', streams },
      ]),
      { partial: true },
    );
    expect(checks.filter(({ ok }) => !ok)).toMatchObject([{ receiver: { task: 'c.1' } }]);
  });

  test('a virtual address is told as the task behind it; the channel by tasks and addresses', () => {
    const tasks = [
      { key: 'a.1', streams: [streamEnd('opener', { server: endpoint('10.0.1.200:9000') })] },
      { key: 'b.1', streams: [streamEnd('acceptor')] },
    ];
    expect(checkStreams(pairStreams(tasks)).map(streamChannelText)).toEqual([
      'a.1 10.0.1.2:4000 -> b.1 10.0.1.3:9000',
      'b.1 10.0.1.3:9000 -> a.1 10.0.1.2:4000',
    ]);
  });
});

describe('connections that end in a sidecar', () => {
  // As CRIU records them: mirrored tuples, but each has its own sidecar's sequence numbers.
  const opener = end('10.0.1.2:4000', '10.0.1.200:9000', [100, 200, 900]);
  const acceptor = end('10.0.1.3:9000', '10.0.1.2:4000', [77_000, 77_000, 5]);
  const plain = end('10.0.1.2:5555', '93.184.215.14:443', [1, 1, 1]);
  const streams = [streamEnd('opener', { server: endpoint('10.0.1.200:9000') })];

  test('are paired with nobody, and are not external', () => {
    const tasks = [
      task('a.1', { net: '10.0.1.2' }, directConnections([opener, plain], streams)),
      task('b.1', { net: '10.0.1.3' }, directConnections([acceptor], [streamEnd('acceptor')])),
    ];
    const pairing = pairConnections(tasks);
    expect(pairing.pairs).toEqual([]);
    expect(pairing.unmatched).toEqual([]);
    expect(pairing.external.map(({ connection }) => connection)).toEqual([plain]);
  });

  test('the peer’s stream of the same addresses takes nothing away', () => {
    // A second connection with the same four-tuple in the other task, which its own sidecar knows nothing of.
    expect(directConnections([acceptor], [streamEnd('opener')])).toEqual([acceptor]);
  });

  test('those without a sidecar half are told, unless they have ended', () => {
    const cut = streamEnd('opener', { server: endpoint('10.0.1.200:9000'), endTaken: false });
    const of = (connections: readonly (typeof opener)[]) =>
      halfOpenConnections({ key: 'a.1', streams: [cut], connections });
    expect(of([opener, plain])).toEqual([{ task: 'a.1', connection: opener }]);
    expect(of([{ ...opener, state: 'CLOSE' }, plain])).toEqual([]);
    expect(halfOpenConnections({ key: 'a.1', streams, connections: [opener] })).toEqual([]);
  });
});

test('ends are put together by id, whatever their addresses', () => {
  const { pairs, strays } = pairStreams([
    { key: 'a.1', streams: [streamEnd('opener'), streamEnd('acceptor', { id: streamId(2) })] },
    { key: 'b.1', streams: [streamEnd('opener', { id: streamId(2), client: endpoint('10.9.9.9:1') })] },
    { key: 'c.1', streams: [streamEnd('acceptor', { server: endpoint('10.8.8.8:1') })] },
  ]);
  expect(pairs.map(({ opener, acceptor }) => [opener?.task, acceptor?.task])).toEqual([
    ['a.1', 'c.1'],
    ['b.1', 'a.1'],
  ]);
  expect(strays).toEqual([]);
});
