import { describe, expect, it } from 'vitest';
import { replacementSpec, settledSpec, withIds } from '../../../coordinator/operations/relocation/specs.ts';
import { readTargets } from '../../../coordinator/operations/relocation/targets.ts';
import type { SwarmNode } from '../../../coordinator/orchestrator/swarm/types.ts';

const spec = {
  Name: 'bank_a',
  TaskTemplate: {
    ForceUpdate: 3,
    Placement: { Constraints: ['node.role==worker'], MaxReplicas: 2 },
    Networks: [{ Target: 'oldnetworkid' }],
  },
  UpdateConfig: { Parallelism: 1, Order: 'stop-first' },
};

describe("a service's spec during a restore", () => {
  it('keeps the old tasks until the new ones run, makes all at once, and adds to the constraints', () => {
    const changed = replacementSpec(spec, { generation: 4, constraints: ['node.hostname==n2'], order: 'start-first' });
    expect(changed).toMatchObject({
      TaskTemplate: {
        ForceUpdate: 4,
        Placement: { Constraints: ['node.role==worker', 'node.hostname==n2'], MaxReplicas: 2 },
      },
      UpdateConfig: { Parallelism: 0, Order: 'start-first', FailureAction: 'pause' },
    });
  });

  it('is as before when all is over, but for the generation, so that Swarm replaces nothing', () => {
    expect(settledSpec(spec, 4)).toEqual({ ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 4 } });
  });

  it('refers to networks that were made again by their new ids', () => {
    const changed = withIds(spec, new Map([['oldnetworkid', 'newnetworkid']]));
    expect(changed).toMatchObject({ TaskTemplate: { Networks: [{ Target: 'newnetworkid' }] } });
  });
});

describe('--to', () => {
  const node = (hostname: string, usable = true): SwarmNode => ({
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
