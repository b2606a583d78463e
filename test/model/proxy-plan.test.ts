import { describe, expect, test } from 'vitest';
import type { StreamCut } from '../../src/model/checkpoint.ts';
import { planProxies, type ProxyTask, type StayingTask, type StreamPlan } from '../../src/model/plans/proxy-plan.ts';
import { aliases, endpoint, type Places } from './connections.ts';
import { streamEnd, streamId } from './streams.ts';

/** @param old its previous addresses */
function restored(key: string, was: Places, is: Places, streams: StreamCut[], old: Places = {}): ProxyTask {
  return { key, addresses: aliases(was), newAddresses: aliases(is), aliases: aliases(old), streams };
}

/** @param sockets `local>remote` */
function staying(key: string, at: Places, sockets: string[] = [], old: Places = {}): StayingTask {
  const connections = sockets.map((socket) => {
    const [local = '', remote = ''] = socket.split('>');
    return { local: endpoint(local), remote: endpoint(remote) };
  });
  return { key, addresses: aliases(at), aliases: aliases(old), connections };
}

/** The tasks with the two ends of one stream, from a to b. */
const a = (changes: Partial<StreamCut> = {}, is: Places = '10.0.1.12', was: Places = '10.0.1.2', old: Places = {}) =>
  restored('a', was, is, [streamEnd('opener', changes)], old);
const b = (changes: Partial<StreamCut> = {}, is: Places = '10.0.1.13', was: Places = '10.0.1.3', old: Places = {}) =>
  restored('b', was, is, [streamEnd('acceptor', changes)], old);
const B_WITHOUT = restored('b', '10.0.1.3', '10.0.1.13', []);

/** What becomes of the stream at each task that has it: `action`, and for `RESUME` and `OPEN` who `calls` whom, or `awaits` whose call. */
type Outcome = Readonly<Record<string, string>>;

const RESUMED: Outcome = { a: 'RESUME calls 10.0.1.13:9000', b: 'RESUME awaits 10.0.1.12:4000' };
const OPENED: Outcome = { a: 'OPEN calls 10.0.1.13:9000' };
const ALONE: Outcome = { a: 'ALONE' };
const RESET: Outcome = { a: 'RESET' };

function streamPlan(outcome: string): StreamPlan {
  const [action, how, peer] = outcome.split(' ');
  return {
    id: streamId(1),
    action: action as StreamPlan['action'],
    ...(peer !== undefined && { peer: endpoint(peer) }),
    dial: how === 'calls',
  };
}

function check(tasks: readonly ProxyTask[], stay: readonly StayingTask[], outcome: Outcome): void {
  const plans = planProxies({ stack: 'bank', epoch: 7, tasks, staying: stay });
  const streams = [...plans].flatMap(([key, plan]) => plan.streams.map((stream) => [key, stream] as const));
  expect(streams).toEqual(Object.entries(outcome).map(([key, text]) => [key, streamPlan(text)]));
}

describe('a whole stack', () => {
  test.each<[string, ProxyTask[], Outcome]>([
    ['the opener calls the other where it is now', [a(), b()], RESUMED],
    ['a virtual address: the task behind it is called', [a({ server: endpoint('10.0.1.200:9000') }), b()], RESUMED],
    [
      'on the network that the connection was made on',
      [
        a({}, { front: '10.0.2.12', net: '10.0.1.12' }, { front: '10.0.2.2', net: '10.0.1.2' }),
        b({}, { front: '10.0.2.13', net: '10.0.1.13' }, { front: '10.0.2.3', net: '10.0.1.3' }),
      ],
      RESUMED,
    ],
    [
      'in its second life the addresses are those of the first',
      [
        a({}, { front: '10.0.2.6', net: '10.0.1.22' }, { front: '10.0.2.5', net: '10.0.1.7' }, '10.0.1.2'),
        b({}, '10.0.1.23', '10.0.1.8', '10.0.1.3'),
      ],
      { a: 'RESUME calls 10.0.1.23:9000', b: 'RESUME awaits 10.0.1.22:4000' },
    ],
    [
      'if the network is gone, any that both are on will do',
      [a({}, { other: '10.0.5.2' }), b({}, { other: '10.0.5.3', net: '10.0.1.9' })],
      { a: 'RESUME calls 10.0.5.3:9000', b: 'RESUME awaits 10.0.5.2:4000' },
    ],
    [
      'if the two are on no network together, it is reset',
      [a({}, { one: '10.0.5.2' }), b({}, { two: '10.0.6.3' })],
      { a: 'RESET', b: 'RESET' },
    ],
    ['being opened, the peer had not heard of it: anew', [a({ opening: true }), B_WITHOUT], OPENED],
    [
      'being opened to an address that one task had once and another has now: it is the latter’s',
      [restored('c', '10.0.1.9', '10.0.1.19', [], '10.0.1.3'), a({ opening: true }), B_WITHOUT],
      OPENED,
    ],
    ['being opened, the peer had accepted: it knows', [a({ opening: true }), b()], RESUMED],
    [
      'being opened, the peer had accepted, spoken, and given up',
      [a({ opening: true, recorded: 3, resetRecorded: true }), B_WITHOUT],
      ALONE,
    ],
    ['being opened to nobody that comes back', [a({ opening: true })], RESET],
    ['the other end was gone, its FIN is recorded', [a({ finRecorded: true }), B_WITHOUT], ALONE],
    ['the other end was gone, its FIN is delivered', [a({ finDelivered: true }), B_WITHOUT], ALONE],
    ['the other end was gone, its reset is recorded', [a({ recorded: 9, resetRecorded: true }), B_WITHOUT], ALONE],
    ['nobody has the other end, and nobody has seen it end', [a({ sent: 5 }), B_WITHOUT], RESET],
    [
      'a half that was not taken cannot come back; its peer knows the end',
      [a({ endTaken: false, finSent: true }), b({ finRecorded: true })],
      { a: 'RESET', b: 'ALONE' },
    ],
    [
      'a half that was not taken cannot come back; its peer, which has seen no end, is reset',
      [a({ endTaken: false }), b()],
      { a: 'RESET', b: 'RESET' },
    ],
    ['the acceptor’s half was not taken', [a(), b({ endTaken: false })], { a: 'RESET', b: 'RESET' }],
    [
      'a half that was not taken is not delivered',
      [a({ endTaken: false, finRecorded: true }), b()],
      { a: 'RESET', b: 'RESET' },
    ],
  ])('%s', (_name, tasks, outcome) => check(tasks, [], outcome));

  test('stack and epoch are those of the snapshot, and a task without streams has an empty plan', () => {
    expect(planProxies({ stack: 'bank', epoch: 7, tasks: [B_WITHOUT] })).toEqual(
      new Map([['b', { stack: 'bank', epoch: 7, streams: [], previousAddresses: ['10.0.1.3'] }]]),
    );
  });

  test('a previous address is that of who had it last, and nobody’s if a task has it now', () => {
    const tasks = [
      restored('a', '10.0.1.2', '10.0.1.12', [], '10.0.1.3'),
      restored('b', '10.0.1.3', '10.0.1.2', [], '10.0.1.9'),
    ];
    const plans = planProxies({ stack: 'bank', epoch: 7, tasks });
    expect([...plans.values()].map(({ previousAddresses }) => previousAddresses)).toEqual([
      [],
      ['10.0.1.3', '10.0.1.9'],
    ]);
  });
});

describe('some tasks move, others stay', () => {
  const OF_B = '10.0.1.3:9000>10.0.1.2:4000';
  const OF_A = '10.0.1.2:4000>10.0.1.200:9000';

  test.each<[string, ProxyTask[], StayingTask[], Outcome]>([
    ['who moves calls: the opener', [a()], [staying('b', '10.0.1.3', [OF_B])], { a: 'RESUME calls 10.0.1.3:9000' }],
    ['who moves calls: the acceptor', [b()], [staying('a', '10.0.1.2', [OF_A])], { b: 'RESUME calls 10.0.1.2:4000' }],
    ['between two that move the opener calls', [a(), b()], [staying('c', '10.0.1.4')], RESUMED],
    [
      'what was being opened to one that stays is asked for: it may have accepted meanwhile',
      [a({ opening: true })],
      [staying('b', '10.0.1.3')],
      { a: 'RESUME calls 10.0.1.3:9000' },
    ],
    [
      'an old address has a new owner: who has the connection is the peer',
      [a()],
      [staying('c', '10.0.1.3'), staying('b', '10.0.1.30', [OF_B], '10.0.1.3')],
      { a: 'RESUME calls 10.0.1.30:9000' },
    ],
    [
      'one that stays and no longer has the connection: what has ended is delivered alone',
      [a({ finRecorded: true, finSent: true })],
      [staying('b', '10.0.1.3')],
      ALONE,
    ],
    [
      'one that stays and still has the connection: what has ended one way goes on',
      [a({ finRecorded: true })],
      [staying('b', '10.0.1.3', [OF_B])],
      { a: 'RESUME calls 10.0.1.3:9000' },
    ],
  ])('%s', (_name, tasks, stay, outcome) => check(tasks, stay, outcome));
});
