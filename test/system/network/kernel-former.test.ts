import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { Bed, ECHO, PING, type Program } from './kernel-bed.ts';
import { at, move, type Family, type Moving, type Staying } from './kernel-move.ts';
import { RawSocket } from './raw-socket.ts';

/** Programs remember addresses, and UDP sockets are connected to them: both find who had them after a restore or a migration. */
let bed: Bed;
let dir: string;
const open: RawSocket[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'swarmcut-former-'));
});

afterEach(async () => {
  for (const socket of open.splice(0)) socket.close();
  await bed.close();
  await rm(dir, { recursive: true });
});

function kept(socket: RawSocket): RawSocket {
  open.push(socket);
  return socket;
}

/** Answers datagrams. */
const UDP_ECHO = `
import dgram from 'node:dgram';
const socket = dgram.createSocket({ type: process.argv[2] === '6' ? 'udp6' : 'udp4' });
socket.on('message', (m, from) => { console.log('from ' + from.address); socket.send(m, from.port, from.address); });
socket.bind(Number(process.argv[1]), () => console.log('listening'));`;

async function start(families: readonly Family[] = [4]): Promise<{ client: Staying; server: Moving; echo: Program }> {
  bed = await Bed.make({ a: `${at(2)}/24`, b: `${at(3)}/24`, c: `${at(99)}/24` });
  if (families.includes(6))
    for (const [task, last] of Object.entries({ a: 2, b: 3, c: 99 }))
      await bed.run(task, ['ip', 'address', 'add', `${at(last, 6)}/64`, 'dev', 'eth0', 'nodad']);
  // As the engine has it for its name server: so conntrack works in the namespace.
  for (const task of ['a', 'b'])
    await bed.run(
      task,
      ['nft', '-f', '-'],
      'table inet engine {\nchain out {\ntype nat hook output priority -100\nip daddr 127.0.0.11 counter\n}\n}\n',
    );
  const echo = bed.program('b', ECHO.replace("'0.0.0.0'", "'::'"), '7000');
  await echo.line((line) => line === 'listening');
  const idle = bed.program('a', 'setInterval(() => undefined, 1e6); console.log("up")');
  await idle.line((line) => line === 'up');
  return {
    client: { name: 'a', program: idle, now: 2, earlier: [] },
    server: { name: 'b', program: echo, now: 3, earlier: [] },
    echo,
  };
}

/** A new connection to an address gets an echo within the time of one repeated SYN. */
async function reached(task: string, address: string, port = 7000): Promise<void> {
  const probe = bed.program(task, PING, address, String(port), '2');
  await probe.line((line) => line.startsWith('0 '), 0, 3_000);
  await probe.more(3);
  expect(probe.lines.filter((line) => !/^\d/.test(line))).toEqual([]);
  await probe.stop();
}

async function answered(socket: RawSocket, text: string): Promise<void> {
  await expect
    .poll(
      () => {
        socket.send(text);
        return socket.receive();
      },
      { timeout: 5_000, interval: 20 },
    )
    .toBe(`"${text}"`);
}

describe.each<Family>([4, 6])('over IPv%d', (family) => {
  const families: Family[] = family === 4 ? [4] : [4, 6];

  test('a former address leads to its task: from one that stays, from the task itself, and after a second move', async () => {
    const { client, server } = await start(families);
    await move({ bed, dir, tasks: [server], to: [13], staying: [client], families });
    await reached('a', at(3, family));
    await reached('b', at(3, family));
    await reached('a', at(13, family));
    await move({ bed, dir, tasks: [server, client], to: [23, 22], families });
    for (const last of [3, 13, 23]) await reached('a', at(last, family));
    for (const last of [3, 13, 23]) await reached('b', at(last, family));
  });

  test('a connection that was just being made when its target moved goes on within a second or so', async () => {
    const { client, server, echo } = await start(families);
    const blocked = new KernelInterceptor({ netns: bed.netns('b') });
    await blocked.block(60_000);
    const early = bed.program('a', PING, at(3, family), '7000', '2');
    await expect
      .poll(async () => bed.run('a', ['ss', '-Htn', 'state', 'syn-sent']), { timeout: 5_000 })
      .toContain(':7000');
    // Begun after the list of connections was made.
    let late: Program | undefined;
    await move({
      bed,
      dir,
      tasks: [server],
      to: [13],
      staying: [client],
      families,
      whileBlocked: async () => {
        late = bed.program('a', PING, at(3, family), '7000', '2');
        await expect
          .poll(async () => (await bed.run('a', ['ss', '-Htn', 'state', 'syn-sent'])).split(':7000').length - 1, {
            timeout: 5_000,
          })
          .toBe(2);
      },
    });
    for (const probe of [early, late]) await probe?.more(5, 8_000);
    expect(echo.lines.filter((line) => line.startsWith('from'))).toHaveLength(2);
  });

  test.each([
    ['one that stays hears its moved peer', ['b']],
    ['one that moves hears its peer that stays', ['a']],
    ['both move', ['a', 'b']],
  ])('a connected UDP socket goes on: %s', async (_name, moving) => {
    const { client, server } = await start(families);
    const echo = bed.program('b', UDP_ECHO, '7001', String(family));
    await echo.line((line) => line === 'listening');
    const socket = kept(RawSocket.make(bed.netns('a'), 'udp', family));
    socket.connect({ address: at(3, family), port: 7001 });
    await answered(socket, 'first');
    const all = [client, server];
    const tasks = all.filter(({ name }) => moving.includes(name));
    const staying = all.filter(({ name }) => !moving.includes(name));
    await move({ bed, dir, tasks, to: tasks.map(({ now }) => now + 10), staying, families });
    await answered(socket, 'second');
    expect(socket.polledError).toBe(false);
    // Once more, with rewriting in force already.
    await move({ bed, dir, tasks: [server], to: [33], staying: [client], families });
    await answered(socket, 'third');
  });

  test('a former address that somebody else has leads to him', async () => {
    const { client, server } = await start(families);
    // Swarm has given b's address to a.
    await move({ bed, dir, tasks: [client, server], to: [3, 13], families });
    const own = bed.program('a', ECHO.replace("'0.0.0.0'", "'::'"), '7100');
    await own.line((line) => line === 'listening');
    await reached('b', at(3, family), 7100);
    await reached('c', at(3, family), 7100);
  });

  test('a socket that is bound to an old address reaches a former one', async () => {
    const { client, server } = await start(families);
    await move({ bed, dir, tasks: [client, server], to: [12, 13], families });
    const socket = kept(RawSocket.make(bed.netns('a'), 'tcp', family)).bind({ address: at(2, family), port: 0 });
    socket.connect({ address: at(3, family), port: 7000 });
    await answered(socket, 'hello');
  });

  test('servers that listen on one address are reached under the present one and the former one', async () => {
    const { client, server } = await start(families);
    const echo = bed.program('b', ECHO.replace("'0.0.0.0'", `'${at(3, family)}'`), '7200');
    await echo.line((line) => line === 'listening');
    const datagrams = kept(RawSocket.make(bed.netns('b'), 'udp', family)).bind({ address: at(3, family), port: 7201 });
    const bound = {
      b: [
        { local: { address: at(3, family), port: 7200 }, datagrams: false },
        { local: { address: at(3, family), port: 7201 }, datagrams: true },
      ],
    };
    await move({ bed, dir, tasks: [server], to: [13], staying: [client], families, bound });
    for (const last of [13, 3]) await reached('a', at(last, family), 7200);
    const here = kept(RawSocket.make(bed.netns('a'), 'udp', family)).bind({ address: at(2, family), port: 7202 });
    // From the server first: it is for nobody's question.
    datagrams.sendTo('news', { address: at(2, family), port: 7202 });
    await expect.poll(() => here.receive(), { timeout: 5_000 }).toBe('"news"');
    here.connect({ address: at(13, family), port: 7201 });
    here.send('question');
    await expect.poll(() => datagrams.receive(), { timeout: 5_000 }).toBe('"question"');
    datagrams.sendTo('answer', { address: at(2, family), port: 7202 });
    await expect.poll(() => here.receive(), { timeout: 5_000 }).toBe('"answer"');
  });

  test('both ends of a datagram flow are connected sockets', async () => {
    const { client, server } = await start(families);
    const there = kept(RawSocket.make(bed.netns('b'), 'udp', family)).bind({ address: at(3, family), port: 7002 });
    const here = kept(RawSocket.make(bed.netns('a'), 'udp', family)).bind({ address: at(2, family), port: 7003 });
    here.connect({ address: at(3, family), port: 7002 });
    there.connect({ address: at(2, family), port: 7003 });
    await move({ bed, dir, tasks: [client, server], to: [12, 13], families });
    for (const [from, to] of [
      [here, there],
      [there, here],
    ] as const) {
      from.send('x');
      await expect.poll(() => to.receive(), { timeout: 5_000 }).toBe('"x"');
    }
  });
});

test('a former virtual address leads to the tasks of its service by turns', async () => {
  const { client, server, echo } = await start();
  const other = bed.program('c', ECHO, '7000');
  await other.line((line) => line === 'listening');
  const third: Moving = { name: 'c', program: other, now: 99, earlier: [] };
  const virtual = [{ address: at(200), network: 'net', service: 'b', tasks: ['b', 'c'] }];
  await move({ bed, dir, tasks: [client, server, third], to: [12, 13, 14], virtual });
  for (let turn = 0; turn < 4; turn++) await reached('a', at(200));
  for (const program of [echo, other]) expect(program.lines.filter((line) => line.startsWith('from'))).toHaveLength(2);
});

test('a network that was made anew with other addresses: the former ones are still reached', async () => {
  const { client, server } = await start();
  // As Docker gives it: the default route leads elsewhere.
  await bed.run('a', ['ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'elsewhere']);
  await bed.run('a', ['ip', 'link', 'set', 'elsewhere', 'up']);
  await bed.run('a', ['ip', 'address', 'add', '172.18.0.3/16', 'dev', 'eth1']);
  await bed.run('a', ['ip', 'link', 'set', 'eth1', 'up']);
  await bed.run('a', ['ip', 'route', 'add', 'default', 'via', '172.18.0.1']);
  const virtual = [{ address: '10.64.0.9', network: 'net', service: 'b', tasks: ['b'] }];
  await move({ bed, dir, tasks: [client, server], to: [12, 13], virtual });
  await reached('a', '10.64.0.9');
});

test('what is open when the addresses change once more goes on', async () => {
  const { client, server } = await start();
  await move({ bed, dir, tasks: [server], to: [13], staying: [client] });
  const probe = bed.program('a', PING, at(3), '7000', '2');
  await probe.more(5);
  await move({ bed, dir, tasks: [server], to: [23], staying: [client] });
  await probe.more(20);
  expect(probe.lines.filter((line) => !/^\d/.test(line))).toEqual([]);
});
