import { describe, expect, it } from 'vitest';
import {
  formerNow,
  replacementSpec,
  settledNow,
  specChanges,
  withIds,
} from '../../../coordinator/orchestrator/swarm/specs.ts';

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
    const after = { ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 4 } };
    expect(settledNow(replacementSpec(spec, 4), spec)).toEqual(after);
    const { UpdateConfig: _, ...without } = spec;
    expect(settledNow(replacementSpec(without, 4), without)).not.toHaveProperty('UpdateConfig');
  });

  it('refers to networks that were made again by their new ids', () => {
    const changed = withIds(spec, new Map([['oldnetworkid', 'newnetworkid']]));
    expect(changed).toMatchObject({ TaskTemplate: { Networks: [{ Target: 'newnetworkid' }] } });
  });
});

describe('what somebody else changes in a service during a restore', () => {
  const during = replacementSpec({ ...spec, Labels: { a: '1' }, Mode: { Replicated: { Replicas: 1 } } }, 4);
  const former = { ...spec, Labels: { a: '1' }, Mode: { Replicated: { Replicas: 1 } } };
  const scaled = { ...during, Mode: { Replicated: { Replicas: 2 } } };
  const forced = { ...during, TaskTemplate: { ...(during.TaskTemplate as object), ForceUpdate: 5 } };
  const limited = { ...during, TaskTemplate: { ...(during.TaskTemplate as object), Resources: { Limits: {} } } };
  const deployed = { ...forced, UpdateConfig: { Parallelism: 7 } };

  it.each([
    ['a label', { ...during, Labels: { b: '2' } }],
    ['replicas', scaled],
    ['new tasks by force', forced],
    ['a limit', limited],
  ])('stays when it has ended: %s', (_, now) => {
    expect(settledNow(now, former)).toEqual({ ...now, UpdateConfig: former.UpdateConfig });
  });

  it('stays when it has ended: update settings of their own', () => {
    expect(settledNow(deployed, former)).toEqual(deployed);
  });

  it('stays when the former spec comes back', () => {
    expect(formerNow(scaled, former, during, 4)).toEqual({ ...former, Mode: { Replicated: { Replicas: 2 } } });
    expect(formerNow(during, former, during, 4)).toEqual(former);
    // As a journal has it: from before the cluster had it.
    expect(formerNow(during, former, former, 4)).toEqual(former);
  });

  it('makes the service theirs when they have had tasks made anew: nothing is put back but the update settings', () => {
    for (const now of [forced, limited])
      expect(formerNow(now, former, during, 4)).toEqual({ ...now, UpdateConfig: former.UpdateConfig });
    expect(formerNow(deployed, former, during, 4)).toEqual(deployed);
  });

  const container = (changes: object) => ({
    TaskTemplate: {
      ContainerSpec: { Image: 'i', Env: ['A=1'], Healthcheck: { Interval: 1 }, ...changes },
      ForceUpdate: 1,
    },
    Labels: {},
  });
  it.each([
    ['nothing', container({}), [], true, false],
    [
      'new tasks by force',
      { ...container({}), TaskTemplate: { ...container({}).TaskTemplate, ForceUpdate: 2 } },
      ['ForceUpdate'],
      true,
      false,
    ],
    ['what is empty', { TaskTemplate: container({}).TaskTemplate }, [], true, false],
    ['a label', { ...container({}), Labels: { a: '1' } }, ['Labels'], true, false],
    ['a health check', container({ Healthcheck: { Interval: 2 } }), ['Healthcheck'], true, true],
    ['update settings', { ...container({}), UpdateConfig: { Order: 'stop-first' } }, ['UpdateConfig'], true, true],
    ['an image', container({ Image: 'j' }), ['Image'], false, true],
    ['an environment', container({ Env: [] }), ['Env'], false, true],
    [
      'networks',
      { ...container({}), TaskTemplate: { ...container({}).TaskTemplate, Networks: [{ Target: 'n' }] } },
      ['Networks'],
      false,
      true,
    ],
  ])('is named, and keeps the state of tasks usable or not: %s', (_, now, fields, keepsState, renews) => {
    expect(specChanges(container({}), now)).toEqual({ fields, keepsState, renews });
  });
});
