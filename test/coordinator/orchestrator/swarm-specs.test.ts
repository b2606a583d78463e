import { describe, expect, it } from 'vitest';
import { replacementSpec, settledSpec, withIds } from '../../../coordinator/orchestrator/swarm/specs.ts';

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
    const changed = replacementSpec(spec, { generation: 4, placement: { only: 'n2' }, order: 'start-first' });
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

  it('keeps tasks away from nodes', () => {
    const placement = { except: ['n1', 'n3'] };
    expect(replacementSpec({ Name: 'bank_a' }, { generation: 1, placement, order: 'stop-first' })).toMatchObject({
      TaskTemplate: { Placement: { Constraints: ['node.hostname!=n1', 'node.hostname!=n3'] } },
      UpdateConfig: { Order: 'stop-first' },
    });
  });
});
