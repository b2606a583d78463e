import { describe, expect, test } from 'vitest';
import { intervalElements } from '../../../agent/linux/set-elements.ts';
import { setContents } from '../../../agent/linux/proxy-sets.ts';

const end = { address: '10.0.0.2', port: 80 };

describe('contents of the proxy’s sets', () => {
  test('those not named stay, and what is named twice is there once', () => {
    expect(setContents({ peers: ['10.0.0.2', '10.0.0.2'], vips: [] })).toEqual({
      peers: [{ key: Buffer.from([10, 0, 0, 2]) }],
      vips: [],
    });
  });

  test('nothing but IPv4 addresses and ports gets into a set', () => {
    expect(() => setContents({ peers: ['10.0.0.0/24'] })).toThrow('not an IPv4 address');
    expect(() => setContents({ peers: ['fd00::1'] })).toThrow('not an IPv4 address');
    expect(() => setContents({ subnets: ['10.0.0.0/24 }; flush ruleset'] })).toThrow();
    expect(() => setContents({ subnets: ['fd00::/64'] })).toThrow('not an IPv4 subnet');
    expect(() => setContents({ listening: [{ ...end, port: 70_000 }] })).toThrow('not a port');
  });

  test('subnets that overlap or touch are one interval, also at the end of the address space', () => {
    const ends = (...subnets: string[]): string[] =>
      intervalElements(subnets).map(({ key, intervalEnd }) => `${intervalEnd === true ? '-' : ''}${key.join('.')}`);
    expect(ends('10.0.1.0/24', '10.0.0.0/24', '10.0.0.7', '10.9.0.1/16')).toEqual([
      '10.0.0.0',
      '-10.0.2.0',
      '10.9.0.0',
      '-10.10.0.0',
    ]);
    expect(ends('255.255.0.0/16')).toEqual(['255.255.0.0']);
  });
});
