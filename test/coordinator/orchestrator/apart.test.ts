import { expect, test } from 'vitest';
import { apartFromFormer, freeHalf } from '../../../coordinator/orchestrator/swarm/apart.ts';
import { manifestOf, taskOf } from '../../storage/manifest.ts';

test.each([
  ['the other half', '10.0.1.0/24', ['10.0.1.2', '10.0.1.9'], '10.0.1.128/25'],
  ['back again', '10.0.1.0/24', ['10.0.1.130'], '10.0.1.0/25'],
  ['a large one', '10.8.0.0/16', ['10.8.3.4', '10.9.0.1'], '10.8.128.0/17'],
  ['none, if both are used', '10.0.1.0/24', ['10.0.1.2', '10.0.1.130'], undefined],
  ['none, if it has not much room', '10.0.1.0/28', ['10.0.1.2', '10.0.1.3', '10.0.1.4'], undefined],
  ['none, if nothing is remembered', '10.0.1.0/24', ['10.0.2.2'], undefined],
  ['none of another family', 'fd00::/64', ['fd00::2'], undefined],
])('the free half of a subnet: %s', (_name, subnet, addresses, half) => {
  expect(freeHalf(subnet, new Set(addresses))).toBe(half);
});

test('a network that is made again keeps its subnet, and gives addresses that nobody remembers', () => {
  const task = { ...taskOf('bank_a', '10.0.1.2', '10.0.1.3'), aliases: [{ address: '10.0.9.7', network: 'other' }] };
  const spec = { Name: 'bank_net', IPAM: { Driver: 'default', Config: [{ Subnet: '10.0.1.0/24' }] } };
  expect(apartFromFormer(manifestOf({ tasks: [task] }), 'bank_net', spec)).toEqual({
    Name: 'bank_net',
    IPAM: { Driver: 'default', Config: [{ Subnet: '10.0.1.0/24', IPRange: '10.0.1.128/25' }] },
  });
  const other = { Name: 'bank_other', IPAM: { Config: [{ Subnet: '10.0.1.0/24' }] } };
  expect(apartFromFormer(manifestOf({ tasks: [task] }), 'bank_other', other)).toEqual(other);
});
