import { describe, expect, test } from 'vitest';
import { parseSocket, passingBy, portsOf } from '../../../agent/sidecar/capture/listening.ts';
import { attribute, attributes } from '../../../agent/linux/netlink.ts';
import { PORTS } from '../../../agent/linux/proxy-table.ts';
import { keysIn } from '../../../agent/sidecar/capture/sets.ts';
import { RoundRobin, classOfVip, listeningEnds } from '../../../agent/sidecar/capture/targets.ts';
import type { Neighbour } from '../../../agent/sidecar/capture/targets.ts';
import { viewWithin } from '../../../src/rpc/control/network-view.ts';

const ANY = { address: '0.0.0.0', port: 0 };

/** `struct inet_diag_msg` of a listener. */
function message(family: number, address: readonly number[], port: number, v6only?: boolean): Buffer {
  const bytes = Buffer.alloc(72);
  bytes[0] = family;
  bytes[1] = 10;
  bytes.writeUInt16BE(port, 4);
  bytes.set(address, 8);
  return v6only === undefined ? bytes : Buffer.concat([bytes, attribute(11, Buffer.from([v6only ? 1 : 0]))]);
}

describe('what the kernel answers', () => {
  test('sockets, IPv6 ones too', () => {
    expect(parseSocket(message(2, [10, 0, 0, 2], 8080))).toEqual({
      local: { address: '10.0.0.2', port: 8080 },
      remote: ANY,
      v6only: false,
    });
    const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2];
    expect(parseSocket(message(10, mapped, 80, false)).local).toEqual({ address: '10.0.0.2', port: 80 });
    expect(parseSocket(message(10, [], 80, true))).toMatchObject({ local: { address: '::' }, v6only: true });
  });

  test('the elements of a set, as recorded from nf_tables', () => {
    const body = Buffer.from(
      '02000002' + // family, version, generation
        '0600010074000000' + // table
        '0a00020061736b6564000000' + // set
        '2c000300280001000c000100080001000a0909070c00040000000000000007d00c00050000000000000002c0',
      'hex',
    );
    expect(keysIn(body)).toEqual([Buffer.from([10, 9, 9, 7])]);
    expect(keysIn(body.subarray(0, 30))).toEqual([]);
  });

  test('attributes that lie about their length end the list', () => {
    expect([...attributes(Buffer.from([2, 0, 1, 0, 0, 0]))]).toEqual([]);
    expect([...attributes(attribute(7, Buffer.from('abcde')))]).toEqual([{ type: 7, value: Buffer.from('abcde') }]);
  });
});

describe('what others can reach of a task', () => {
  const row = (address: string, port: number, v6only = false): Parameters<typeof portsOf>[0][number] => ({
    local: { address, port },
    remote: ANY,
    v6only,
  });

  test('wildcard listeners on each address, others on theirs, our own on none', () => {
    const rows = [
      row('0.0.0.0', 80),
      row('::', 443),
      row('::', 444, true),
      row('10.0.2.7', 5000),
      row('127.0.0.11', 40_000),
      row('0.0.0.0', PORTS.capture),
      row('0.0.0.0', PORTS.tunnel),
    ];
    expect([...portsOf(rows, ['10.0.1.7', '10.0.2.7'])]).toEqual([
      ['10.0.1.7', [80, 443]],
      ['10.0.2.7', [80, 443, 5000]],
    ]);
  });

  test('a connection passes by unless its other end is in the namespace too', () => {
    const end = (address: string, port: number): { address: string; port: number } => ({ address, port });
    const old = { local: end('10.0.0.1', 1000), remote: end('10.0.0.2', 80) };
    const carried = { local: end('10.0.0.1', 1001), remote: end('10.0.0.2', 80) };
    const connections = [
      old,
      carried,
      { local: carried.remote, remote: carried.local },
      { local: end('10.0.0.1', 1002), remote: end('10.0.0.2', PORTS.tunnel) },
      { local: end('10.0.0.1', 1003), remote: end('10.0.0.9', 80) },
    ];
    expect(passingBy(connections, new Set(['10.0.0.2']))).toEqual([old]);
  });
});

describe('virtual addresses', () => {
  const task = (state: Neighbour['state'], ...ports: number[]): Neighbour => ({ state, ports });
  const vip = { address: '10.0.0.100', backends: ['10.0.0.2', '10.0.0.3', '10.0.0.4'] };

  test('one task with a sidecar is enough to take their connections; one not yet asked makes them wait', () => {
    expect(classOfVip([])).toBe('non-peer');
    expect(classOfVip([task('non-peer'), undefined])).toBe('non-peer');
    expect(classOfVip([task('non-peer'), task('unknown')])).toBe('unknown');
    expect(classOfVip([task('unknown'), task('lost')])).toBe('peer');
    expect(classOfVip([task('non-peer'), task('peer')])).toBe('peer');
  });

  test('lead in turn to those that are linked and listen', () => {
    const neighbours = new Map([
      ['10.0.0.2', task('peer', 80, 81)],
      ['10.0.0.3', task('lost', 80)],
      ['10.0.0.4', task('peer', 80)],
    ]);
    expect(listeningEnds(neighbours, [vip]).map(({ address, port }) => `${address}:${port}`)).toEqual([
      '10.0.0.2:80',
      '10.0.0.2:81',
      '10.0.0.4:80',
      '10.0.0.100:80',
      '10.0.0.100:81',
    ]);
    const turns = new RoundRobin();
    const chosen = Array.from({ length: 4 }, () => turns.choose(vip, 80, neighbours)?.address);
    expect(chosen).toEqual(['10.0.0.2', '10.0.0.4', '10.0.0.2', '10.0.0.4']);
    expect(turns.choose(vip, 81, neighbours)?.address).toBe('10.0.0.2');
    expect(turns.choose(vip, 82, neighbours)).toBeUndefined();
  });
});

test('a task is told of more networks than it is on, and keeps to its own', () => {
  const view = {
    subnets: ['10.0.1.0/24', '10.0.2.0/24', 'fd00::/64'],
    tasks: [
      { address: '10.0.1.2', service: 's_a', own: true },
      { address: '10.0.2.2', service: 's_a', own: true },
      { address: 'fd00::2', service: 's_a', own: true },
    ],
    vips: [{ address: '10.0.2.9', service: 's_a', backends: ['10.0.2.2', '10.0.1.2'] }],
    nonPeers: ['10.0.1.1', '10.0.2.1'],
  };
  expect(viewWithin(view, ['10.0.2.0/24'])).toEqual({
    subnets: ['10.0.2.0/24'],
    tasks: [{ address: '10.0.2.2', service: 's_a', own: true }],
    vips: [{ address: '10.0.2.9', service: 's_a', backends: ['10.0.2.2'] }],
    nonPeers: ['10.0.2.1'],
  });
});
