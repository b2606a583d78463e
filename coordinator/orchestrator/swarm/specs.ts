import type { ServiceChanges, ServiceSpec } from '../index.ts';

/** Old object ids and what they are now, for specs that are used in a Swarm whose networks, configs or secrets were made again. */
export type IdMap = ReadonlyMap<string, string>;

interface Template extends ServiceSpec {
  ForceUpdate?: number;
}

/**
 * Swarm watches the new tasks for this long: longer than any operation. An update that it calls completed while a new task fails, ends the old
 * one with nothing in its place (seen with a ratio of 1 and a monitor of 1 s). Nanoseconds.
 */
const MONITOR_NS = 3_600 * 1_000_000_000;

/**
 * The spec under which Swarm makes the tasks that are to be restored: all at once, the old ones living on until the new ones run. If one of
 * these fails, Swarm pauses and leaves the old ones alone: whether the restore has worked is our decision. No constraint is added: while old
 * and new tasks are there, Swarm ends an old one whose node does not satisfy it as soon as anything about that node changes.
 */
export function replacementSpec(spec: ServiceSpec, generation: number): ServiceSpec {
  return {
    ...settledSpec(spec, generation),
    UpdateConfig: {
      Parallelism: 0,
      Delay: 0,
      FailureAction: 'pause',
      Monitor: MONITOR_NS,
      MaxFailureRatio: 0,
      Order: 'start-first',
    },
  };
}

/**
 * What stays when the new tasks run: the spec as it was, but for the generation. Swarm leaves tasks alone when only the update settings
 * change: swarmkit, `orchestrator.IsTaskDirty`.
 */
export function settledSpec(spec: ServiceSpec, generation: number): ServiceSpec {
  return { ...spec, TaskTemplate: { ...templateOf(spec), ForceUpdate: generation } };
}

/** The same spec with another number of tasks; undefined for a service that has one on every node. */
export function withTasks(spec: ServiceSpec, tasks: number): ServiceSpec | undefined {
  const mode = spec.Mode as Readonly<Record<string, object | undefined>> | undefined;
  if (mode?.Replicated !== undefined) return { ...spec, Mode: { Replicated: { ...mode.Replicated, Replicas: tasks } } };
  if (mode?.ReplicatedJob === undefined) return undefined;
  return { ...spec, Mode: { ReplicatedJob: { MaxConcurrent: tasks, TotalCompletions: tasks } } };
}

/**
 * The spec at the end of a replacement: what is there now, with whatever somebody else has changed since it began, but for our own update
 * settings.
 * @param spec what the replacement was made from
 */
export function settledNow(now: ServiceSpec, spec: ServiceSpec): ServiceSpec {
  const { UpdateConfig: config, ...rest } = now;
  if (!isOurs(config)) return now;
  return spec.UpdateConfig === undefined ? rest : { ...rest, UpdateConfig: spec.UpdateConfig };
}

/**
 * The spec from before a replacement, with what somebody else has changed since it began. If they have had tasks made anew, it is theirs.
 * @param replacement the spec that the replacement gave to the service: as the cluster has it, or as it was to be in the end
 * @param generation of the tasks of the replacement
 */
export function formerNow(
  now: ServiceSpec,
  former: ServiceSpec,
  replacement: ServiceSpec,
  generation: number,
): ServiceSpec {
  // Only what the cluster has given back can be compared with what it gives now.
  const asGiven = forceUpdateOf(replacement) === generation;
  const anew = forceUpdateOf(now) !== generation || (asGiven && !same(now.TaskTemplate, replacement.TaskTemplate));
  if (anew) return settledNow(now, former);
  const kept = OTHERS_MAY_CHANGE.filter((key) => !same(now[key], replacement[key])).map((key) => [key, now[key]]);
  return { ...former, ...Object.fromEntries(kept) } as ServiceSpec;
}

/** Without any new task: by hand, by a scaler, by `docker stack deploy`. */
const OTHERS_MAY_CHANGE = ['Labels', 'Mode'] as const;

function isOurs(config: unknown): boolean {
  const { Monitor: monitor } = (config ?? {}) as { Monitor?: number };
  return monitor === MONITOR_NS;
}

/** Changes of a container's settings that a program does not notice. */
const UNNOTICED = new Set(['Healthcheck', 'StopGracePeriod', 'StopSignal']);

/** What differs between two specs as Swarm gave them. */
export function specChanges(before: ServiceSpec, now: ServiceSpec): ServiceChanges {
  const [template, container] = [templateOf, containerOf].map((part) => changedKeys(part(before), part(now)));
  const top = changedKeys(before, now).filter((key) => key !== 'TaskTemplate');
  const inTask = (template ?? []).filter((key) => key !== 'ContainerSpec');
  const inContainer = container ?? [];
  return {
    fields: [...top, ...inTask, ...inContainer],
    renews: top.includes('UpdateConfig') || (inTask.length + inContainer.length > 0 && !inTask.includes('ForceUpdate')),
    keepsState: !inTask.includes('Networks') && inContainer.every((key) => UNNOTICED.has(key)),
  };
}

function changedKeys(before: ServiceSpec, now: ServiceSpec): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].filter((key) => !same(before[key], now[key])).sort();
}

/** What is not said and what is empty are the same. */
function same(one: unknown, other: unknown): boolean {
  return textOf(one) === textOf(other);
}

function textOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  ) as string | undefined;
  return text === undefined || text === '{}' || text === '[]' || text === 'null' ? '' : text;
}

/** The same spec with other ids in it. Ids are unique 25-character strings, so that replacing them as text is exact. */
export function withIds(spec: ServiceSpec, ids: IdMap): ServiceSpec {
  if (ids.size === 0) return spec;
  return JSON.parse(JSON.stringify(spec), (_key, value: unknown) =>
    typeof value === 'string' ? (ids.get(value) ?? value) : value,
  ) as ServiceSpec;
}

/** What a service refers to: ids, for networks perhaps names. */
export interface References {
  readonly networks: ReadonlySet<string>;
  readonly configs: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
}

/** As much of a spec as says what it refers to (Docker Engine API, ServiceSpec). */
interface Referring {
  readonly Networks?: readonly { readonly Target?: string }[];
  readonly TaskTemplate?: {
    readonly Networks?: readonly { readonly Target?: string }[];
    readonly ContainerSpec?: {
      readonly Configs?: readonly { readonly ConfigID?: string; readonly ConfigName?: string }[] | null;
      readonly Secrets?: readonly { readonly SecretID?: string }[] | null;
      readonly Privileges?: { readonly CredentialSpec?: { readonly Config?: string } | null } | null;
    };
  };
}

/** What these services refer to. A word that happens to be the name of something is no reference. */
export function referencesOf(specs: readonly ServiceSpec[]): References {
  const all = specs as readonly Referring[];
  const containers = all.flatMap(({ TaskTemplate }) => TaskTemplate?.ContainerSpec ?? []);
  const some = (ids: readonly (string | undefined)[]): ReadonlySet<string> =>
    new Set(ids.flatMap((id) => (id === undefined || id === '' ? [] : [id])));
  return {
    networks: some(
      all.flatMap(({ Networks, TaskTemplate }) =>
        [...(Networks ?? []), ...(TaskTemplate?.Networks ?? [])].map(({ Target }) => Target),
      ),
    ),
    configs: some(
      containers.flatMap(({ Configs, Privileges }) => [
        ...(Configs ?? []).map(({ ConfigID }) => ConfigID),
        Privileges?.CredentialSpec?.Config,
      ]),
    ),
    secrets: some(containers.flatMap(({ Secrets }) => (Secrets ?? []).map(({ SecretID }) => SecretID))),
  };
}

/** The same spec with its configs under the names that they have now. @param names by id */
export function withConfigNames(spec: ServiceSpec, names: ReadonlyMap<string, string>): ServiceSpec {
  const { TaskTemplate: template } = spec as Referring;
  const container = template?.ContainerSpec;
  if (names.size === 0 || (container?.Configs ?? []).length === 0) return spec;
  const Configs = (container?.Configs ?? []).map((config) => {
    const name = names.get(config.ConfigID ?? '');
    return name === undefined ? config : { ...config, ConfigName: name };
  });
  return { ...spec, TaskTemplate: { ...template, ContainerSpec: { ...container, Configs } } };
}

/** The generation that a spec gives to tasks made from it. */
export function forceUpdateOf(spec: ServiceSpec): number {
  return templateOf(spec).ForceUpdate ?? 0;
}

function containerOf(spec: ServiceSpec): ServiceSpec {
  return (templateOf(spec).ContainerSpec ?? {}) as ServiceSpec;
}

function templateOf(spec: ServiceSpec): Template {
  return (spec.TaskTemplate ?? {}) as Template;
}
