import Docker from 'dockerode';
import { z } from 'zod';
import { STACK_LABEL } from '../../../src/config/labels.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { networkSchema, nodeSchema, serviceSchema, taskSchema } from './types.ts';
import type { RawSpec, RawService, RawTask, Stack, SwarmNetwork, SwarmNode, SwarmService, SwarmTask } from './types.ts';

/** On a node: where its agent listens, `host:port`, if not at the node's address and the usual port. */
export const AGENT_LABEL = 'swarmcut.agent';

/** The coordinator's view of Swarm, through the engine of a manager node. */
export class Swarm {
  readonly #docker: Docker;
  readonly #socketPath: string;
  readonly #agentPort: number;

  constructor(options: { socketPath: string; agentPort: number }) {
    this.#socketPath = options.socketPath;
    this.#docker = new Docker({ socketPath: options.socketPath });
    this.#agentPort = options.agentPort;
  }

  async nodes(): Promise<SwarmNode[]> {
    const raw = await this.#ask('list the nodes', z.array(nodeSchema), () => this.#docker.listNodes());
    return raw.map((node) => {
      const host = nodeHost(node.Status.Addr, node.ManagerStatus?.Addr);
      const availability = node.Spec.Availability ?? 'active';
      return {
        id: node.ID,
        hostname: node.Description.Hostname,
        agentAddress: node.Spec.Labels?.[AGENT_LABEL] ?? `${host}:${this.#agentPort}`,
        usable: node.Status.State === 'ready' && availability === 'active',
        state: node.Status.State,
        availability,
      };
    });
  }

  async stackNames(): Promise<string[]> {
    const services = await this.services({ label: [STACK_LABEL] });
    return [...new Set(services.map((service) => service.labels[STACK_LABEL] ?? ''))].sort();
  }

  async services(filters: Record<string, string[]> = {}): Promise<SwarmService[]> {
    const raw = await this.#ask('list the services', z.array(serviceSchema), () =>
      this.#docker.listServices({ filters: JSON.stringify(filters) }),
    );
    return raw.map(toService);
  }

  async service(idOrName: string): Promise<SwarmService | undefined> {
    try {
      return toService(
        await this.#ask(`look at service ${idOrName}`, serviceSchema, () =>
          this.#docker.getService(idOrName).inspect(),
        ),
      );
    } catch (error) {
      if (error instanceof SwarmcutError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** Tasks of these services, running or not, with the newest last. */
  async tasks(services: readonly SwarmService[], nodes: readonly SwarmNode[], desired?: string): Promise<SwarmTask[]> {
    if (services.length === 0) return [];
    const filters: Record<string, string[]> = { service: services.map((service) => service.id) };
    if (desired !== undefined) filters['desired-state'] = [desired];
    const raw = await this.#ask('list the tasks', z.array(taskSchema), () =>
      this.#docker.listTasks({ filters: JSON.stringify(filters) }),
    );
    const byId = new Map(services.map((service) => [service.id, service]));
    const hostnames = new Map(nodes.map((node) => [node.id, node.hostname]));
    return raw
      .flatMap((task) => {
        const service = byId.get(task.ServiceID ?? '');
        return service === undefined ? [] : [toTask(task, service, hostnames.get(task.NodeID ?? '') ?? '')];
      })
      .sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  }

  /** A stack with the tasks that Swarm wants running. A stack that does not exist has no services. */
  async stack(name: string, nodes: readonly SwarmNode[]): Promise<Stack> {
    const services = await this.services({ label: [`${STACK_LABEL}=${name}`] });
    const tasks = await this.tasks(services, nodes, 'running');
    return { name, services: services.sort((a, b) => a.name.localeCompare(b.name)), tasks };
  }

  /** Tasks of a stack whose service is gone, and which have not ended yet. */
  async remnants(stack: string, presentServices: ReadonlySet<string>): Promise<number> {
    const filters = { label: [`${STACK_LABEL}=${stack}`] };
    const raw = await this.#ask('list the tasks', z.array(taskSchema), () =>
      this.#docker.listTasks({ filters: JSON.stringify(filters) }),
    );
    const ended = new Set(['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned']);
    return raw.filter((task) => !presentServices.has(task.ServiceID ?? '') && !ended.has(task.Status.State)).length;
  }

  async networks(): Promise<z.infer<typeof networkSchema>[]> {
    return this.#ask('list the networks', z.array(networkSchema), () => this.#docker.listNetworks());
  }

  async createNetwork(spec: RawSpec): Promise<string> {
    const reply = await this.#ask(`create network ${String(spec.Name)}`, z.object({ id: z.string() }), () =>
      this.#docker.createNetwork(spec as unknown as Docker.NetworkCreateOptions),
    );
    return reply.id;
  }

  async removeNetwork(id: string): Promise<void> {
    await this.#ask(`remove network ${id}`, z.unknown(), () => this.#docker.getNetwork(id).remove());
  }

  async configs(): Promise<{ name: string; id: string; spec: RawSpec }[]> {
    const schema = z.array(
      z.object({ ID: z.string(), Spec: z.record(z.string(), z.unknown()).and(z.object({ Name: z.string() })) }),
    );
    const raw = await this.#ask('list the configs', schema, () => this.#docker.listConfigs());
    return raw.map((config) => ({ name: config.Spec.Name, id: config.ID, spec: config.Spec }));
  }

  async createConfig(spec: RawSpec): Promise<string> {
    const reply = await this.#ask(`create config ${String(spec.Name)}`, z.object({ id: z.string() }), () =>
      this.#docker.createConfig(spec),
    );
    return reply.id;
  }

  async secrets(): Promise<{ name: string; id: string }[]> {
    const schema = z.array(z.object({ ID: z.string(), Spec: z.object({ Name: z.string() }) }));
    const raw = await this.#ask('list the secrets', schema, () => this.#docker.listSecrets());
    return raw.map((secret) => ({ name: secret.Spec.Name, id: secret.ID }));
  }

  /** @returns the id of the new service */
  async createService(spec: RawSpec): Promise<string> {
    const reply = await this.#ask(`create service ${String(spec.Name)}`, z.object({ id: z.string() }), () =>
      this.#docker.createService(spec as unknown as Docker.CreateServiceOptions),
    );
    return reply.id;
  }

  async removeService(id: string): Promise<void> {
    await this.#ask(`remove service ${id}`, z.unknown(), () => this.#docker.getService(id).remove());
  }

  /**
   * Replaces a service's spec. The engine wants the version it is based on; if somebody else was faster, the change is computed again
   * from the new state, a few times.
   */
  async updateService(id: string, change: (service: SwarmService) => RawSpec): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const service = await this.service(id);
      if (service === undefined) throw new SwarmcutError('not-found', `service ${id} is gone`);
      try {
        await this.#ask(`update service ${service.name}`, z.unknown(), () =>
          this.#docker.getService(id).update({ version: service.version, ...change(service) }),
        );
        return;
      } catch (error) {
        if (attempt >= 5 || !messageOf(error).includes('out of sequence')) throw error;
      }
    }
  }

  async #ask<T>(what: string, schema: z.ZodType<T>, call: () => Promise<unknown>): Promise<T> {
    let answer: unknown;
    try {
      answer = await call();
    } catch (error) {
      throw this.#translate(what, error);
    }
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new SwarmcutError(
      'internal',
      `cannot ${what}: the engine's answer is not understood: ${z.prettifyError(parsed.error)}`,
    );
  }

  #translate(what: string, error: unknown): SwarmcutError {
    const details = error as { statusCode?: number; code?: string };
    const message = messageOf(error);
    if (details.code === 'ENOENT' || details.code === 'ECONNREFUSED' || details.code === 'EACCES') {
      return new SwarmcutError(
        'unreachable',
        `cannot ${what}: no engine answers at ${this.#socketPath} (${details.code})`,
        {
          advice:
            'run the coordinator on a Swarm manager node, as a user who may use the Docker socket, or name the socket with --docker-socket',
          cause: error,
        },
      );
    }
    if (details.statusCode === 503 || /not a swarm manager/i.test(message)) {
      return new SwarmcutError('precondition', `cannot ${what}: this engine is not a Swarm manager`, {
        advice: 'run the coordinator on a manager node (`docker node ls` works there)',
        cause: error,
      });
    }
    if (details.statusCode === 404)
      return new SwarmcutError('not-found', `cannot ${what}: ${message}`, { cause: error });
    return new SwarmcutError('failed', `cannot ${what}: ${message}`, { cause: error });
  }
}

/** A manager may list itself as 0.0.0.0 or 127.0.0.1; its Raft address is the one that others reach. */
function nodeHost(address: string | undefined, managerAddress: string | undefined): string {
  const unusable = address === undefined || address === '' || address === '0.0.0.0' || address.startsWith('127.');
  if (!unusable) return address;
  return managerAddress?.replace(/:\d+$/, '') ?? address ?? '127.0.0.1';
}

function toService(raw: RawService): SwarmService {
  const { Mode: mode, TaskTemplate: template } = raw.Spec;
  return {
    id: raw.ID,
    name: raw.Spec.Name,
    mode: mode.Replicated !== undefined ? 'replicated' : mode.Global !== undefined ? 'global' : 'job',
    replicas: mode.Replicated?.Replicas ?? 1,
    version: raw.Version.Index,
    spec: raw.Spec,
    image: template.ContainerSpec?.Image ?? '',
    forceUpdate: template.ForceUpdate ?? 0,
    labels: raw.Spec.Labels ?? {},
    containerLabels: template.ContainerSpec?.Labels ?? {},
    publishesHostPorts: raw.Endpoint?.Ports?.some((port) => port.PublishMode === 'host') ?? false,
    updateState: raw.UpdateStatus?.State ?? '',
  };
}

function toTask(raw: RawTask, service: SwarmService, node: string): SwarmTask {
  const overlays = (raw.NetworksAttachments ?? []).filter(
    ({ Network: network }) =>
      network.DriverState?.Name !== 'bridge' && network.DriverState?.Name !== 'host' && network.Spec.Ingress !== true,
  );
  const networks: SwarmNetwork[] = overlays.map(({ Network: network }) => ({
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
    desiredState: raw.DesiredState,
    error: raw.Status.Err ?? '',
    createdAt: raw.CreatedAt,
    forceUpdate: raw.Spec.ForceUpdate ?? 0,
    addresses: overlays.flatMap(({ Network: network, Addresses: addresses }) =>
      (addresses ?? []).map((address) => ({ network: network.Spec.Name, address: address.replace(/\/\d+$/, '') })),
    ),
    networks,
  };
}
