import { isDeepStrictEqual } from 'node:util';
import type { ClusterNetwork, ClusterNode, ClusterService, ClusterTask } from '../index.ts';
import type { RawNode, RawService, RawTask } from './raw.ts';

/** The label by which `docker stack deploy` marks what belongs to a stack. */
export const STACK_LABEL = 'com.docker.stack.namespace';

/** On a node: where its agent listens, `host:port`, if not at the node's address and the usual port. */
const AGENT_LABEL = 'swarmcut.agent';

/** States of an update in which Swarm may replace a task at any moment. */
const UNDER_WAY: ReadonlySet<string> = new Set(['updating', 'rollback_started']);

/** In these states a task has ended. */
export const ENDED: ReadonlySet<string> = new Set(['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned']);
/** Desired states of a task that is to run; `ready` waits for the end of another one of its slot. */
export const WANTED: ReadonlySet<string> = new Set(['ready', 'running']);

/** A node as operations see it. @param agentPort of its agent, if its label does not say otherwise */
export function toNode(raw: RawNode, agentPort: number): ClusterNode {
  const host = nodeHost(raw.Status.Addr, raw.ManagerStatus?.Addr);
  const availability = raw.Spec.Availability ?? 'active';
  return {
    id: raw.ID,
    hostname: raw.Description.Hostname,
    agentAddress: raw.Spec.Labels?.[AGENT_LABEL] ?? `${host}:${agentPort}`,
    usable: raw.Status.State === 'ready' && availability === 'active',
    state: raw.Status.State,
    availability,
  };
}

/** A service as operations see it. */
export function toService(raw: RawService): ClusterService {
  const { Mode: mode, TaskTemplate: template } = raw.Spec;
  const stack = raw.Spec.Labels?.[STACK_LABEL];
  const isJob = mode.Replicated === undefined && mode.Global === undefined;
  const restarted = template.RestartPolicy?.Condition ?? 'any';
  return {
    id: raw.ID,
    name: raw.Spec.Name,
    ...(stack === undefined ? {} : { stack }),
    mode: mode.Replicated !== undefined ? 'replicated' : mode.Global !== undefined ? 'global' : 'job',
    replicas: mode.Replicated?.Replicas ?? 1,
    spec: raw.Spec,
    image: template.ContainerSpec?.Image ?? '',
    generation: template.ForceUpdate ?? 0,
    labels: raw.Spec.Labels ?? {},
    containerLabels: template.ContainerSpec?.Labels ?? {},
    verdictMs: verdictMsOf(template.ContainerSpec?.Healthcheck),
    publishesHostPorts: raw.Endpoint?.Ports?.some((port) => port.PublishMode === 'host') ?? false,
    endsByItself: isJob || restarted !== 'any',
    neverRestarted: restarted === 'none',
    updating: UNDER_WAY.has(raw.UpdateStatus?.State ?? ''),
    virtualAddresses: (raw.Endpoint?.VirtualIPs ?? []).flatMap(({ NetworkID: networkId, Addr: address }) =>
      address === undefined ? [] : [{ networkId, address: address.replace(/\/\d+$/, '') }],
    ),
  };
}

type Healthcheck = NonNullable<RawService['Spec']['TaskTemplate']['ContainerSpec']>['Healthcheck'];

/** What the engine takes where nothing is said. Milliseconds. */
const HEALTH_INTERVAL_MS = 30_000;
const HEALTH_TIMEOUT_MS = 30_000;
const HEALTH_RETRIES = 3;

/** The last probe that can decide ends then: the start period, and one probe more than its retries, each an interval after the last. */
function verdictMsOf(check: Healthcheck): number {
  if (!check || check.Test?.[0] === 'NONE') return 0;
  const ms = (nanoseconds: number | undefined, otherwise: number): number =>
    nanoseconds === undefined || nanoseconds === 0 ? otherwise : nanoseconds / 1e6;
  const probes = (check.Retries ?? 0) > 0 ? (check.Retries ?? 0) : HEALTH_RETRIES;
  const eachMs = ms(check.Interval, HEALTH_INTERVAL_MS) + ms(check.Timeout, HEALTH_TIMEOUT_MS);
  return Math.ceil(ms(check.StartPeriod, 0) + (probes + 1) * eachMs);
}

/** A task of a service as operations see it. @param node host name of its node */
export function toTask(raw: RawTask, service: ClusterService, node: string): ClusterTask {
  const overlays = (raw.NetworksAttachments ?? []).filter(
    ({ Network: network }) =>
      network.DriverState?.Name !== 'bridge' && network.DriverState?.Name !== 'host' && network.Spec.Ingress !== true,
  );
  const networks: ClusterNetwork[] = overlays.map(({ Network: network }) => ({
    name: network.Spec.Name,
    id: network.ID,
    subnets: (network.IPAMOptions?.Configs ?? []).flatMap((config) => config.Subnet ?? []),
  }));
  return {
    service: service.name,
    serviceId: service.id,
    slot: service.mode === 'global' ? node : String(raw.Slot ?? 0),
    taskId: raw.ID,
    containerId: raw.Status.ContainerStatus?.ContainerID ?? '',
    node,
    state: raw.Status.State,
    error: raw.Status.Err ?? '',
    wanted: WANTED.has(raw.DesiredState),
    waits: raw.DesiredState === 'ready',
    createdAt: raw.CreatedAt,
    generation: raw.Spec.ForceUpdate ?? 0,
    outdated: !isDeepStrictEqual(raw.Spec, service.spec.TaskTemplate),
    addresses: overlays.flatMap(({ Network: network, Addresses: addresses }) =>
      (addresses ?? []).map((address) => ({ network: network.Spec.Name, address: address.replace(/\/\d+$/, '') })),
    ),
    networks,
  };
}

/**
 * How many tasks of a service have ended for good: slots whose last task has ended, and which Swarm does not fill again. With `on-failure` those
 * that failed count only where the number of attempts is limited.
 * @param tasks all of the service, the newest last
 */
export function endedTasks(service: ClusterService, tasks: readonly ClusterTask[]): number {
  const last = new Map(tasks.map((task) => [task.slot, task]));
  // An operation that was undone leaves tasks that have failed behind the one that goes on.
  for (const task of tasks) if (task.wanted && !ENDED.has(task.state)) last.delete(task.slot);
  const { Condition: condition, MaxAttempts: attempts = 0 } =
    (service.spec.TaskTemplate as RawService['Spec']['TaskTemplate']).RestartPolicy ?? {};
  const forGood = ({ state }: ClusterTask): boolean =>
    state === 'complete' || (ENDED.has(state) && (condition === 'none' || attempts > 0));
  return [...last.values()].filter(forGood).length;
}

/** A manager may list itself as 0.0.0.0 or 127.0.0.1; its Raft address is the one that others reach. */
function nodeHost(address: string | undefined, managerAddress: string | undefined): string {
  const unusable = address === undefined || address === '' || address === '0.0.0.0' || address.startsWith('127.');
  if (!unusable) return address;
  return managerAddress?.replace(/:\d+$/, '') ?? address ?? '127.0.0.1';
}
