import { describe, expect, test } from 'vitest';
import { portRanges, rewriteSysctlScript } from '../../../agent/network/rewriting/addresses.ts';
import { colourOf } from '../../../agent/network/colours.ts';
import { parseProcTcp, resetConnections, ssFilter } from '../../../agent/network/rewriting/connections.ts';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { insideScript } from '../../../agent/network/rewriting/restore-hook.ts';
import { lowerRtoMin, restoreRtoMin } from '../../../agent/network/routes.ts';
import { familyOf } from '../../../agent/linux/addresses.ts';
import { SIDECAR_MARK, TUNNEL_PORT, advanceScript, blockScript, prepareScript } from '../../../agent/network/rules.ts';
import { MARK_BASE, MARK_MASK, rewriteScript } from '../../../agent/network/rewriting/rewrite-rules.ts';
import { MARKS, PORTS } from '../../../agent/linux/proxy-table.ts';
import type { RewriteEntry } from '../../../src/model/connection.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

describe('/proc/net/tcp', () => {
  test('connections with a peer are read, others are not', () => {
    const text = [
      HEADER,
      '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0',
      '   1: 0501000A:9C40 0601000A:1B58 01 0000000A:000001F4 01:00000014 00000000     0        0 2 1 0 20 4 30 10 -1',
      '   2: 0501000A:9C41 0601000A:1B58 06 00000000:00000000 03:00000014 00000000     0        0 0 3 0',
      '   3: 0100007F:9C41 0100007F:1B58 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1',
      '   4: 0501000A:9C42 0601000A:1B58 08 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1',
      '   5: 0501000A:9C43 0601000A:1B58 02 00000001:00000000 01:00000014 00000000     0        0 5 1 0 20 4 30 10 -1',
    ].join('\n');
    expect(parseProcTcp(text)).toMatchObject([
      {
        local: { address: '10.0.1.5', port: 40000 },
        remote: { address: '10.0.1.6', port: 7000 },
        state: 'ESTABLISHED',
        sendQueueBytes: 10,
        recvQueueBytes: 500,
        sequencesKnown: false,
      },
      { local: { port: 40002 }, state: 'CLOSE_WAIT' },
      { local: { port: 40003 }, state: 'SYN_SENT' },
    ]);
  });

  test.each([
    ['0000000000000000FFFF00000501000A', '10.0.1.5'],
    ['000000FD000000000000000002000000', 'fd00::2'],
    ['B80D0120000000000100000001000000', '2001:db8::1:0:1'],
    ['B80D0120010000000100000001000000', '2001:db8:0:1:0:1:0:1'],
  ])('IPv6 address %s', (hex, address) => {
    const [connection] = parseProcTcp(`${HEADER}\n 0: ${hex}:0001 ${hex}:0002 01 00000000:00000000`);
    expect(connection?.local).toEqual({ address, port: 1 });
  });
});

test('a connection that cannot be reset is named', async () => {
  const line = ' 1: 0501000A:9C40 0601000A:1B58 01 00000000:00000000';
  const connections = parseProcTcp(`${HEADER}\n${line}`);
  expect(ssFilter(connections)).toBe('( src = 10.0.1.5:40000 and dst = 10.0.1.6:7000 )');
  const runner = (command: readonly string[]): Promise<string> =>
    Promise.resolve(command.includes('ss') ? '' : `${HEADER}\n${line}`);
  await expect(resetConnections('/run/netns/x', connections, runner)).rejects.toThrow(
    'could not reset 10.0.1.5:40000>10.0.1.6:7000 in /run/netns/x',
  );
});

describe('routes', () => {
  const shown = `default via 172.18.0.1 dev eth1
10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.5 linkdown
10.0.2.0/24 dev eth2 proto kernel scope link src 10.0.2.5 rto_min lock 50ms
172.18.0.0/16 dev eth1 proto kernel scope link src 172.18.0.3
`;
  test('only those to the subnets, and none that has a value of its own', () => {
    expect(lowerRtoMin(shown, ['10.0.1.7/24', '10.0.2.0/24'])).toEqual([
      'route change 10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.5 rto_min 19ms',
    ]);
  });

  test('only ours are put back', () => {
    const now = shown.replace('10.0.1.5 linkdown', '10.0.1.5 rto_min lock 19ms');
    expect(restoreRtoMin(now)).toEqual(['route change 10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.5']);
    expect(lowerRtoMin(now, ['10.0.1.0/24'])).toEqual([]);
  });
});

describe('rules', () => {
  test('neighbouring epochs have different colours, and none is the default class', () => {
    expect(colourOf(1)).not.toBe(colourOf(2));
    expect(colourOf(1)).toBe(colourOf(3));
    expect([colourOf(1), colourOf(2)]).not.toContain(0);
  });

  test('the block has a timeout in whole milliseconds, at least one', () => {
    expect(blockScript(1500.2)).toContain('{ ipv4 timeout 1501ms, ipv6 timeout 1501ms }');
    expect(blockScript(0)).toContain('timeout 1ms');
  });

  test('what prepare refuses is what advance sends', () => {
    for (const epoch of [4, 5]) {
      const colour = colourOf(epoch);
      expect(prepareScript({ subnets: ['10.0.1.0/24'], epoch })).toContain(
        `ip dscp ${colour} meta nfproto @coming_in drop`,
      );
      expect(advanceScript(epoch)).toContain(`ip daddr @subnets4 ip daddr != @foreign4 ip dscp set ${colour}`);
    }
  });

  test('advance opens the block in the same script', () => {
    const lines = advanceScript(1).trim().split('\n');
    expect(lines).toContain('flush set inet swarmcut blocked_out');
    expect(lines).toContain('flush chain inet swarmcut colour_in');
  });

  test.each(['10.0.0.1; rm', '10.0.0.1/', 'fe80::1%eth0', '', '10.0.0.1/24/3'])('%j is no address', (text) => {
    expect(() => familyOf(text)).toThrow('not an IP address');
  });

  const entry = (port: number, wirePort = port): RewriteEntry => ({
    socketLocal: { address: '10.0.1.2', port },
    socketRemote: { address: '10.0.1.3', port: 7000 },
    wireLocal: { address: '10.0.1.12', port: wirePort },
    wireRemote: { address: '10.0.1.13', port: 7000 },
  });

  test('rewriting is found by the socket names outgoing and by the wire names incoming', () => {
    const text = rewriteScript([entry(40000)]);
    expect(text).toContain('out4_id { 10.0.1.2 . 40000 . 10.0.1.3 . 7000 : 0x5c000001 }');
    expect(text).toContain('out4_saddr { 0x5c000001 : 10.0.1.12 }');
    expect(text).toContain('in4_id { 10.0.1.13 . 7000 . 10.0.1.12 . 40000 : 0x5c000001 }');
    expect(text).toContain('in4_saddr { 0x5c000001 : 10.0.1.3 }');
    expect(text).not.toContain('tcp sport set');
  });

  test('ports are rewritten if one of them differs', () => {
    const text = rewriteScript([entry(40000), entry(40001, 61000)]);
    expect(text).toContain('out4_sport { 0x5c000001 : 40000, 0x5c000002 : 61000 }');
    expect(text).toContain('in4_dport { 0x5c000001 : 40000, 0x5c000002 : 40001 }');
  });

  test('local ports on the wire are reserved', () => {
    expect(portRanges([1, 2, 3, 9, 11, 12])).toBe('1-3,9,11-12');
    expect(rewriteSysctlScript([entry(40001, 61000), entry(40000)])).toContain('40000,61000" > ');
  });

  test('a plan with something else than addresses is refused', () => {
    const plan = { subnets: [], ownAddresses: ['$(reboot)'], rewrites: [], close: [], aliases: [], unsent: [] };
    expect(() => insideScript(plan)).toThrow('not an IP address');
  });
});

describe('interceptor', () => {
  test('opening or detaching a namespace that is gone is no error, blocking it is', async () => {
    const interceptor = new KernelInterceptor({ netns: '/proc/0/ns/net' });
    await interceptor.unblock();
    await interceptor.detach();
    await interceptor.removeAll();
    await expect(interceptor.block(1)).rejects.toThrow('No such file');
  });

  test('the undo commands name the namespace', () => {
    const [first] = new KernelInterceptor({ netns: '/proc/7/ns/net' }).undoCommands();
    expect(first).toEqual([
      'nsenter',
      '--net=/proc/7/ns/net',
      'nft',
      'flush',
      'set',
      'inet',
      'swarmcut',
      'blocked_out',
    ]);
  });
});

test('no mark of the sidecars is taken for one of a rewritten connection: its packets would go to an old address on lo', () => {
  for (const mark of Object.values(MARKS)) expect((mark & MARK_MASK) >>> 0).not.toBe(MARK_BASE);
});

test('the block lets tunnels between sidecars through, by the marks and ports that these have, and nothing else of theirs', () => {
  expect(Number(SIDECAR_MARK)).toBe(MARKS.sidecar);
  expect(TUNNEL_PORT).toBe(PORTS.tunnel);
  const lines = blockScript(1000).split('\n');
  const exempt = lines.findIndex((line) => line.includes(`block_out meta mark ${SIDECAR_MARK} accept`));
  expect(exempt).toBeGreaterThan(-1);
  expect(exempt).toBeLessThan(lines.findIndex((line) => line.includes('goto lose_out')));
  // Over lo the sidecar talks with the application, which is blocked.
  for (const line of lines.filter((each) => each.includes(`port ${TUNNEL_PORT}`)))
    expect(line).toContain('iifname != "lo"');
});
