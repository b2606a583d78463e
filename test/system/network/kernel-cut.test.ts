import { afterEach, expect, test } from 'vitest';
import { execa } from 'execa';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { listConnections, resetConnections } from '../../../agent/network/rewriting/connections.ts';
import { Bed, ECHO, PING, type Program } from './kernel-bed.ts';

const SUBNETS = ['10.91.0.0/24', 'fd91::/64'];
const A = '10.91.0.2';
const B = '10.91.0.3';
let bed: Bed;

afterEach(async () => bed.close());

/** @param server where the client finds it */
async function pair(
  server = B,
): Promise<{ server: Program; client: Program; a: KernelInterceptor; b: KernelInterceptor }> {
  bed = await Bed.make({ a: `${A}/24`, b: `${B}/24` });
  for (const [task, address] of Object.entries({ a: 'fd91::2', b: 'fd91::3' }))
    await bed.run(task, ['ip', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad']);
  const echo = bed.program('b', ECHO.replace('0.0.0.0', '::'), '7000');
  await echo.line((line) => line === 'listening');
  const client = bed.program('a', PING, server, '7000', '2');
  await client.more(5);
  return {
    server: echo,
    client,
    a: new KernelInterceptor({ netns: bed.netns('a') }),
    b: new KernelInterceptor({ netns: bed.netns('b') }),
  };
}

/** Packets that the bridge has carried from a task. */
async function sentBy(task: string): Promise<number> {
  const shown = await bed.run('sw', ['ip', '-j', '-s', 'link', 'show', `v${task}`]);
  const [link] = JSON.parse(shown) as { stats64: { rx: { packets: number } } }[];
  return link?.stats64.rx.packets ?? Number.NaN;
}

test('block stops everything both ways, expires by itself, and can be undone by a bare command', async () => {
  const { client, a } = await pair();
  // Its neighbour discovery is not the task's, and passes.
  await bed.run('a', ['sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6']);
  await a.block(60_000);
  const sent = await sentBy('a');
  // By now what it had printed has come through its pipe.
  const held = client.lines.length;
  // The peer is not blocked, and what it does now must not get through: a ping goes unanswered.
  const ping = await execa('ip', ['netns', 'exec', bed.name('b'), 'ping', '-c', '2', '-i', '0.2', '-W', '1', A], {
    reject: false,
  });
  expect(ping.exitCode).not.toBe(0);
  expect(client.lines.length).toBeLessThanOrEqual(held + 1);
  expect(await sentBy('a')).toBe(sent);

  await a.renewBlock(300);
  await client.more(20);

  await a.block(60_000);
  for (const command of a.undoCommands()) await execa(command[0] ?? '', command.slice(1), { reject: false });
  await client.more(20);
  expect(client.lines.filter((line) => /wrong|error|closed/.test(line))).toEqual([]);
});

test('a datagram sent while blocked is lost silently, and lo goes on for UDP but not for TCP', async () => {
  const { a } = await pair();
  await bed.run('a', ['ip', 'route', 'add', 'default', 'dev', 'eth0']);
  const listener = bed.program(
    'b',
    `
    import dgram from 'node:dgram';
    const socket = dgram.createSocket('udp4');
    socket.on('message', (message) => console.log('' + message));
    socket.bind(7001, () => console.log('ready'));`,
  );
  await listener.line((line) => line === 'ready');
  const sender = `
    import dgram from 'node:dgram';
    import net from 'node:net';
    const socket = dgram.createSocket('udp4');
    socket.bind(7002, '127.0.0.1');
    socket.on('message', (message) => {
      console.log('over lo: ' + message);
      const tcp = net.connect(7003, '127.0.0.1');
      tcp.on('error', (error) => { console.log(error.code); process.exit(); });
      setTimeout(() => { console.log('tcp over lo waits'); process.exit(); }, 500);
    });
    dgram.createSocket('udp4').send(process.argv[1], 7001, '${B}', (error) => {
      console.log(error ? error.code : 'sent');
      dgram.createSocket('udp4').send('dns', 7002, '127.0.0.1');
    });`;
  await a.block(60_000);
  const held = bed.program('a', sender, 'held');
  await held.line((line) => line === 'tcp over lo waits');
  expect(held.lines).toEqual(['sent', 'over lo: dns', 'tcp over lo waits']);

  await a.unblock();
  const free = bed.program('a', sender, 'free');
  await free.line((line) => line === 'ECONNREFUSED');
  await listener.line((line) => line === 'free');
  expect(listener.lines).toEqual(['ready', 'free']);
});

test.each([
  ['IPv4', B],
  ['IPv6', 'fd91::3'],
])('the coming colour is refused until the own cut, and nothing is lost by it: %s', async (_family, address) => {
  const { client, a, b } = await pair(address);
  for (const epoch of [1, 2, 3]) {
    await Promise.all([a, b].map((one) => one.prepare({ subnets: SUBNETS, epoch })));
    await client.more(5);
    // a makes its cut alone: what it sends now must not reach b, and b's answers to it cannot exist.
    await a.block(60_000);
    await a.advance(epoch);
    const seen = client.lines.length;
    const refused = async (): Promise<number> =>
      Number(/InSegs\s+(\d+)/.exec(await bed.run('b', ['nstat', '-asz', 'TcpInSegs']))?.[1]);
    const before = await refused();
    const sent = await sentBy('a');
    await expect.poll(() => sentBy('a'), { timeout: 10_000 }).toBeGreaterThan(sent + 1);
    expect(await refused()).toBe(before);
    expect(client.lines.length).toBeLessThanOrEqual(seen + 1);

    await b.block(60_000);
    await b.advance(epoch);
    await client.more(20);
    await Promise.all([a.detach(), b.detach()]);
    await client.more(5);
  }
  expect(client.lines.filter((line) => /wrong|error|closed/.test(line))).toEqual([]);
  expect(await bed.run('a', ['nft', 'list', 'ruleset'])).toBe('');
});

test('a round of another stack at the same time does not hold up what goes between the two', async () => {
  const { client, a, b } = await pair();
  await a.prepare({ subnets: SUBNETS, foreign: [B], epoch: 1 });
  await b.prepare({ subnets: SUBNETS, foreign: [A], epoch: 1 });
  await a.block(60_000);
  await a.advance(1);
  // The other round takes its time.
  await client.more(50);
  await b.block(60_000);
  await b.advance(1);
  await client.more(50);
  await Promise.all([a.detach(), b.detach()]);
  expect(client.lines.filter((line) => /wrong|error|closed/.test(line))).toEqual([]);
  expect(await bed.run('a', ['nft', 'list', 'ruleset'])).toBe('');
});

test('the shortened retransmission time-out is put back by detach, and by an agent that knows nothing', async () => {
  const { a } = await pair();
  const before = await bed.run('a', ['ip', 'route']);
  await a.prepare({ subnets: SUBNETS, epoch: 1 });
  await a.prepare({ subnets: SUBNETS, epoch: 1 });
  expect(await bed.run('a', ['ip', 'route'])).toContain('rto_min lock 19ms');
  await a.block(60_000);
  await new KernelInterceptor({ netns: bed.netns('a') }).recover();
  expect(await bed.run('a', ['ip', 'route'])).toBe(before);
  expect(await bed.run('a', ['nft', 'list', 'ruleset'])).toBe('');
  await a.detach();
});

test('connections are listed and can be reset', async () => {
  const { client } = await pair();
  const listed = await listConnections(client.pid);
  expect(listed).toMatchObject([{ state: 'ESTABLISHED', local: { address: A }, remote: { address: B, port: 7000 } }]);
  await resetConnections(bed.netns('a'), listed);
  expect(await client.line((line) => line.startsWith('error'))).toBe('error ECONNABORTED');
});
