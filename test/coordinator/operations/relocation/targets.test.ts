import { describe, expect, it } from 'vitest';
import { readTargets } from '../../../../coordinator/operations/relocation/targets.ts';
import type { ClusterNode } from '../../../../coordinator/orchestrator/index.ts';

describe('--to', () => {
  const node = (hostname: string, usable = true): ClusterNode => ({
    id: `id-${hostname}`,
    hostname,
    agentAddress: '',
    usable,
    state: 'ready',
    availability: usable ? 'active' : 'drain',
  });
  const nodes = [node('n1'), node('n2'), node('n3', false)];
  const services = ['bank_a', 'bank_b'];

  it('takes a node for all, and another for one service, with or without the prefix of the stack', () => {
    expect(readTargets(['n1', 'b=n2'], 'bank', services, nodes)).toEqual(
      new Map([
        ['bank_b', 'n2'],
        ['bank_a', 'n1'],
      ]),
    );
  });

  it.each([
    [['n9'], 'there is no node named n9'],
    [['n3'], 'node n3 takes no tasks'],
    [['c=n1'], 'no service named c'],
    [['a='], 'expected a node'],
    [['n1', 'n2'], 'two nodes'],
  ])('refuses %j', (to, message) => {
    expect(() => readTargets(to, 'bank', services, nodes)).toThrow(message);
  });
});
