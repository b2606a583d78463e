import { describe, expect, test } from 'vitest';
import {
  MARKS,
  PROXY_TABLE,
  attachScript,
  restoredScript,
  routeLines,
  setsScript,
} from '../../../agent/interceptors/proxy/rules.ts';

const end = { address: '10.0.0.2', port: 80 };
const connection = { local: { address: '10.0.0.1', port: 9 }, remote: end };

describe('rules of the proxy interceptor', () => {
  test('sets are replaced in one script, those not named stay', () => {
    expect(setsScript({ peers: ['10.0.0.2', '10.0.0.2'], listening: [end] }).split('\n')).toEqual([
      `flush set ${PROXY_TABLE} peers`,
      `add element ${PROXY_TABLE} peers { 10.0.0.2 }`,
      `flush set ${PROXY_TABLE} listening`,
      `add element ${PROXY_TABLE} listening { 10.0.0.2 . 80 }`,
      '',
    ]);
    expect(setsScript({ direct: [connection] })).toContain('{ 10.0.0.1 . 9 . 10.0.0.2 . 80 }');
    expect(setsScript({ peers: [] })).toBe(`flush set ${PROXY_TABLE} peers\n`);
    expect(setsScript({ subnets: ['10.0.0.0/24'] })).toContain('{ 10.0.0.0/24 }');
    expect(restoredScript([connection])).toBe(
      `flush set ${PROXY_TABLE} restored\nadd element ${PROXY_TABLE} restored { 10.0.0.1 . 9 . 10.0.0.2 . 80 }\n`,
    );
  });

  test('nothing but addresses and ports gets into a script', () => {
    expect(() => setsScript({ peers: ['10.0.0.1 }; flush ruleset'] })).toThrow();
    expect(() => setsScript({ peers: ['10.0.0.0/24'] })).toThrow('not an IPv4 address');
    expect(() => setsScript({ subnets: ['10.0.0.0/24 }; flush ruleset'] })).toThrow();
    expect(() => setsScript({ subnets: ['fd00::/64'] })).toThrow('not an IPv4 subnet');
    expect(() => setsScript({ peers: ['fd00::1'] })).toThrow('not an IPv4 address');
    expect(() => setsScript({ listening: [{ address: '10.0.0.1', port: 70_000 }] })).toThrow('not a port');
  });

  test('what the sidecar sends is never taken for what its application sends', () => {
    const rules = attachScript().split('\n');
    const exempt = rules.findIndex((rule) => rule.includes(`out meta mark { ${MARKS.sidecar}, ${MARKS.app}, `));
    expect(exempt).toBeGreaterThan(0);
    expect(rules.findIndex((rule) => rule.includes(' @restored '))).toBeGreaterThan(exempt);
    expect(routeLines().filter((line) => line.includes(`fwmark ${MARKS.app} `))).toHaveLength(1);
  });
});
