import { describe, expect, test } from 'vitest';
import type { Connection } from '../../src/model/connection.ts';
import { checkCut, pairConnections, type CutTask } from '../../src/model/cuts/cut.ts';
import { end, task } from './connections.ts';

/** [una, nxt, rcvNxt] of one end. */
type Sequences = [number, number, number];

function pairOf(
  a: Sequences,
  b: Sequences,
  more: { a?: Partial<Connection>; b?: Partial<Connection> } = {},
): CutTask[] {
  return [
    task('client.1', { net: '10.0.1.5' }, [end('10.0.1.5:40000', '10.0.1.6:7000', a, more.a)]),
    task('server.1', { net: '10.0.1.6' }, [end('10.0.1.6:7000', '10.0.1.5:40000', b, more.b)]),
  ];
}

describe('pairing', () => {
  test('mirrored four-tuples are one connection, also within a task', () => {
    const [client, server] = pairOf([100, 200, 900], [900, 900, 150]);
    if (!client || !server) throw new Error();
    const self = task('self.1', { net: '10.0.1.7' }, [
      end('10.0.1.7:1000', '10.0.1.7:2000', [1, 1, 5]),
      end('10.0.1.7:2000', '10.0.1.7:1000', [5, 5, 1]),
      end('127.0.0.1:2000', '127.0.0.1:1000', [5, 5, 1]),
    ]);
    const pairing = pairConnections([client, server, self]);
    expect(pairing.pairs.map(({ a, b }) => [a.task, b.task])).toEqual([
      ['client.1', 'server.1'],
      ['self.1', 'self.1'],
    ]);
    expect(pairing.loopback).toHaveLength(1);
    expect(pairing.external).toEqual([]);
    expect(pairing.unmatched).toEqual([]);
  });

  test('the end of a connection that nobody has accepted is unmatched, one to elsewhere is external', () => {
    const pairing = pairConnections([
      task('client.1', { net: '10.0.1.5' }, [
        end('10.0.1.5:40000', '10.0.1.6:7000', [1, 1, 1]),
        end('10.0.1.5:40001', '192.0.2.1:443', [1, 1, 1]),
        end('10.0.1.5:40002', '192.0.2.1:443', [1, 1, 1], { state: 'CLOSE' }),
      ]),
      task('server.1', { net: '10.0.1.6' }, []),
    ]);
    expect(pairing.unmatched.map(({ connection }) => connection.local.port)).toEqual([40000]);
    expect(pairing.external.map(({ connection }) => connection.local.port)).toEqual([40001]);
    expect(pairing.pairs).toEqual([]);
  });

  test('sequence numbers tell ends apart that have the same name', () => {
    // second.1 was restored and keeps sockets named by its first address, which Swarm has given to first.1 meanwhile.
    const tasks = [
      task('first.1', { net: '10.0.1.5' }, [end('10.0.1.5:40000', '10.0.1.6:7000', [1000, 1000, 2000])]),
      task('second.1', { net: '10.0.1.8' }, [end('10.0.1.5:40000', '10.0.1.6:7000', [500_000, 500_010, 700])]),
      task('server.1', { net: '10.0.1.6' }, [
        end('10.0.1.6:7000', '10.0.1.5:40000', [700, 700, 500_010]),
        end('10.0.1.6:7000', '10.0.1.5:40000', [2000, 2000, 1000]),
      ]),
    ];
    const pairing = pairConnections(tasks);
    expect(pairing.pairs.map(({ a, b }) => [a.task, b.connection.rcvNxt])).toEqual([
      ['first.1', 1000],
      ['second.1', 500_010],
    ]);
    expect(pairing.unmatched).toEqual([]);
  });

  test('a virtual IP between the ends is seen through, also when the masquerade has changed the port', () => {
    const tasks = [
      task('client.1', { net: '10.0.1.5' }, [
        end('10.0.1.5:40000', '10.0.1.2:7000', [100, 150, 4_294_967_290]),
        end('10.0.1.5:40001', '10.0.1.2:7000', [9000, 9000, 77]),
      ]),
      task('server.1', { net: '10.0.1.6' }, [end('10.0.1.6:7000', '10.0.1.4:40000', [4_294_967_290, 6, 100])]),
      task('server.2', { net: '10.0.1.7' }, [
        end('10.0.1.7:7000', '10.0.1.4:50123', [77, 77, 9000]),
        end('10.0.1.7:7001', '10.0.1.4:40001', [78, 78, 9000]),
      ]),
    ];
    const pairing = pairConnections(tasks);
    expect(pairing.pairs.map(({ a, b }) => [a.connection.local.port, b.task, b.connection.local.port])).toEqual([
      [40000, 'server.1', 7000],
      [40001, 'server.2', 7000],
    ]);
    expect(pairing.external.map(({ connection }) => connection.local.port)).toEqual([7001]);
  });

  test('two candidates that nothing tells apart are not paired by chance', () => {
    const server = (key: string, address: string): CutTask =>
      task(key, { net: address }, [end(`${address}:7000`, '10.0.1.4:40000', [5, 5, 9])]);
    const pairing = pairConnections([
      task('client.1', { net: '10.0.1.5' }, [end('10.0.1.5:40000', '10.0.1.2:7000', [9, 9, 5])]),
      server('server.1', '10.0.1.6'),
      server('server.2', '10.0.1.7'),
    ]);
    expect(pairing.pairs).toEqual([]);
    expect(pairing.external).toHaveLength(3);
  });
});

describe('the cut condition', () => {
  const verdicts = (tasks: CutTask[]): [number, boolean, string][] =>
    checkCut(pairConnections(tasks).pairs).map(({ inFlightBytes, ok, reason }) => [inFlightBytes, ok, reason]);

  test('bytes sent and not received are in flight', () => {
    expect(verdicts(pairOf([100, 200, 900], [880, 900, 150]))).toEqual([
      [50, true, ''],
      [0, true, ''],
    ]);
  });

  test('it holds across the end of the sequence space', () => {
    expect(verdicts(pairOf([4_294_967_000, 300, 900], [900, 900, 4_294_967_290]))).toEqual([
      [306, true, ''],
      [0, true, ''],
    ]);
  });

  test('a receiver that knows more than was sent: an orphan message', () => {
    expect(verdicts(pairOf([100, 200, 900], [900, 900, 207]))[0]).toEqual([
      0,
      false,
      'the receiver has 7 bytes that the sender has not sent at its cut',
    ]);
  });

  test('a sender that has forgotten what the receiver does not have: a lost message', () => {
    expect(verdicts(pairOf([100, 200, 900], [900, 900, 90]))[0]).toEqual([
      110,
      false,
      'the sender has dropped 10 bytes as acknowledged that the receiver does not have at its cut',
    ]);
  });

  test('a FIN may be counted on one side only', () => {
    const tasks = pairOf([100, 100, 900], [900, 900, 101], { a: { state: 'FIN_WAIT2' }, b: { state: 'CLOSE_WAIT' } });
    expect(verdicts(tasks)[0]).toEqual([0, true, '']);
    expect(verdicts(pairOf([100, 100, 900], [900, 900, 101]))[0]?.[1]).toBe(false);
  });

  test('running tasks are not judged', () => {
    const [check] = checkCut(
      pairConnections(pairOf([1, 2, 3], [100, 200, 300], { b: { sequencesKnown: false } })).pairs,
    );
    expect(check).toMatchObject({ checked: false, ok: true });
  });
});
