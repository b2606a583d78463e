import { expect, test } from 'vitest';
import {
  endpointText,
  type Connection,
  type Endpoint,
  type RewriteEntry,
  type UnconnectedSocket,
} from '../../src/model/connection.ts';
import { pairConnections } from '../../src/model/cuts/cut.ts';
import {
  planNetworks,
  type LivePlan,
  type LiveTask,
  type NetworkPlan,
  type NetworkPlans,
  type RestoredTask,
  type UnsentMark,
} from '../../src/model/plans/network-plan.ts';
import type { FormerAddress } from '../../src/model/plans/former-addresses.ts';
import type { Alias } from '../../src/model/task.ts';
import { aliases, end, endpoint, rewrites, task, type Places } from './connections.ts';

const SUBNETS = ['10.0.1.0/24'];

/** @param old its previous addresses */
function restored(key: string, was: Places, is: Places, connections: Connection[], old: Places = {}): RestoredTask {
  return { ...task(key, was, connections, aliases(old)), newAddresses: aliases(is) };
}

/** @param inForce its rewrites */
function live(key: string, at: Places, connections: Connection[], inForce: string[] = [], old: Places = {}): LiveTask {
  return { ...task(key, at, connections, aliases(old)), rewrites: rewrites(...inForce) };
}

function plan(tasks: readonly RestoredTask[], live: readonly LiveTask[] = []): NetworkPlans {
  return planNetworks({ tasks, live, pairing: pairConnections([...tasks, ...live]), subnets: SUBNETS });
}

/** Both ends of a connection; of another one that was made after a restore. */
const CLIENT = end('10.0.1.2:40000', '10.0.1.3:7000', [10, 10, 50]);
const SERVER = end('10.0.1.3:7000', '10.0.1.2:40000', [50, 50, 10]);
const CLIENT_2 = end('10.0.1.12:41000', '10.0.1.13:7000', [5, 5, 6]);
const SERVER_2 = end('10.0.1.13:7000', '10.0.1.12:41000', [6, 6, 5]);
/** Ends that have no other end in the stack. */
const EXTERNAL = end('172.18.0.3:80', '198.51.100.7:5555', [1, 1, 1]);
const UNACCEPTED = end('10.0.1.2:40005', '10.0.1.3:7000', [1, 1, 1]);
const DIALLING = end('10.0.1.2:40006', '10.0.1.3:7000', [1, 1, 0], { state: 'SYN_SENT' });
/** Ends of tasks that run: their sequence numbers are not known. */
const RUNNING = { sequencesKnown: false };
const RUNNING_SERVER = { ...SERVER, ...RUNNING };
const running = (local: string, remote: string): Connection => end(local, remote, [0, 0, 0], RUNNING);
const LOST = running('10.0.1.13:7000', '10.0.1.2:40009');

const client = (is: Places, connections = [CLIENT]): RestoredTask => restored('client', '10.0.1.2', is, connections);
const server = (is: Places, connections = [SERVER]): RestoredTask => restored('server', '10.0.1.3', is, connections);

interface Case {
  readonly name: string;
  readonly tasks: readonly RestoredTask[];
  readonly live?: readonly LiveTask[];
  /** Of restored tasks, by key: a field that is named is exactly so. */
  readonly plans: Readonly<Record<string, Partial<NetworkPlan>>>;
  /** Of tasks that run, by key: all that is planned. */
  readonly livePlans?: Readonly<Record<string, Omit<LivePlan, 'former'>>>;
}

const CASES: readonly Case[] = [
  {
    name: 'both tasks elsewhere',
    tasks: [client('10.0.1.12'), server('10.0.1.13')],
    plans: {
      client: {
        subnets: SUBNETS,
        ownAddresses: ['10.0.1.2'],
        close: [],
        aliases: ['10.0.1.2', '10.0.1.12'].flatMap(aliases),
        rewrites: rewrites('10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.12:40000>10.0.1.13:7000'),
      },
      server: { rewrites: rewrites('10.0.1.3:7000>10.0.1.2:40000 as 10.0.1.13:7000>10.0.1.12:40000') },
    },
  },
  {
    name: 'back in place with the same addresses, nothing is rewritten',
    tasks: [client('10.0.1.2'), server('10.0.1.3')],
    plans: { client: { ownAddresses: [], rewrites: [], close: [] } },
  },
  {
    name: 'two tasks that have swapped addresses',
    tasks: [client('10.0.1.3'), server('10.0.1.2')],
    plans: {
      client: {
        ownAddresses: ['10.0.1.2'],
        rewrites: rewrites('10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.3:40000>10.0.1.2:7000'),
      },
      server: { ownAddresses: ['10.0.1.3'] },
    },
  },
  {
    name: 'second generation: sockets of two earlier lives, and an old address that is the own one again',
    tasks: [
      restored('client', '10.0.1.12', '10.0.1.2', [CLIENT, CLIENT_2], '10.0.1.2'),
      restored('server', '10.0.1.13', '10.0.1.33', [SERVER, SERVER_2], '10.0.1.3'),
    ],
    plans: {
      client: {
        ownAddresses: ['10.0.1.12'],
        rewrites: rewrites(
          '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.2:40000>10.0.1.33:7000',
          '10.0.1.12:41000>10.0.1.13:7000 as 10.0.1.2:41000>10.0.1.33:7000',
        ),
      },
      server: {
        ownAddresses: ['10.0.1.3', '10.0.1.13'],
        aliases: ['10.0.1.3', '10.0.1.13', '10.0.1.33'].flatMap(aliases),
      },
    },
  },
  {
    name: 'replicas and two networks: each connection stays on its network',
    tasks: [
      restored('client', { front: '10.0.1.2', back: '10.0.2.2' }, { front: '10.0.1.22', back: '10.0.2.22' }, [
        CLIENT,
        end('10.0.2.2:40000', '10.0.2.4:7000', [1, 1, 2]),
      ]),
      restored('server', { front: '10.0.1.3' }, { front: '10.0.1.33' }, [SERVER]),
      restored('replica', { back: '10.0.2.4' }, { back: '10.0.2.44' }, [
        end('10.0.2.4:7000', '10.0.2.2:40000', [2, 2, 1]),
      ]),
    ],
    plans: {
      client: {
        rewrites: rewrites(
          '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.22:40000>10.0.1.33:7000',
          '10.0.2.2:40000>10.0.2.4:7000 as 10.0.2.22:40000>10.0.2.44:7000',
        ),
      },
      replica: { rewrites: rewrites('10.0.2.4:7000>10.0.2.2:40000 as 10.0.2.44:7000>10.0.2.22:40000') },
    },
  },
  {
    name: 'through a virtual IP: the ends talk directly from now on, and two that meet get different ports',
    tasks: [
      client('10.0.1.2', [
        end('10.0.1.2:40000', '10.0.1.100:7000', [1, 1, 2]),
        end('10.0.1.2:40000', '10.0.1.101:7000', [1000, 1000, 2000]),
      ]),
      server('10.0.1.3', [
        end('10.0.1.3:7000', '10.0.1.50:40000', [2, 2, 1]),
        end('10.0.1.3:7000', '10.0.1.50:40001', [2000, 2000, 1000]),
      ]),
    ],
    plans: {
      client: {
        rewrites: rewrites(
          '10.0.1.2:40000>10.0.1.100:7000 as 10.0.1.2:40000>10.0.1.3:7000',
          '10.0.1.2:40000>10.0.1.101:7000 as 10.0.1.2:61000>10.0.1.3:7000',
        ),
      },
      server: {
        rewrites: rewrites(
          '10.0.1.3:7000>10.0.1.50:40000 as 10.0.1.3:7000>10.0.1.2:40000',
          '10.0.1.3:7000>10.0.1.50:40001 as 10.0.1.3:7000>10.0.1.2:61000',
        ),
      },
    },
  },
  {
    name: 'what has no other end is closed, but a connection just being made goes to where its target is now',
    tasks: [client('10.0.1.12', [EXTERNAL, UNACCEPTED, DIALLING]), server('10.0.1.13', [])],
    plans: {
      client: {
        close: [UNACCEPTED, EXTERNAL],
        ownAddresses: ['172.18.0.3', '10.0.1.2'],
        rewrites: rewrites('10.0.1.2:40006>10.0.1.3:7000 as 10.0.1.12:40006>10.0.1.13:7000'),
      },
    },
  },
  {
    name: 'a connection just being made is left alone where a sidecar will carry it',
    tasks: [{ ...client('10.0.1.12', [DIALLING]), proxied: true }, server('10.0.1.13', [])],
    plans: { client: { close: [], rewrites: [] } },
  },
  {
    name: 'a connection on a network that a task is no longer on is closed at both ends',
    tasks: [client({ other: '10.0.9.2' }), server('10.0.1.13')],
    plans: { client: { close: [CLIENT] }, server: { close: [SERVER] } },
  },
  {
    name: 'one task moves, its peers run on: what they rewrite already stays, what does not come back is reset',
    tasks: [client('10.0.1.22')],
    live: [
      live(
        'server',
        '10.0.1.13',
        [RUNNING_SERVER, running('10.0.1.3:7000', '10.0.1.9:1234'), LOST, running('10.0.1.13:50000', '192.0.2.1:443')],
        ['10.0.1.3:7000>10.0.1.9:1234 as 10.0.1.13:7000>10.0.1.19:1234'],
        '10.0.1.3',
      ),
      live('other', '10.0.1.19', [running('10.0.1.9:1234', '10.0.1.3:7000')], [], '10.0.1.9'),
    ],
    plans: { client: { rewrites: rewrites('10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.22:40000>10.0.1.13:7000') } },
    livePlans: {
      server: {
        rewrites: rewrites(
          '10.0.1.3:7000>10.0.1.9:1234 as 10.0.1.13:7000>10.0.1.19:1234',
          '10.0.1.3:7000>10.0.1.2:40000 as 10.0.1.13:7000>10.0.1.22:40000',
        ),
        close: [LOST],
      },
      other: { rewrites: [], close: [] },
    },
  },
  {
    name: 'a task that moves back home is no longer rewritten by its running peer',
    tasks: [restored('client', '10.0.1.22', '10.0.1.2', [CLIENT], '10.0.1.2')],
    live: [
      live('server', '10.0.1.3', [RUNNING_SERVER], ['10.0.1.3:7000>10.0.1.2:40000 as 10.0.1.3:7000>10.0.1.22:40000']),
    ],
    plans: { client: { ownAddresses: ['10.0.1.22'], rewrites: [] } },
    livePlans: { server: { rewrites: [], close: [] } },
  },
];

test.each(CASES)('$name', ({ tasks, live = [], plans, livePlans = {} }) => {
  const planned = plan(tasks, live);
  for (const [key, fields] of Object.entries(plans)) {
    const whole = planned.plans.get(key);
    expect(whole, key).toEqual({ ...whole, ...fields });
  }
  expect(Object.fromEntries([...planned.live].map(([key, { rewrites, close }]) => [key, { rewrites, close }]))).toEqual(
    livePlans,
  );
});

function mark(writeSeq: number, from: number): UnsentMark {
  return { writeSeq, rcvNxt: CLIENT.rcvNxt, from };
}

test.each<[string, Partial<Connection>, 'moves' | 'runs on', UnsentMark[]]>([
  ['what was in flight', { sndNxt: 15, writeSeq: 15 }, 'moves', [mark(15, 13)]],
  ['what was in flight and what was not sent', { sndNxt: 15, writeSeq: 20 }, 'moves', [mark(20, 13)]],
  ['what is not acknowledged, if it runs on', { sndNxt: 15, writeSeq: 15 }, 'runs on', [mark(15, 10)]],
  ['nothing, if it has all', { sndUna: 13, sndNxt: 13, writeSeq: 13 }, 'moves', []],
  ['nothing, behind a FIN', { sndNxt: 15, writeSeq: 15, state: 'FIN_WAIT1' }, 'moves', []],
])('what the peer does not have counts as not sent: %s', (_name, changes, peer, unsent) => {
  const moved = client('10.0.1.12', [{ ...CLIENT, ...changes }]);
  const has13 = { ...SERVER, rcvNxt: 13 };
  const { plans } =
    peer === 'moves'
      ? plan([moved, server('10.0.1.13', [has13])])
      : plan([moved], [live('server', '10.0.1.3', [{ ...has13, ...RUNNING }])]);
  expect(plans.get('client')?.unsent).toEqual(unsent);
});

test('proxied connections are not rewritten, but their old addresses come back; those named are closed', () => {
  const half = end('10.0.1.2:40001', '10.0.1.3:7000');
  const { plans } = planNetworks({
    tasks: [client('10.0.1.12', [CLIENT, half])],
    pairing: pairConnections([]),
    close: [{ task: 'client', connection: half }],
    subnets: SUBNETS,
  });
  expect(plans.get('client')).toMatchObject({ ownAddresses: ['10.0.1.2'], rewrites: [], close: [half], unsent: [] });
});

/** As `socket local>remote as wire local>remote`. */
const entries = (plan: { readonly rewrites: readonly RewriteEntry[] } | undefined): string[] =>
  (plan?.rewrites ?? []).map(
    ({ socketLocal, socketRemote, wireLocal, wireRemote, datagrams }) =>
      `${datagrams === true ? 'udp ' : ''}${[socketLocal, socketRemote].map(endpointText).join('>')} as ${[wireLocal, wireRemote].map(endpointText).join('>')}`,
  );
const udp = (local: string, remote: string): { local: Endpoint; remote: Endpoint } => ({
  local: endpoint(local),
  remote: endpoint(remote),
});

test('a connection that a running task was just making goes to where its target is now; others are left alone', () => {
  const dialling = { ...running('10.0.1.3:50000', '10.0.1.2:7000'), state: 'SYN_SENT' };
  const elsewhere = { ...running('10.0.1.3:50001', '198.51.100.7:80'), state: 'SYN_SENT' };
  const among = { ...running('10.0.1.3:50002', '10.0.1.4:80'), state: 'SYN_SENT' };
  const peers = [live('server', '10.0.1.3', [dialling, elsewhere, among]), live('other', '10.0.1.4', [])];
  const { live: planned } = plan([client('10.0.1.12', [])], peers);
  expect(entries(planned.get('server'))).toEqual(['10.0.1.3:50000>10.0.1.2:7000 as 10.0.1.3:50000>10.0.1.12:7000']);
  expect(planned.get('server')?.close).toEqual([]);
  // It moves once more before the connection is made.
  const again = live('server', '10.0.1.3', [dialling], entries(planned.get('server')));
  const second = plan([restored('client', '10.0.1.12', '10.0.1.22', [], '10.0.1.2')], [again]);
  expect(entries(second.live.get('server'))).toEqual(['10.0.1.3:50000>10.0.1.2:7000 as 10.0.1.3:50000>10.0.1.22:7000']);
});

test('connected UDP sockets go to where their peers are now, whether these are connected or not', () => {
  const sockets = [udp('10.0.1.2:5000', '10.0.1.3:53'), udp('10.0.1.2:5001', '198.51.100.7:53')];
  const moved = plan([{ ...client('10.0.1.12', []), datagrams: sockets }, server('10.0.1.13', [])]);
  expect(entries(moved.plans.get('client'))).toEqual([
    'udp 10.0.1.2:5000>10.0.1.3:53 as 10.0.1.12:5000>10.0.1.13:53',
    'udp 10.0.1.2:5001>198.51.100.7:53 as 10.0.1.12:5001>198.51.100.7:53',
  ]);
  const staying = { ...live('server', '10.0.1.3', []), datagrams: [udp('10.0.1.3:53', '10.0.1.2:5000')] };
  const { live: planned } = plan([client('10.0.1.12', [])], [staying]);
  expect(entries(planned.get('server'))).toEqual(['udp 10.0.1.3:53>10.0.1.2:5000 as 10.0.1.3:53>10.0.1.12:5000']);
});

test('a socket of an earlier life means who had the address then', () => {
  // 10.0.1.3 was the server's, and is the other's at this cut.
  const { plans } = plan([
    {
      ...restored('client', '10.0.1.12', '10.0.1.22', [], '10.0.1.2'),
      datagrams: [udp('10.0.1.2:5000', '10.0.1.3:53')],
    },
    restored('server', '10.0.1.13', '10.0.1.23', [], '10.0.1.3'),
    restored('other', '10.0.1.3', '10.0.1.33', []),
  ]);
  expect(entries(plans.get('client'))).toEqual(['udp 10.0.1.2:5000>10.0.1.3:53 as 10.0.1.22:5000>10.0.1.23:53']);
});

test('each family has its own addresses on a network', () => {
  const at = (v4: string, v6: string): Alias[] => [v4, v6].flatMap(aliases);
  const both = (key: string, n: number, connections: Connection[]): RestoredTask => ({
    ...restored(key, '10.0.1.2', '10.0.1.2', connections),
    addresses: at(`10.0.1.${n}`, `fd00::${n}`),
    newAddresses: at(`10.0.1.1${n}`, `fd00::1${n}`),
  });
  const { plans } = plan([
    both('a', 2, [CLIENT, end('[fd00::2]:40000', '[fd00::3]:7000', [1, 1, 2])]),
    both('b', 3, [SERVER, end('[fd00::3]:7000', '[fd00::2]:40000', [2, 2, 1])]),
  ]);
  expect(entries(plans.get('a'))).toEqual([
    '10.0.1.2:40000>10.0.1.3:7000 as 10.0.1.12:40000>10.0.1.13:7000',
    '[fd00::2]:40000>[fd00::3]:7000 as [fd00::12]:40000>[fd00::13]:7000',
  ]);
});

test('former addresses lead to their tasks, virtual ones to those of their service, unless somebody has them', () => {
  const led = (plan: { readonly former: readonly FormerAddress[] } | undefined): string[] =>
    (plan?.former ?? []).map(({ address, to, service }) => `${address} ${service} ${to.join(' ')}`);
  const tasks = [
    restored('s_a.1', '10.0.1.2', '10.0.1.3', [], '10.0.1.22'),
    restored('s_b.1', '10.0.1.3', '10.0.1.13', [], '10.0.1.22'),
    restored('s_c.1', { other: '10.0.9.4' }, { other: '10.0.9.14' }, [], { other: '10.0.9.44' }),
  ];
  const virtual = ['10.0.1.100', '10.0.1.101'].map((address) => ({
    ...(aliases(address)[0] ?? { network: '', address }),
    service: 's_b',
    tasks: ['s_a.1', 's_b.1'],
  }));
  const pairing = pairConnections(tasks);
  const { plans } = planNetworks({ tasks, pairing, subnets: SUBNETS, virtual, taken: ['10.0.1.101'] });
  // 10.0.1.3 is a's now; of 10.0.1.22 nobody knows who had it last.
  expect(led(plans.get('s_a.1'))).toEqual(['10.0.1.100 s_b 10.0.1.3 10.0.1.13', '10.0.1.2 s_a 10.0.1.3']);
  expect(led(plans.get('s_c.1'))).toEqual(['10.0.9.4 s_c 10.0.9.14', '10.0.9.44 s_c 10.0.9.14']);
});

test('addresses that no socket has any more are remembered, too', () => {
  const { plans } = plan([restored('client', '10.0.1.12', '10.0.1.22', [], '10.0.1.2')]);
  expect(plans.get('client')).toMatchObject({
    ownAddresses: ['10.0.1.12'],
    aliases: ['10.0.1.2', '10.0.1.12', '10.0.1.22'].flatMap(aliases),
  });
});

test('sockets that are bound to an old address are reached under the present one; others need nothing', () => {
  const on = (text: string, datagrams = false): UnconnectedSocket => ({ local: endpoint(text), datagrams });
  const bound = [on('10.0.1.2:80'), on('10.0.1.12:81'), on('10.0.1.12:53', true), on('172.18.0.3:82')];
  const moved = { ...restored('server', '10.0.1.12', '10.0.1.22', [], '10.0.1.2'), bound };
  expect(plan([moved]).plans.get('server')).toMatchObject({
    ownAddresses: ['10.0.1.2', '10.0.1.12', '172.18.0.3'],
    bound: [bound[0], bound[1], bound[2]].map((socket) => ({ ...socket, wire: '10.0.1.22' })),
  });
  expect(plan([{ ...moved, newAddresses: aliases('10.0.1.12') }]).plans.get('server')?.bound).toEqual([
    { ...bound[0], wire: '10.0.1.12' },
  ]);
});
