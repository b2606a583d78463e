import type { RawSpec } from '../../orchestrator/swarm/types.ts';

/** What a service's spec gets while its tasks are being replaced by restored ones. */
export interface Replacement {
  /** New value of `ForceUpdate`: by it, new tasks are told from old ones. */
  readonly generation: number;
  /** Placement constraints besides the service's own. */
  readonly constraints: readonly string[];
  /** `start-first` keeps the old tasks until the new ones run; impossible when both want the same port of a node. */
  readonly order: 'start-first' | 'stop-first';
}

/** Old object ids and what they are now, for specs that are used in a Swarm whose networks, configs or secrets were made again. */
export type IdMap = ReadonlyMap<string, string>;

interface Template extends RawSpec {
  Placement?: RawSpec & { Constraints?: string[] | null };
  ForceUpdate?: number;
}

/**
 * The spec under which Swarm makes the tasks that are to be restored: all at once, the old ones living on until the new ones run, and no
 * retreat of Swarm's own: whether the restore has worked is our decision.
 */
export function replacementSpec(spec: RawSpec, replacement: Replacement): RawSpec {
  const template = templateOf(spec);
  const placement = template.Placement ?? {};
  return {
    ...spec,
    TaskTemplate: {
      ...template,
      ForceUpdate: replacement.generation,
      Placement: { ...placement, Constraints: [...(placement.Constraints ?? []), ...replacement.constraints] },
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
export function settledSpec(spec: RawSpec, generation: number): RawSpec {
  return { ...spec, TaskTemplate: { ...templateOf(spec), ForceUpdate: generation } };
}

/** The same spec with other ids in it. Ids are unique 25-character strings, so that replacing them as text is exact. */
export function withIds(spec: RawSpec, ids: IdMap): RawSpec {
  if (ids.size === 0) return spec;
  return JSON.parse(JSON.stringify(spec), (_key, value: unknown) =>
    typeof value === 'string' ? (ids.get(value) ?? value) : value,
  ) as RawSpec;
}

function templateOf(spec: RawSpec): Template {
  return (spec.TaskTemplate ?? {}) as Template;
}
