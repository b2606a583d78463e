import { describe, expect, test } from 'vitest';
import type { StreamCut } from '../../src/model/checkpoint.ts';
import { planProxies, type ProxyTask, type StayingTask, type StreamPlan } from '../../src/model/proxy-plan.ts';
import { aliases, endpoint } from './connections.ts';
import { streamEnd, streamId } from './streams.ts';

type Places = Readonly<Record<string, string>>;

function restored(
  key: string,
  then: Places,
  now: Places,
  streams: readonly StreamCut[],
  old: readonly { network: string; address: string }[] = [],
): ProxyTask {
  return { key, addresses: aliases(then), newAddresses: aliases(now), aliases: old, streams };
}

function staying(
  key: string,
  addresses: Places,
  connections: readonly [string, string][] = [],
  old: Places = {},
): StayingTask {
  return {
    key,
    addresses: aliases(addresses),
    aliases: aliases(old),
    connections: connections.map(([local, remote]) => ({ local: endpoint(local), remote: endpoint(remote) })),
  };
}

/** Each task's plan of its first stream. */
function plan(tasks: readonly ProxyTask[], stay: readonly StayingTask[] = []): Record<string, StreamPlan | undefined> {
  const plans = planProxies({ stack: 'bank', epoch: 7, tasks, staying: stay });
  return Object.fromEntries([...plans].map(([key, { streams }]) => [key, streams[0]]));
}

const A = (changes: Partial<StreamCut> = {}, now: Places = { net: '10.0.1.12' }) =>
  restored('a.1', { net: '10.0.1.2' }, now, [streamEnd('opener', changes)]);
const B = (changes: Partial<StreamCut> = {}, now: Places = { net: '10.0.1.13' }) =>
  restored('b.1', { net: '10.0.1.3' }, now, [streamEnd('acceptor', changes)]);
const B_WITHOUT = restored('b.1', { net: '10.0.1.3' }, { net: '10.0.1.13' }, []);

describe('a whole stack', () => {
  test('the opener calls the other where it is now', () => {
    expect(plan([A(), B()])).toEqual({
      'a.1': { id: streamId(1), action: 'RESUME', peer: endpoint('10.0.1.13:9000'), dial: true },
      'b.1': { id: streamId(1), action: 'RESUME', peer: endpoint('10.0.1.12:4000'), dial: false },
    });
  });

  test('stack and epoch are those of the snapshot, and a task without streams has an empty plan', () => {
    expect(planProxies({ stack: 'bank', epoch: 7, tasks: [B_WITHOUT] })).toEqual(
      new Map([['b.1', { stack: 'bank', epoch: 7, streams: [], previousAddresses: ['10.0.1.3'] }]]),
    );
  });

  test('a previous address is that of who had it last, and nobody’s if a task has it now', () => {
    const tasks = [
      restored('a.1', { net: '10.0.1.2' }, { net: '10.0.1.12' }, [], [{ network: 'net', address: '10.0.1.3' }]),
      restored('b.1', { net: '10.0.1.3' }, { net: '10.0.1.2' }, [], [{ network: 'net', address: '10.0.1.9' }]),
    ];
    const plans = planProxies({ stack: 'bank', epoch: 7, tasks });
    expect([...plans.values()].map(({ previousAddresses }) => previousAddresses)).toEqual([
      [],
      ['10.0.1.3', '10.0.1.9'],
    ]);
  });

  test('a virtual address: the task behind it is called', () => {
    expect(plan([A({ server: endpoint('10.0.1.200:9000') }), B()])['a.1']?.peer).toEqual(endpoint('10.0.1.13:9000'));
  });

  test('on the network that the connection was made on', () => {
    const a = restored('a.1', { front: '10.0.2.2', net: '10.0.1.2' }, { front: '10.0.2.12', net: '10.0.1.12' }, [
      streamEnd('opener'),
    ]);
    const b = restored('b.1', { front: '10.0.2.3', net: '10.0.1.3' }, { front: '10.0.2.13', net: '10.0.1.13' }, [
      streamEnd('acceptor'),
    ]);
    expect(plan([a, b])).toMatchObject({
      'a.1': { peer: endpoint('10.0.1.13:9000') },
      'b.1': { peer: endpoint('10.0.1.12:4000') },
    });
  });

  test('in its second life the addresses are those of the first', () => {
    const old = aliases({ net: '10.0.1.2' });
    const a = restored(
      'a.1',
      { front: '10.0.2.5', net: '10.0.1.7' },
      { front: '10.0.2.6', net: '10.0.1.22' },
      A().streams,
      old,
    );
    const b = restored('b.1', { net: '10.0.1.8' }, { net: '10.0.1.23' }, B().streams, aliases({ net: '10.0.1.3' }));
    expect(plan([a, b])).toMatchObject({
      'a.1': { action: 'RESUME', peer: endpoint('10.0.1.23:9000') },
      'b.1': { action: 'RESUME', peer: endpoint('10.0.1.22:4000') },
    });
  });

  test('if the network is gone, any that both are on will do; if there is none, nothing', () => {
    const moved = [A({}, { other: '10.0.5.2' }), B({}, { other: '10.0.5.3', net: '10.0.1.9' })];
    expect(plan(moved)).toMatchObject({
      'a.1': { action: 'RESUME', peer: endpoint('10.0.5.3:9000') },
      'b.1': { action: 'RESUME', peer: endpoint('10.0.5.2:4000') },
    });
    expect(plan([A({}, { one: '10.0.5.2' }), B({}, { two: '10.0.6.3' })])).toMatchObject({
      'a.1': { action: 'RESET', dial: false },
      'b.1': { action: 'RESET', dial: false },
    });
  });

  test('the peer had not heard of it: opened anew', () => {
    expect(plan([A({ opening: true }), B_WITHOUT])['a.1']).toEqual({
      id: streamId(1),
      action: 'OPEN',
      peer: endpoint('10.0.1.13:9000'),
      dial: true,
    });
    // The peer had accepted: it knows.
    expect(plan([A({ opening: true }), B()])['a.1']?.action).toBe('RESUME');
    // It had accepted, spoken, and given up.
    expect(plan([A({ opening: true, recorded: 3, resetRecorded: true }), B_WITHOUT])['a.1']?.action).toBe('ALONE');
    // It was going to nobody that comes back.
    expect(plan([A({ opening: true })])['a.1']?.action).toBe('RESET');
  });

  test('an address that one task had once and another has now is the latter’s, for what is being opened', () => {
    const c = restored('c.1', { net: '10.0.1.9' }, { net: '10.0.1.19' }, [], aliases({ net: '10.0.1.3' }));
    expect(plan([c, A({ opening: true }), B_WITHOUT])['a.1']?.peer).toEqual(endpoint('10.0.1.13:9000'));
  });

  test.each([{ finRecorded: true }, { finDelivered: true }, { recorded: 9, resetRecorded: true }])(
    'the other end was gone: %j is delivered alone',
    (changes) => {
      expect(plan([A(changes), B_WITHOUT])['a.1']).toEqual({ id: streamId(1), action: 'ALONE', dial: false });
    },
  );

  test('nobody has the other end, and nobody has seen it end', () => {
    expect(plan([A({ sent: 5 }), B_WITHOUT])['a.1']?.action).toBe('RESET');
  });

  test('a half that was not taken cannot come back; its peer knows the end or is reset', () => {
    expect(plan([A({ endTaken: false, finSent: true }), B({ finRecorded: true })])).toMatchObject({
      'a.1': { action: 'RESET' },
      'b.1': { action: 'ALONE' },
    });
    expect(plan([A({ endTaken: false }), B()])).toMatchObject({ 'b.1': { action: 'RESET' } });
  });
});

describe('some tasks move, others stay', () => {
  test('who moves calls, whichever side it is', () => {
    const b = staying('b.1', { net: '10.0.1.3' }, [['10.0.1.3:9000', '10.0.1.2:4000']]);
    expect(plan([A()], [b])).toEqual({
      'a.1': { id: streamId(1), action: 'RESUME', peer: endpoint('10.0.1.3:9000'), dial: true },
    });
    const a = staying('a.1', { net: '10.0.1.2' }, [['10.0.1.2:4000', '10.0.1.200:9000']]);
    expect(plan([B()], [a])).toEqual({
      'b.1': { id: streamId(1), action: 'RESUME', peer: endpoint('10.0.1.2:4000'), dial: true },
    });
  });

  test('between two that move the opener calls', () => {
    const plans = plan([A(), B()], [staying('c.1', { net: '10.0.1.4' })]);
    expect(plans['a.1']).toMatchObject({ action: 'RESUME', dial: true });
    expect(plans['b.1']).toMatchObject({ action: 'RESUME', dial: false });
  });

  test('what was being opened to one that stays is asked for: it may have accepted meanwhile', () => {
    expect(plan([A({ opening: true })], [staying('b.1', { net: '10.0.1.3' })])['a.1']).toMatchObject({
      action: 'RESUME',
      dial: true,
    });
  });

  test('an old address has a new owner: who has the connection is the peer', () => {
    const b = staying('b.1', { net: '10.0.1.30' }, [['10.0.1.3:9000', '10.0.1.2:4000']], { net: '10.0.1.3' });
    const c = staying('c.1', { net: '10.0.1.3' });
    expect(plan([A()], [c, b])['a.1']?.peer).toEqual(endpoint('10.0.1.30:9000'));
  });

  test('one that stays and no longer has the connection: what has ended is delivered alone', () => {
    const b = staying('b.1', { net: '10.0.1.3' });
    expect(plan([A({ finRecorded: true, finSent: true })], [b])['a.1']?.action).toBe('ALONE');
    const has = staying('b.1', { net: '10.0.1.3' }, [['10.0.1.3:9000', '10.0.1.2:4000']]);
    expect(plan([A({ finRecorded: true })], [has])['a.1']?.action).toBe('RESUME');
  });
});
