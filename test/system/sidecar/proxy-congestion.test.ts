import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ECHO, PING } from '../network/kernel-bed.ts';
import { ProxyBed } from './proxy-bed.ts';

const ADDRESSES = { a: '10.99.0.1', b: '10.99.0.2' };
const AVAILABLE = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').trim().split(' ');

let bed: ProxyBed;
beforeEach(async () => {
  bed = await ProxyBed.make(ADDRESSES);
});
afterEach(() => bed.close());

/** Congestion control of each connection of a namespace with this filter of `ss`. */
async function controls(task: keyof typeof ADDRESSES, filter: string): Promise<string[]> {
  const text = await bed.bed.run(task, ['ss', '-HtnioOH', 'state', 'established', ...filter.split(' ')]);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => AVAILABLE.find((name) => line.split(/\s+/).includes(name)) ?? line);
}

test.skipIf(!AVAILABLE.includes('bbr'))(
  'sidecars do not send by BBR, which takes a window that was full at a cut for the bandwidth of the path',
  async () => {
    for (const task of ['a', 'b']) await bed.bed.run(task, ['sysctl', '-qw', 'net.ipv4.tcp_congestion_control=bbr']);
    const server = bed.bed.program('b', ECHO, '7000');
    await server.line((line) => line === 'listening');
    await bed.attach('a', 'b');
    await bed.feed({ b: server });
    const client = bed.bed.program('a', PING, ADDRESSES.b, '7000', '5');
    await client.more(5);
    // Tunnels at both ends, those who call and those who are called; and towards the application that is called.
    for (const task of ['a', 'b'] as const) {
      const found = await controls(task, '( sport = :15072 or dport = :15072 )');
      expect(found.length).toBeGreaterThanOrEqual(2);
      expect(new Set(found)).toEqual(new Set(['cubic']));
    }
    // The application's own end keeps what it has.
    expect(new Set(await controls('b', 'dport = :7000'))).toEqual(new Set(['cubic']));
    expect(new Set(await controls('b', 'sport = :7000'))).toEqual(new Set(['bbr']));
  },
);
