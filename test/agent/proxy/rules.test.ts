import { describe, expect, test } from 'vitest';
import { parseSockets } from '../../../agent/interceptors/proxy/listening.ts';
import { PROXY_TABLE, lockScript, setsScript } from '../../../agent/interceptors/proxy/rules.ts';

describe('rules of the proxy interceptor', () => {
  test('sets are replaced in one script, those not named stay', () => {
    const end = { address: '10.0.0.2', port: 80 };
    expect(setsScript({ peers: ['10.0.0.2', '10.0.0.2'], listening: [end] }).split('\n')).toEqual([
      `flush set ${PROXY_TABLE} peers`,
      `add element ${PROXY_TABLE} peers { 10.0.0.2 }`,
      `flush set ${PROXY_TABLE} listening`,
      `add element ${PROXY_TABLE} listening { 10.0.0.2 . 80 }`,
      '',
    ]);
    expect(setsScript({ direct: [{ local: { address: '10.0.0.1', port: 9 }, remote: end }] })).toContain(
      '{ 10.0.0.1 . 9 . 10.0.0.2 . 80 }',
    );
    expect(setsScript({ peers: [] })).toBe(`flush set ${PROXY_TABLE} peers\n`);
  });

  test('nothing but addresses and ports gets into a script', () => {
    expect(() => setsScript({ peers: ['10.0.0.1 }; flush ruleset'] })).toThrow();
    expect(() => setsScript({ peers: ['fd00::1'] })).toThrow('not an IPv4 address');
    expect(() => setsScript({ listening: [{ address: '10.0.0.1', port: 70_000 }] })).toThrow('not a port');
  });

  test('the lock ends by itself', () => {
    expect(lockScript(1500.2)).toContain('tcp timeout 1501ms');
  });
});

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0200000A:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: 00000000:3ADF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   3: 0200000A:9C40 0300000A:0050 01 00000000:00000000 00:00000000 00000000     0        0 1 1
`;
const TCP6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1B58 00000000000000000000000000000000:0000 0A 0 0
   1: 0000000000000000FFFF00000200000A:1B58 0000000000000000FFFF00000400000A:C350 01 0 0
`;

test('listeners are found as the peers see them; older connections too, also on dual-stack sockets', () => {
  expect(parseSockets([TCP, TCP6], ['10.0.0.2'])).toEqual({
    listening: [
      { address: '10.0.0.2', port: 8080 }, // the one on 127.0.0.1, and the sidecar's own, are not for peers
      { address: '10.0.0.2', port: 7000 },
    ],
    connections: [
      { local: { address: '10.0.0.2', port: 40_000 }, remote: { address: '10.0.0.3', port: 80 } },
      { local: { address: '10.0.0.2', port: 7000 }, remote: { address: '10.0.0.4', port: 50_000 } },
    ],
  });
});
