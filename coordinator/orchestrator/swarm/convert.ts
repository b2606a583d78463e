import type { ClusterNetwork, ClusterNode, ClusterService, ClusterTask } from '../index.ts';
import type { RawNode, RawService, RawTask } from './raw.ts';

/** The label by which `docker stack deploy` marks what belongs to a stack. */
export const STACK_LABEL = 'com.docker.stack.namespace';

/** On a node: where its agent listens, `host:port`, if not at the node's address and the usual port. */
const AGENT_LABEL = 'swarmcut.agent';

/** Desired states of a task that is to run; `ready` waits for the end of another one of its slot. */
const WANTED = new Set(['ready', 'running']);

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
    publishesHostPorts: raw.Endpoint?.Ports?.some((port) => port.PublishMode === 'host') ?? false,
  };
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
    createdAt: raw.CreatedAt,
    generation: raw.Spec.ForceUpdate ?? 0,
    addresses: overlays.flatMap(({ Network: network, Addresses: addresses }) =>
      (addresses ?? []).map((address) => ({ network: network.Spec.Name, address: address.replace(/\/\d+$/, '') })),
    ),
    networks,
  };
}

/** A manager may list itself as 0.0.0.0 or 127.0.0.1; its Raft address is the one that others reach. */
function nodeHost(address: string | undefined, managerAddress: string | undefined): string {
  const unusable = address === undefined || address === '' || address === '0.0.0.0' || address.startsWith('127.');
  if (!unusable) return address;
  return managerAddress?.replace(/:\d+$/, '') ?? address ?? '127.0.0.1';
}
