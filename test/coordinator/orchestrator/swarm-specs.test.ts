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
  it('keeps the old tasks until the new ones run, also when these fail, and makes all at once', () => {
    expect(replacementSpec(spec, 4)).toMatchObject({
      TaskTemplate: { ForceUpdate: 4 },
      UpdateConfig: { Parallelism: 0, Order: 'start-first', FailureAction: 'pause', MaxFailureRatio: 0 },
    });
  });

  it('keeps no task away from a node: Swarm would end the old ones there', () => {
    const { Placement } = replacementSpec(spec, 4).TaskTemplate as { Placement: unknown };
    expect(Placement).toEqual(spec.TaskTemplate.Placement);
  });

  it('is as before when all is over, but for the generation, so that Swarm replaces nothing', () => {
    expect(settledSpec(spec, 4)).toEqual({ ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 4 } });
  });

  it('refers to networks that were made again by their new ids', () => {
    const changed = withIds(spec, new Map([['oldnetworkid', 'newnetworkid']]));
    expect(changed).toMatchObject({ TaskTemplate: { Networks: [{ Target: 'newnetworkid' }] } });
  });
});
