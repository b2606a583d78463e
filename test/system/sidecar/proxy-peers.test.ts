import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';
import type { Program } from '../network/kernel-bed.ts';
import { ProxyBed } from './proxy-bed.ts';

const ADDRESSES = { a: '10.91.0.1', b: '10.91.0.2', c: '10.91.0.3' };
const VIP = '10.91.0.100';
const SOON = { timeout: 60_000 };

/** Says its name to whoever connects, and echoes. Opens and closes its port at SIGUSR2. */
const SERVER = `
import net from 'node:net';
const [name, port] = process.argv.slice(1);
let server;
const open = () => { server = net.createServer((socket) => {
  console.log('from ' + socket.remoteAddress);
  socket.on('error', () => {});
  socket.write(name + '\\n');
  socket.pipe(socket);
}).listen(Number(port), '0.0.0.0', () => console.log('listening')); };
open();
process.on('SIGUSR2', () => { if (server.listening) { server.close(); console.log('closed'); } else open(); });
setInterval(() => {}, 1000); // without a port, too
`;

/** Connects, says who answers or why nobody does. */
const CLIENT = `
import net from 'node:net';
const [address, port, times] = process.argv.slice(1);
for (let i = 0; i < Number(times); i++) await new Promise((resolve) => {
  const socket = net.connect(Number(port), address);
  socket.on('data', (data) => { console.log(String(data).trim()); socket.end(); });
  socket.on('error', (error) => { console.log(error.code); resolve(); });
  socket.on('close', resolve);
});
console.log('done');
`;

/** Serves, and calls the other one all the time from its first moment on. Says each answer. */
const CHATTER = `
import net from 'node:net';
const [address] = process.argv.slice(1);
net.createServer((socket) => { socket.on('error', () => {}); socket.pipe(socket); }).listen(7000, '0.0.0.0');
for (let i = 0; ; i++) {
  const socket = net.connect(7000, address, () => socket.write('x'));
  socket.on('data', () => { console.log('answer ' + i); socket.end(); });
  socket.on('error', () => {});
  await new Promise((resolve) => setTimeout(resolve, 5));
}
`;

let bed: ProxyBed;

beforeEach(async () => {
  bed = await ProxyBed.make(ADDRESSES);
});
afterEach(() => bed.close());

/** Counts what comes in past the sidecars, behind SYN, for ports of applications: bytes of a connection between two tasks. */
async function countPassing(task: string): Promise<() => Promise<number>> {
  await bed.bed.run(
    task,
    ['nft', '-f', '-'],
    `table inet seen {
       chain in { type filter hook prerouting priority -500;
         iifname "eth0" tcp dport { 7000, 7001 } tcp flags & (syn | rst) == 0 counter
       }
     }`,
  );
  return async () =>
    Number(/packets (\d+)/.exec(await bed.bed.run(task, ['nft', 'list', 'table', 'inet', 'seen']))?.[1]);
}

async function server(task: string, port = 7000): Promise<Program> {
  const program = bed.bed.program(task, SERVER, task, String(port));
  await program.line((line) => line === 'listening');
  return program;
}

/** Opens or closes its port. */
async function toggle(program: Program): Promise<void> {
  const from = program.lines.length;
  process.kill(program.pid, 'SIGUSR2');
  await program.line((line) => line === 'listening' || line === 'closed', from);
}

async function connect(task: string, address: string, times = 1, port = 7000): Promise<readonly string[]> {
  const client = bed.bed.program(task, CLIENT, address, String(port), String(times));
  await client.line((line) => line === 'done');
  return client.lines.slice(0, -1);
}

/** A view in which only these are tasks of the stack. */
function only(...tasks: (keyof typeof ADDRESSES)[]): NetworkView {
  const view = bed.view();
  return { ...view, tasks: view.tasks.filter(({ service }) => (tasks as string[]).includes(service)) };
}

describe('which connections go through the sidecars', () => {
  test('all between two tasks that start at once and talk at once', async () => {
    const [passedA, passedB] = [await countPassing('a'), await countPassing('b')];
    const start = async (task: 'a' | 'b', other: 'a' | 'b'): Promise<Program> => {
      await bed.attach(task);
      const program = bed.bed.program(task, CHATTER, ADDRESSES[other]);
      void bed.call(task, 'networkView', bed.view());
      return program;
    };
    const programs = await Promise.all([start('a', 'b'), start('b', 'a')]);
    for (const program of programs) await program.line((line) => line.startsWith('answer'));
    await Promise.all(programs.map((program) => program.more(50)));
    expect(await passedA()).toBe(0);
    expect(await passedB()).toBe(0);
    expect((await bed.status('a')).carried).toBeGreaterThan(100);
    expect(await bed.status('a')).toMatchObject({ peers: [ADDRESSES.b], direct: [] });
  });

  test('also if their agents have not told them of each other', async () => {
    const passed = await countPassing('b');
    await bed.attach('a', 'b');
    await server('b');
    for (const task of ['a', 'b']) await bed.call(task, 'networkView', only());
    expect(await connect('a', ADDRESSES.b, 3)).toEqual(['b', 'b', 'b']);
    expect((await bed.status('b')).carried).toBe(3);
    expect(await passed()).toBe(0);
  });

  test('a port that is closed refuses, one that opens is intercepted, and then refuses again', async () => {
    await bed.attach('a', 'b');
    const program = await server('b');
    await bed.feed({ b: program });
    expect(await connect('a', ADDRESSES.b, 1, 7001)).toEqual(['ECONNREFUSED']);
    for (let round = 1; round <= 3; round++) {
      expect(await connect('a', ADDRESSES.b)).toEqual(['b']);
      expect((await bed.status('a')).carried).toBe(round);
      await toggle(program);
      await expect.poll(() => bed.set('a', 'listening'), SOON).toBe('');
      expect(await connect('a', ADDRESSES.b)).toEqual(['ECONNREFUSED']);
      await toggle(program); // and is reached at once: until it is known its SYN is dropped, and comes again
    }
    expect(bed.crashes).toEqual([]);
  });

  test('not those with a task without a sidecar, nor UDP, nor the task’s own', async () => {
    await bed.attach('a', 'b');
    await server('a');
    await server('c');
    for (const task of ['a', 'b']) await bed.call(task, 'networkView', bed.view());
    expect(await connect('a', ADDRESSES.c)).toEqual(['c']);
    expect(await connect('c', ADDRESSES.a)).toEqual(['a']);
    expect(await connect('c', ADDRESSES.a, 1, 7001)).toEqual(['ECONNREFUSED']);
    expect(await connect('a', ADDRESSES.a)).toEqual(['a']);
    expect(await connect('a', '127.0.0.1')).toEqual(['a']);
    const udp = bed.bed.program(
      'b',
      `import dgram from 'node:dgram';
       const socket = dgram.createSocket('udp4');
       socket.on('message', (text, from) => console.log(text + ' from ' + from.address));
       socket.bind(7000, () => console.log('bound'));`,
    );
    await udp.line((line) => line === 'bound');
    await bed.bed.run('a', [
      'node',
      '-e',
      `const s = require('dgram').createSocket('udp4'); s.send('hello', 7000, '${ADDRESSES.b}', () => s.close())`,
    ]);
    await udp.line((line) => line === `hello from ${ADDRESSES.a}`);
    expect((await bed.status('a')).carried).toBe(0);
    expect((await bed.status('a')).peers).toEqual([ADDRESSES.b]);
  });

  test('not those that are older than one of the two sidecars; these are named while they live', async () => {
    await bed.attach('a');
    await bed.call('a', 'networkView', bed.view());
    await server('b');
    const old = bed.bed.program(
      'a',
      `import net from 'node:net';
       const socket = net.connect(7000, '${ADDRESSES.b}');
       socket.on('data', (data) => console.log(String(data).trim()));
       socket.on('error', (error) => console.log(error.code));
       setInterval(() => socket.write('.\\n'), 20);`,
    );
    await old.line((line) => line === '.');
    expect((await bed.status('a')).direct).toEqual([]); // b has no sidecar
    await bed.attach('b');
    await bed.feed({});
    const [direct, ...more] = (await bed.status('a')).direct;
    expect(more).toEqual([]);
    expect(direct).toMatchObject({ local: { address: ADDRESSES.a }, remote: { address: ADDRESSES.b, port: 7000 } });
    expect((await bed.status('b')).direct).toEqual([{ local: direct?.remote, remote: direct?.local }]);
    await old.more(20);
    expect(await connect('a', ADDRESSES.b)).toEqual(['b']);
    expect(await bed.status('a')).toMatchObject({ carried: 1 });
    // A new sidecar knows of it, too.
    const former = bed.interceptor('a').pid ?? Number.NaN;
    process.kill(former, 'SIGKILL');
    await expect.poll(() => [undefined, former].includes(bed.interceptor('a').pid), SOON).toBe(false);
    await expect.poll(async () => (await bed.status('a')).peers, SOON).toEqual([ADDRESSES.b]);
    expect((await bed.status('a')).direct).toEqual([direct]);
    await old.more(20);
    expect(old.lines.filter((line) => line.startsWith('E'))).toEqual([]);
    await old.stop();
    await expect.poll(() => bed.set('a', 'direct'), SOON).toBe('');
    expect((await bed.status('a')).direct).toEqual([]);
  });
});

describe('a virtual address', () => {
  test('leads in turn to the tasks that listen, and refuses when none does', async () => {
    await bed.attach('a', 'b', 'c');
    const programs = { b: await server('b'), c: await server('c') };
    const view = bed.view([{ address: VIP, service: 'web', backends: [ADDRESSES.b, ADDRESSES.c] }]);
    await bed.introduce(view);
    await expect.poll(() => bed.set('a', 'listening'), SOON).toContain(`${VIP} . 7000`);
    await expect.poll(async () => (await bed.set('a', 'listening')).split(',').length, SOON).toBe(3);
    expect((await connect('a', VIP, 6)).toSorted()).toEqual(['b', 'b', 'b', 'c', 'c', 'c']);
    expect(await connect('a', VIP, 1, 7001)).toEqual(['ECONNREFUSED']);
    // Its own task is not chosen.
    expect(await connect('b', VIP, 3)).toEqual(['c', 'c', 'c']);
    await toggle(programs.b);
    await expect.poll(() => bed.set('a', 'listening'), SOON).not.toContain(`${ADDRESSES.b} . 7000`);
    expect(await connect('a', VIP, 2)).toEqual(['c', 'c']);
    await toggle(programs.c);
    await expect.poll(() => bed.set('a', 'listening'), SOON).toBe('');
    expect(await connect('a', VIP)).toEqual(['ECONNREFUSED']);
    await toggle(programs.b);
    await expect.poll(() => bed.set('a', 'listening'), SOON).toContain(VIP);
    expect(await connect('a', VIP)).toEqual(['b']);
    // The server sees its true peer, and the peer the virtual address.
    expect(programs.b.lines).toContain(`from ${ADDRESSES.a}`);
  });
});

test('an address that a task had before leads to it, until it is somebody else’s', async () => {
  await bed.attach('a');
  await bed.attachOne('b', 0, undefined, [VIP]);
  const program = await server('b');
  await bed.introduce();
  expect(await connect('a', VIP, 2)).toEqual(['b', 'b']);
  expect(await connect('a', VIP, 1, 7001)).toEqual(['ECONNREFUSED']);
  expect(program.lines).toContain(`from ${ADDRESSES.a}`);
  await server('c');
  await bed.bed.run('c', ['ip', 'address', 'add', `${VIP}/24`, 'dev', 'eth0']);
  const { tasks, ...view } = bed.view();
  await bed.call('a', 'networkView', { ...view, tasks: [...tasks, { address: VIP, service: 'other', own: false }] });
  expect(await connect('a', VIP)).toEqual(['c']);
});

test('a sidecar that is blocked offers nothing in the name of its task, until it is told to or its time is over', async () => {
  await bed.attach('a', 'b');
  await bed.feed({ b: await server('b') });
  for (const end of [() => bed.call('a', 'release'), undefined]) {
    const { carried } = await bed.status('b');
    await bed.call('a', 'block', { forMs: end ? 60_000 : 1_000 });
    const client = bed.bed.program('a', CLIENT, ADDRESSES.b, '7000', '1');
    // It has the connection from its application's kernel. (A second may be over already on a busy machine.)
    if (end !== undefined) {
      await expect.poll(async () => (await bed.status('a')).streams, SOON).toBe(1);
      expect((await bed.status('b')).carried).toBe(carried);
      await end();
    }
    await client.line((line) => line === 'b');
    expect((await bed.status('b')).carried).toBe(carried + 1);
    await expect.poll(async () => (await bed.status('a')).streams, SOON).toBe(0);
  }
});

describe('who is a peer', () => {
  test('one whose sidecar dies is none until another one has come', async () => {
    await bed.attach('a', 'b');
    await bed.feed({ b: await server('b') });
    process.kill(bed.interceptor('b').pid ?? Number.NaN, 'SIGKILL');
    await expect.poll(() => bed.log('a'), SOON).toContain('a peer is lost');
    // A connection that begins meanwhile waits, and is carried.
    expect(await connect('a', ADDRESSES.b)).toEqual(['b']);
    expect((await bed.status('a')).peers).toEqual([ADDRESSES.b]);
    expect((await bed.status('b')).carried).toBe(1);
    // One that is taken away for good leaves a non-peer.
    await bed.interceptor('b').detach();
    expect(await connect('a', ADDRESSES.b)).toEqual(['b']);
    expect((await bed.status('a')).peers).toEqual([]);
  });

  test('not a stranger who passes on what a sidecar says to another', async () => {
    await bed.attach('a', 'b');
    await bed.introduce();
    const relay = bed.bed.program(
      'c',
      `import net from 'node:net';
       let calls = 0;
       net.createServer((caller) => {
         const called = net.connect(15072, '${ADDRESSES.b}');
         caller.on('error', () => {}); called.on('error', () => {});
         caller.on('data', (data) => console.log('caller ' + data.length));
         called.on('data', (data) => console.log('called ' + data.length));
         called.on('close', () => { console.log('call ' + ++calls); caller.destroy(); });
         caller.pipe(called).pipe(caller);
       }).listen(15072, '0.0.0.0', () => console.log('listening'));`,
    );
    await relay.line((line) => line === 'listening');
    await relay.line((line) => line === 'call 2', 0, 30_000);
    // Both said HELLO and OPEN, and b nothing more.
    expect(
      relay.lines.filter((line) => line !== 'called 24' && line !== 'caller 120' && !line.startsWith('call ')),
    ).toEqual(['listening']);
    expect(bed.log('b')).toContain(`was offered by ${ADDRESSES.c}`);
    for (const [task, other] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const)
      expect((await bed.status(task)).peers).toEqual([ADDRESSES[other]]);
  });

  test('not a sidecar of another stack; its task’s connections pass by', async () => {
    await bed.attach('a');
    await bed.call('a', 'networkView', bed.view());
    bed.key.fill(7); // b's is not a's
    await bed.attach('b');
    await bed.call('b', 'networkView', bed.view());
    await server('b');
    await expect.poll(() => bed.set('a', 'nonPeers'), SOON).toContain(ADDRESSES.b);
    await expect.poll(() => bed.set('b', 'nonPeers'), SOON).toContain(ADDRESSES.a);
    expect(await connect('a', ADDRESSES.b)).toEqual(['b']);
    expect(await bed.status('a')).toMatchObject({ carried: 0, peers: [] });
  });
});
