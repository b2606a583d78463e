import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { prodStalled } from '../../../agent/network/rewriting/push-unsent.ts';
import { Bed } from './kernel-bed.ts';
import { RawSocket } from './raw-socket.ts';

/**
 * What an application can see of a snapshot at its sockets: nothing. Each kind of connection does the same things with and without a block, and what the
 * kernel says (calls, SO_ERROR, EPOLLERR) is compared.
 */
const ADDRESS = { 4: { a: '10.91.0.2', b: '10.91.0.3' }, 6: { a: 'fd91::2', b: 'fd91::3' } } as const;
type Family = keyof typeof ADDRESS;
const SUBNETS = ['10.91.0.0/24', 'fd91::/64'];
const IPPROTO_TCP = 6;
/** Longer than a keep-alive probe and several retransmissions take. */
const HELD_MS = 1_300;

let bed: Bed;
const open: RawSocket[] = [];

afterEach(async () => {
  for (const socket of open.splice(0)) socket.close();
  await bed.close();
});

function kept(socket: RawSocket): RawSocket {
  open.push(socket);
  return socket;
}

/** The first that is there. */
async function soon<T>(look: () => T | undefined, what: string): Promise<T> {
  let found: T | undefined;
  await expect
    .poll(
      () => {
        found = look();
        return found === undefined ? `no ${what} yet` : 'there';
      },
      { timeout: 20_000, interval: 5 },
    )
    .toBe('there');
  if (found === undefined) throw new Error(what);
  return found;
}

/** Both directions of connections a → b. `during`: b may be blocked. */
interface Scene {
  readonly client: RawSocket;
  readonly server: RawSocket;
  readonly listener: RawSocket;
  readonly family: Family;
  readonly seen: string[];
}

/** What a kind of connection does while it may be held, and afterwards. Notes what it sees. */
interface Kind {
  readonly before?: (scene: Scene) => Promise<void> | void;
  readonly rightBefore?: (scene: Scene) => void;
  readonly during: (scene: Scene) => Promise<void> | void;
  readonly after: (scene: Scene) => Promise<void> | void;
}

const look = ({ client, server, seen }: Scene): void => {
  // EPOLLERR first: SO_ERROR forgets.
  for (const [name, socket] of Object.entries({ client, server }))
    seen.push(`${name}: EPOLLERR ${socket.polledError} SO_ERROR ${socket.error}`);
};

const KEEPALIVE = [
  [1, 9, 1],
  [IPPROTO_TCP, 4, 1],
  [IPPROTO_TCP, 5, 1],
] as const;

const echo = async ({ client, server, seen }: Scene): Promise<void> => {
  seen.push(`send ${client.send('once more')}`);
  seen.push(await soon(() => server.receive(), 'bytes at the server'));
  seen.push(`send ${server.send('back')}`);
  seen.push(await soon(() => client.receive(), 'bytes at the client'));
};

const KINDS: Record<string, Kind> = {
  'an idle one, whose keep-alive probes are held': {
    before: ({ client, server }) => {
      for (const [level, option, value] of KEEPALIVE) for (const end of [client, server]) end.set(level, option, value);
    },
    during: () => undefined,
    after: echo,
  },
  'an idle one, which has not acknowledged what came last': {
    before: async ({ client, server }) => {
      // A conversation: acknowledgments wait for an answer that they can go with.
      for (let turn = 0; turn < 5; turn++) {
        client.send('a');
        await soon(() => server.receive(), 'a question');
        server.send('b');
        await soon(() => client.receive(), 'an answer');
      }
    },
    rightBefore: ({ server }) => void server.send('b'),
    during: () => undefined,
    after: async (scene) => {
      scene.seen.push(await soon(() => scene.client.receive(), 'what came last'));
      await echo(scene);
    },
  },
  'a busy one': {
    during: ({ client, server, seen }) => {
      seen.push(`send ${client.send('to')} ${server.send('fro')}`);
    },
    after: async (scene) => {
      scene.seen.push(
        await soon(() => scene.server.receive(), 'bytes'),
        await soon(() => scene.client.receive(), 'bytes'),
      );
      await echo(scene);
    },
  },
  'a busy one that wants to hear of errors (IP_RECVERR)': {
    before: ({ client, family }) => {
      if (family === 4) client.set(0, 11, 1);
      else client.set(41, 25, 1);
    },
    during: ({ client, seen }) => {
      seen.push(`send ${client.send('to')}`);
    },
    after: async (scene) => {
      scene.seen.push(await soon(() => scene.server.receive(), 'bytes'));
      await echo(scene);
    },
  },
  'one that is closed halfway meanwhile': {
    during: ({ client, seen }) => {
      seen.push(`send ${client.send('last')} shutdown ${client.shutdown()}`);
    },
    after: async ({ client, server, seen }) => {
      seen.push(await soon(() => server.receive(), 'bytes'), await soon(() => server.receive(), 'the end'));
      seen.push(`send ${server.send('answer')}`, await soon(() => client.receive(), 'the answer'));
    },
  },
  'one that was closed halfway before': {
    before: async ({ client, server }) => {
      client.shutdown();
      await soon(() => server.receive(), 'the end');
    },
    during: ({ server, seen }) => {
      seen.push(`send ${server.send('answer')}`);
    },
    after: async ({ client, server, seen }) => {
      seen.push(await soon(() => client.receive(), 'the answer'));
      seen.push(`shutdown ${server.shutdown()}`, await soon(() => client.receive(), 'the end'));
    },
  },
};

async function scene(family: Family): Promise<{ scene: Scene; blocks: KernelInterceptor[] }> {
  bed = await Bed.make({ a: `${ADDRESS[4].a}/24`, b: `${ADDRESS[4].b}/24` });
  for (const task of ['a', 'b'] as const)
    await bed.run(task, ['ip', 'address', 'add', `${ADDRESS[6][task]}/64`, 'dev', 'eth0', 'nodad']);
  const listener = kept(RawSocket.make(bed.netns('b'), 'tcp', family));
  listener.bind({ address: family === 4 ? '0.0.0.0' : '::', port: 7000 }).listen();
  const client = kept(RawSocket.make(bed.netns('a'), 'tcp', family));
  client.connect({ address: ADDRESS[family].b, port: 7000 });
  const server = kept(await soon(() => listener.accept(), 'connection'));
  const blocks = ['a', 'b'].map((task) => new KernelInterceptor({ netns: bed.netns(task) }));
  return { scene: { client, server, listener, family, seen: [] }, blocks };
}

/** What the application sees in a snapshot of both tasks, or without one. */
async function run(kind: Kind, family: Family, snapshot: boolean): Promise<string[]> {
  const made = await scene(family);
  await kind.before?.(made.scene);
  if (snapshot) await Promise.all(made.blocks.map((one) => one.prepare({ subnets: SUBNETS, epoch: 1 })));
  kind.rightBefore?.(made.scene);
  if (snapshot) await Promise.all(made.blocks.map((one) => one.block(60_000)));
  await kind.during(made.scene);
  if (snapshot) await sleep(HELD_MS);
  look(made.scene);
  if (snapshot) for (const one of made.blocks) await one.advance(1);
  look(made.scene);
  await kind.after(made.scene);
  look(made.scene);
  if (snapshot) await Promise.all(made.blocks.map((one) => one.detach()));
  for (const socket of open.splice(0)) socket.close();
  await bed.close();
  return made.scene.seen;
}

describe.each([4, 6] as const)('over IPv%d a snapshot is not seen by', (family) => {
  test.each(Object.entries(KINDS))('%s', async (_name, kind) => {
    const without = await run(kind, family, false);
    expect(await run(kind, family, true)).toEqual(without);
  });

  test('one that is being made', async () => {
    const made = await scene(family);
    await Promise.all(made.blocks.map((one) => one.block(60_000)));
    const connecting = kept(RawSocket.make(bed.netns('a'), 'tcp', family));
    expect(connecting.connect({ address: ADDRESS[family].b, port: 7000 })).toBe('EINPROGRESS');
    await sleep(HELD_MS);
    expect([connecting.polledError, connecting.error]).toEqual([false, 'none']);
    await Promise.all(made.blocks.map((one) => one.unblock()));
    kept(await soon(() => made.scene.listener.accept(), 'connection'));
    expect([connecting.send('x'), connecting.polledError, connecting.error]).toEqual([1, false, 'none']);
  });

  test('a connected datagram socket, which loses what it sends meanwhile', async () => {
    const made = await scene(family);
    const wildcard = family === 4 ? '0.0.0.0' : '::';
    const server = kept(RawSocket.make(bed.netns('b'), 'udp', family)).bind({ address: wildcard, port: 7001 });
    const client = kept(RawSocket.make(bed.netns('a'), 'udp', family));
    client.connect({ address: ADDRESS[family].b, port: 7001 });
    expect(client.send('first')).toBe(5);
    expect(await soon(() => server.receive(), 'datagram')).toBe('"first"');
    await Promise.all(made.blocks.map((one) => one.block(60_000)));
    // The second one is sent in fragments.
    for (const text of ['held', 'x'.repeat(5_000), 'held']) expect(client.send(text)).toBe(text.length);
    // Only the sender is still blocked: what has left would arrive.
    await made.blocks[1]?.unblock();
    expect(client.send('held')).toBe(4);
    expect([client.polledError, client.error]).toEqual([false, 'none']);
    await made.blocks[0]?.unblock();
    expect(client.send('free')).toBe(4);
    expect(await soon(() => server.receive(), 'datagram')).toBe('"free"');
    expect(client.receive()).toBeUndefined();
    expect([client.polledError, client.error]).toEqual([false, 'none']);
  });
});

test('what waits in a block that has been long is prodded at its end, and need not wait for its timer', async () => {
  const made = await scene(4);
  const [a, b] = made.blocks;
  for (const one of made.blocks) await one.prepare({ subnets: SUBNETS, epoch: 1 });
  // So that the connection knows the shorter time-out.
  for (let turn = 0; turn < 5; turn++) await echo(made.scene);
  await b?.block(60_000);
  made.scene.client.send('sent'); // before the own block: it leaves, and is lost
  await a?.block(60_000);
  // As ss has it: `020ms`, `2.960ms` (both: seconds and milliseconds), `12sec`.
  const timerMs = async (): Promise<number> => {
    const shown = await bed.run('a', ['ss', '-Htno', 'dst', ADDRESS[4].b]);
    const [, head = 0, seconds = 0, milliseconds = 0] = /timer:\(on,(?:(\d+)\.)?(?:(\d+)sec|(\d+)ms)/.exec(shown) ?? [];
    return 1_000 * (Number(head) + Number(seconds)) + Number(milliseconds);
  };
  await expect.poll(timerMs, { timeout: 30_000, interval: 20 }).toBeGreaterThan(2_000);
  await Promise.all(made.blocks.map((one) => one.advance(1)));
  const files = [made.scene.client, made.scene.server].map(({ fd }) => ({
    pid: process.pid,
    fd: String(fd),
    target: 'socket:[1]',
  }));
  made.scene.client.set(1, 2, 1);
  const left = await timerMs();
  const at = performance.now();
  expect(prodStalled(files)).toBe(1);
  expect(await soon(() => made.scene.server.receive(), 'bytes')).toBe('"sent"');
  expect(performance.now() - at).toBeLessThan(left);
  expect(made.scene.client.get(1, 2)).toBe(1);
  await echo(made.scene);
});

test('neighbours over IPv6 are found while a task is held and its peer has cut', async () => {
  const made = await scene(6);
  await Promise.all(made.blocks.map((one) => one.prepare({ subnets: SUBNETS, epoch: 1 })));
  await made.blocks[1]?.advance(1);
  await made.blocks[0]?.block(60_000);
  for (const [from, to] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    await bed.run(from, ['ip', '-6', 'neighbour', 'flush', 'dev', 'eth0']);
    const socket = kept(RawSocket.make(bed.netns(from), 'udp', 6));
    socket.sendTo('x', { address: ADDRESS[6][to], port: 7001 });
    const neighbour = (): Promise<string> => bed.run(from, ['ip', '-6', 'neighbour', 'show', ADDRESS[6][to]]);
    await expect.poll(neighbour, { timeout: 5_000 }).toMatch(/REACHABLE|DELAY|PROBE|STALE/);
  }
});
