import { expect, test } from 'vitest';
import { endpointText, type Connection, type RewriteEntry } from '../../src/model/connection.ts';
import { pairConnections } from '../../src/model/cuts/cut.ts';
import {
  planNetworks,
  type LiveTask,
  type NetworkPlans,
  type RestoredTask,
} from '../../src/model/plans/network-plan.ts';
import type { Alias } from '../../src/model/task.ts';
import { aliases, end, task } from './connections.ts';

function restored(
  key: string,
  was: Readonly<Record<string, string>>,
  is: Readonly<Record<string, string>>,
  connections: readonly Connection[],
  old: readonly Alias[] = [],
): RestoredTask {
  return { ...task(key, was, connections, old), newAddresses: aliases(is) };
}

function plan(tasks: readonly RestoredTask[], live: readonly LiveTask[] = []): NetworkPlans {
  return planNetworks({ tasks, live, pairing: pairConnections([...tasks, ...live]), subnets: ['10.0.1.0/24'] });
}

function texts(entries: readonly RewriteEntry[] | undefined): string[] {
  return (entries ?? []).map(
    ({ socketLocal, socketRemote, wireLocal, wireRemote }) =>
      `${endpointText(socketLocal)}>${endpointText(socketRemote)} as ${endpointText(wireLocal)}>${endpointText(wireRemote)}`,
  );
}

const CLIENT = end('10.0.1.2:40000', '10.0.1.3:7000', [10, 10, 50]);
const SERVER = end('10.0.1.3:7000', '10.0.1.2:40000', [50, 50, 10]);

test('both tasks elsewhere', () => {
  const { plans } = plan([
    restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.12' }, [CLIENT]),
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.13' }, [SERVER]),
  ]);
  expect(plans.get('client.1')).toMatchObject({
    subnets: ['10.0.1.0/24'],
    ownAddresses: ['10.0.1.2'],
    close: [],
    aliases: [
      { address: '10.0.1.2', network: 'net' },
      { address: '10.0.1.12', network: 'net' },
    ],
  });
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.12:40000>10.0.1.13:7000',
  ]);
  expect(texts(plans.get('server.1')?.rewrites)).toEqual([
    '10.0.1.3:7000>10.0.1.2:40000 as 10.0.1.13:7000>10.0.1.12:40000',
  ]);
});

test('back in place with the same addresses, nothing is rewritten', () => {
  const { plans } = plan([
    restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.2' }, [CLIENT]),
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.3' }, [SERVER]),
  ]);
  expect(plans.get('client.1')).toMatchObject({ ownAddresses: [], rewrites: [], close: [] });
});

test('two tasks that have swapped addresses', () => {
  const { plans } = plan([
    restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.3' }, [CLIENT]),
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.2' }, [SERVER]),
  ]);
  expect(plans.get('client.1')?.ownAddresses).toEqual(['10.0.1.2']);
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.3:40000>10.0.1.2:7000',
  ]);
  expect(plans.get('server.1')?.ownAddresses).toEqual(['10.0.1.3']);
});

test('second generation: sockets of two earlier lives, and an old address that is the own one again', () => {
  const old = aliases({ net: '10.0.1.2' });
  const tasks = [
    restored(
      'client.1',
      { net: '10.0.1.12' },
      { net: '10.0.1.2' },
      [CLIENT, end('10.0.1.12:41000', '10.0.1.13:7000', [5, 5, 6])],
      old,
    ),
    restored(
      'server.1',
      { net: '10.0.1.13' },
      { net: '10.0.1.33' },
      [SERVER, end('10.0.1.13:7000', '10.0.1.12:41000', [6, 6, 5])],
      aliases({ net: '10.0.1.3' }),
    ),
  ];
  const { plans } = plan(tasks);
  expect(plans.get('client.1')?.ownAddresses).toEqual(['10.0.1.12']);
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.2:40000>10.0.1.33:7000',
    '10.0.1.12:41000>10.0.1.13:7000 as 10.0.1.2:41000>10.0.1.33:7000',
  ]);
  expect(plans.get('server.1')?.ownAddresses).toEqual(['10.0.1.3', '10.0.1.13']);
  expect(plans.get('server.1')?.aliases).toEqual([
    { address: '10.0.1.3', network: 'net' },
    { address: '10.0.1.13', network: 'net' },
    { address: '10.0.1.33', network: 'net' },
  ]);
});

test('replicas and two networks: each connection stays on its network', () => {
  const { plans } = plan([
    restored('client.1', { front: '10.0.1.2', back: '10.0.2.2' }, { front: '10.0.1.22', back: '10.0.2.22' }, [
      CLIENT,
      end('10.0.2.2:40000', '10.0.2.4:7000', [1, 1, 2]),
    ]),
    restored('server.1', { front: '10.0.1.3' }, { front: '10.0.1.33' }, [SERVER]),
    restored('server.2', { back: '10.0.2.4' }, { back: '10.0.2.44' }, [
      end('10.0.2.4:7000', '10.0.2.2:40000', [2, 2, 1]),
    ]),
  ]);
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.22:40000>10.0.1.33:7000',
    '10.0.2.2:40000>10.0.2.4:7000 as 10.0.2.22:40000>10.0.2.44:7000',
  ]);
  expect(texts(plans.get('server.2')?.rewrites)).toEqual([
    '10.0.2.4:7000>10.0.2.2:40000 as 10.0.2.44:7000>10.0.2.22:40000',
  ]);
});

test('through a virtual IP: the ends talk directly from now on, and two that meet get different ports', () => {
  const { plans } = plan([
    restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.2' }, [
      end('10.0.1.2:40000', '10.0.1.100:7000', [1, 1, 2]),
      end('10.0.1.2:40000', '10.0.1.101:7000', [1000, 1000, 2000]),
    ]),
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.3' }, [
      end('10.0.1.3:7000', '10.0.1.50:40000', [2, 2, 1]),
      end('10.0.1.3:7000', '10.0.1.50:40001', [2000, 2000, 1000]),
    ]),
  ]);
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40000>10.0.1.100:7000 as 10.0.1.2:40000>10.0.1.3:7000',
    '10.0.1.2:40000>10.0.1.101:7000 as 10.0.1.2:61000>10.0.1.3:7000',
  ]);
  expect(texts(plans.get('server.1')?.rewrites)).toEqual([
    '10.0.1.3:7000>10.0.1.50:40000 as 10.0.1.3:7000>10.0.1.2:40000',
    '10.0.1.3:7000>10.0.1.50:40001 as 10.0.1.3:7000>10.0.1.2:61000',
  ]);
});

test('what has no other end is closed, but a connection just being made goes to where its target is now', () => {
  const external = end('172.18.0.3:80', '198.51.100.7:5555', [1, 1, 1]);
  const unaccepted = end('10.0.1.2:40005', '10.0.1.3:7000', [1, 1, 1]);
  const dialling = end('10.0.1.2:40006', '10.0.1.3:7000', [1, 1, 0], { state: 'SYN_SENT' });
  const { plans } = plan([
    restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.12' }, [external, unaccepted, dialling]),
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.13' }, []),
  ]);
  expect(plans.get('client.1')?.close).toEqual([unaccepted, external]);
  expect(plans.get('client.1')?.ownAddresses).toEqual(['172.18.0.3', '10.0.1.2']);
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40006>10.0.1.3:7000 as 10.0.1.12:40006>10.0.1.13:7000',
  ]);
});

test('a connection just being made is left alone where a sidecar will carry it', () => {
  const dialling = end('10.0.1.2:40006', '10.0.1.3:7000', [1, 1, 0], { state: 'SYN_SENT' });
  const client = restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.12' }, [dialling]);
  const { plans } = plan([
    { ...client, proxied: true },
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.13' }, []),
  ]);
  expect(plans.get('client.1')).toMatchObject({ close: [], rewrites: [] });
});

test('a connection on a network that a task is no longer on is closed at both ends', () => {
  const { plans } = plan([
    restored('client.1', { net: '10.0.1.2' }, { other: '10.0.9.2' }, [CLIENT]),
    restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.13' }, [SERVER]),
  ]);
  expect(plans.get('client.1')?.close).toEqual([CLIENT]);
  expect(plans.get('server.1')?.close).toEqual([SERVER]);
});

test('one task moves, its peers run on: what they rewrite already stays, what does not come back is reset', () => {
  const running = { sequencesKnown: false };
  const other: RewriteEntry = {
    socketLocal: { address: '10.0.1.3', port: 7000 },
    socketRemote: { address: '10.0.1.9', port: 1234 },
    wireLocal: { address: '10.0.1.13', port: 7000 },
    wireRemote: { address: '10.0.1.19', port: 1234 },
  };
  const toOther = end('10.0.1.3:7000', '10.0.1.9:1234', [0, 0, 0], running);
  const lost = end('10.0.1.13:7000', '10.0.1.2:40009', [0, 0, 0], running);
  const outside = end('10.0.1.13:50000', '192.0.2.1:443', [0, 0, 0], running);
  const server: LiveTask = {
    ...task(
      'server.1',
      { net: '10.0.1.13' },
      [{ ...SERVER, ...running }, toOther, lost, outside],
      aliases({ net: '10.0.1.3' }),
    ),
    rewrites: [other],
  };
  const quiet: LiveTask = {
    ...task(
      'other.1',
      { net: '10.0.1.19' },
      [end('10.0.1.9:1234', '10.0.1.3:7000', [0, 0, 0], running)],
      aliases({ net: '10.0.1.9' }),
    ),
    rewrites: [],
  };
  const { plans, live } = plan(
    [restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.22' }, [CLIENT])],
    [server, quiet],
  );
  expect(texts(plans.get('client.1')?.rewrites)).toEqual([
    '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.22:40000>10.0.1.13:7000',
  ]);
  expect(texts(live.get('server.1')?.rewrites)).toEqual([
    '10.0.1.3:7000>10.0.1.9:1234 as 10.0.1.13:7000>10.0.1.19:1234',
    '10.0.1.3:7000>10.0.1.2:40000 as 10.0.1.13:7000>10.0.1.22:40000',
  ]);
  expect(live.get('server.1')?.close).toEqual([lost]);
  expect(live.get('other.1')).toEqual({ rewrites: [], close: [] });
});

test('a task that moves back home is no longer rewritten by its running peer', () => {
  const server: LiveTask = {
    ...task('server.1', { net: '10.0.1.3' }, [{ ...SERVER, sequencesKnown: false }]),
    rewrites: [
      {
        socketLocal: SERVER.local,
        socketRemote: SERVER.remote,
        wireLocal: SERVER.local,
        wireRemote: { address: '10.0.1.22', port: 40000 },
      },
    ],
  };
  const { plans, live } = plan(
    [restored('client.1', { net: '10.0.1.22' }, { net: '10.0.1.2' }, [CLIENT], aliases({ net: '10.0.1.2' }))],
    [server],
  );
  expect(live.get('server.1')).toEqual({ rewrites: [], close: [] });
  expect(plans.get('client.1')).toMatchObject({ ownAddresses: ['10.0.1.22'], rewrites: [] });
});

test('what the peer does not have counts as not sent', () => {
  const client = (sequences: readonly [number, number, number], more: Partial<Connection> = {}): Connection =>
    end('10.0.1.2:40000', '10.0.1.3:7000', sequences, more);
  const server = end('10.0.1.3:7000', '10.0.1.2:40000', [50, 50, 13]);
  const marks = (one: Connection, peer: Connection, live = false): unknown => {
    const moved = restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.12' }, [one]);
    if (live) {
      return plan([moved], [{ ...task('server.1', { net: '10.0.1.3' }, [peer]), rewrites: [] }]).plans.get('client.1')
        ?.unsent;
    }
    return plan([moved, restored('server.1', { net: '10.0.1.3' }, { net: '10.0.1.13' }, [peer])]).plans.get('client.1')
      ?.unsent;
  };
  expect(marks(client([10, 15, 50]), server)).toEqual([{ writeSeq: 15, rcvNxt: 50, from: 13 }]);
  expect(marks(client([10, 15, 50], { writeSeq: 20 }), server)).toEqual([{ writeSeq: 20, rcvNxt: 50, from: 13 }]);
  expect(marks(client([10, 15, 50]), { ...server, sequencesKnown: false }, true)).toEqual([
    { writeSeq: 15, rcvNxt: 50, from: 10 },
  ]);
  expect(marks(client([13, 13, 50]), server)).toEqual([]);
  expect(marks(client([10, 15, 50], { state: 'FIN_WAIT1' }), server)).toEqual([]);
});

test('proxied connections are not rewritten, but their old addresses come back; those named are closed', () => {
  const half = end('10.0.1.2:40001', '10.0.1.3:7000');
  const tasks = [restored('client.1', { net: '10.0.1.2' }, { net: '10.0.1.12' }, [CLIENT, half])];
  const pairing = pairConnections([]);
  const { plans } = planNetworks({
    tasks,
    pairing,
    close: [{ task: 'client.1', connection: half }],
    subnets: ['10.0.1.0/24'],
  });
  expect(plans.get('client.1')).toMatchObject({ ownAddresses: ['10.0.1.2'], rewrites: [], close: [half], unsent: [] });
});
