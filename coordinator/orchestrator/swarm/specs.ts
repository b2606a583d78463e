import type { Placement, Replacement, ServiceSpec } from '../index.ts';

/** Old object ids and what they are now, for specs that are used in a Swarm whose networks, configs or secrets were made again. */
export type IdMap = ReadonlyMap<string, string>;

interface Template extends ServiceSpec {
  Placement?: ServiceSpec & { Constraints?: string[] | null };
  ForceUpdate?: number;
}

/**
 * The spec under which Swarm makes the tasks that are to be restored: all at once, the old ones living on until the new ones run, and no
 * retreat of Swarm's own: whether the restore has worked is our decision.
 */
export function replacementSpec(spec: ServiceSpec, replacement: Replacement): ServiceSpec {
  const template = templateOf(spec);
  const placement = template.Placement ?? {};
  return {
    ...spec,
    TaskTemplate: {
      ...template,
      ForceUpdate: replacement.generation,
      Placement: {
        ...placement,
        Constraints: [...(placement.Constraints ?? []), ...constraintsOf(replacement.placement)],
      },
    },
    UpdateConfig: {
      Parallelism: 0,
      Delay: 0,
      FailureAction: 'pause',
      Monitor: 1_000_000_000,
      MaxFailureRatio: 1,
      Order: replacement.order,
    },
  };
}

/**
 * What stays when the new tasks run: the spec as it was, but for the generation. Swarm leaves tasks alone when only constraints (which
 * their node satisfies) or the update settings change: swarmkit, `orchestrator.IsTaskDirty`.
 */
export function settledSpec(spec: ServiceSpec, generation: number): ServiceSpec {
  return { ...spec, TaskTemplate: { ...templateOf(spec), ForceUpdate: generation } };
}

/** The same spec with other ids in it. Ids are unique 25-character strings, so that replacing them as text is exact. */
export function withIds(spec: ServiceSpec, ids: IdMap): ServiceSpec {
  if (ids.size === 0) return spec;
  return JSON.parse(JSON.stringify(spec), (_key, value: unknown) =>
    typeof value === 'string' ? (ids.get(value) ?? value) : value,
  ) as ServiceSpec;
}

/** The generation that a spec gives to tasks made from it. */
export function forceUpdateOf(spec: ServiceSpec): number {
  return templateOf(spec).ForceUpdate ?? 0;
}

function constraintsOf({ only, except = [] }: Placement): string[] {
  return [
    ...(only === undefined ? [] : [`node.hostname==${only}`]),
    ...except.map((hostname) => `node.hostname!=${hostname}`),
  ];
}

function templateOf(spec: ServiceSpec): Template {
  return (spec.TaskTemplate ?? {}) as Template;
}
