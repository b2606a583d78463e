import Docker from 'dockerode';
import { z } from 'zod';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { ServiceSpec } from '../index.ts';
import { infoSchema, networkSchema, nodeSchema, serviceSchema, taskSchema } from './raw.ts';
import type { RawInfo, RawNetwork, RawNode, RawService, RawTask } from './raw.ts';

type Filters = Readonly<Record<string, readonly string[]>>;

/** The engine's API on a Swarm manager: checked answers, and errors that say what to do. */
export class Engine {
  readonly #docker: Docker;
  readonly #socketPath: string;
  readonly #sure: () => Promise<void>;

  /** @param sure asked before each change; what it throws is thrown, and nothing is changed then */
  constructor(socketPath: string, sure: () => Promise<void> = () => Promise.resolve()) {
    this.#socketPath = socketPath;
    this.#docker = new Docker({ socketPath });
    this.#sure = sure;
  }

  /** The same engine, asked otherwise before changes. */
  guardedBy(sure: () => Promise<void>): Engine {
    return new Engine(this.#socketPath, sure);
  }

  async info(): Promise<RawInfo> {
    return this.#ask('ask the engine who it is', infoSchema, () => this.#docker.info());
  }

  async nodes(): Promise<RawNode[]> {
    return this.#ask('list the nodes', z.array(nodeSchema), () => this.#docker.listNodes());
  }

  async services(filters: Filters = {}): Promise<RawService[]> {
    return this.#ask('list the services', z.array(serviceSchema), () =>
      this.#docker.listServices({ filters: JSON.stringify(filters) }),
    );
  }

  async service(idOrName: string): Promise<RawService | undefined> {
    try {
      return await this.#ask(`look at service ${idOrName}`, serviceSchema, () =>
        this.#docker.getService(idOrName).inspect(),
      );
    } catch (error) {
      if (error instanceof SwarmcutError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  async tasks(filters: Filters): Promise<RawTask[]> {
    return this.#ask('list the tasks', z.array(taskSchema), () =>
      this.#docker.listTasks({ filters: JSON.stringify(filters) }),
    );
  }

  async networks(): Promise<RawNetwork[]> {
    return this.#ask('list the networks', z.array(networkSchema), () => this.#docker.listNetworks());
  }

  async createNetwork(spec: ServiceSpec): Promise<string> {
    await this.#sure();
    const reply = await this.#ask(`create network ${String(spec.Name)}`, z.object({ id: z.string() }), () =>
      this.#docker.createNetwork(spec as unknown as Docker.NetworkCreateOptions),
    );
    return reply.id;
  }

  async removeNetwork(id: string): Promise<void> {
    await this.#sure();
    await this.#ask(`remove network ${id}`, z.unknown(), () => this.#docker.getNetwork(id).remove());
  }

  async configs(): Promise<{ name: string; id: string; spec: ServiceSpec }[]> {
    const schema = z.array(
      z.object({ ID: z.string(), Spec: z.record(z.string(), z.unknown()).and(z.object({ Name: z.string() })) }),
    );
    const raw = await this.#ask('list the configs', schema, () => this.#docker.listConfigs());
    return raw.map((config) => ({ name: config.Spec.Name, id: config.ID, spec: config.Spec }));
  }

  async createConfig(spec: ServiceSpec): Promise<string> {
    await this.#sure();
    const reply = await this.#ask(`create config ${String(spec.Name)}`, z.object({ id: z.string() }), () =>
      this.#docker.createConfig(spec),
    );
    return reply.id;
  }

  async removeConfig(id: string): Promise<void> {
    await this.#sure();
    await this.#ask(`remove config ${id}`, z.unknown(), () => this.#docker.getConfig(id).remove());
  }

  async secrets(): Promise<{ name: string; id: string }[]> {
    const schema = z.array(z.object({ ID: z.string(), Spec: z.object({ Name: z.string() }) }));
    const raw = await this.#ask('list the secrets', schema, () => this.#docker.listSecrets());
    return raw.map((secret) => ({ name: secret.Spec.Name, id: secret.ID }));
  }

  /** @returns the id of the new service */
  async createService(spec: ServiceSpec): Promise<string> {
    await this.#sure();
    const reply = await this.#ask(`create service ${String(spec.Name)}`, z.object({ id: z.string() }), () =>
      this.#docker.createService(spec as unknown as Docker.CreateServiceOptions),
    );
    return reply.id;
  }

  async removeService(id: string): Promise<void> {
    await this.#sure();
    await this.#ask(`remove service ${id}`, z.unknown(), () => this.#docker.getService(id).remove());
  }

  /**
   * Changes a service's spec. The engine wants the version that it is based on; if somebody else was faster, it is decided again on the new one, a
   * few times.
   */
  async updateService(id: string, decide: (now: ServiceSpec) => ServiceSpec): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const service = await this.service(id);
      if (service === undefined) throw new SwarmcutError('not-found', `service ${id} is gone`);
      // After the version was read: who takes our place changes the service, and what comes late is out of sequence.
      await this.#sure();
      const spec = decide(service.Spec);
      try {
        await this.#ask(`update service ${service.Spec.Name}`, z.unknown(), () =>
          this.#docker.getService(id).update({ version: service.Version.Index, ...spec }),
        );
        return;
      } catch (error) {
        if (attempt >= 5 || !messageOf(error).includes('out of sequence')) throw error;
      }
    }
  }

  /**
   * Changes a node's availability if it is the first of the two; as {@link updateService} does, if somebody else changes the node meanwhile.
   * @returns false when it was another one
   */
  async changeAvailability(nodeId: string, [from, to]: readonly [string, string]): Promise<boolean> {
    const node = this.#docker.getNode(nodeId);
    for (let attempt = 1; ; attempt++) {
      const { Spec: spec, Version: version } = await this.#ask(`look at node ${nodeId}`, nodeSchema, () =>
        node.inspect(),
      );
      if ((spec.Availability ?? 'active') !== from) return false;
      await this.#sure();
      try {
        await this.#ask(`set node ${nodeId} to ${to}`, z.unknown(), () =>
          node.update({ version: version.Index, ...spec, Availability: to }),
        );
        return true;
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
      throw engineError(this.#socketPath, what, error);
    }
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new SwarmcutError(
      'internal',
      `cannot ${what}: the engine's answer is not understood: ${z.prettifyError(parsed.error)}`,
    );
  }
}

/** What the engine said, and what to do about it. @param what was to be done */
export function engineError(socketPath: string, what: string, error: unknown): SwarmcutError {
  const details = error as { statusCode?: number; code?: string };
  const message = messageOf(error);
  if (details.code === 'ENOENT' || details.code === 'ECONNREFUSED' || details.code === 'EACCES') {
    return new SwarmcutError('unreachable', `cannot ${what}: no engine answers at ${socketPath} (${details.code})`, {
      advice:
        'run the coordinator on a Swarm manager node, as a user who may use the Docker socket, or name the socket with --docker-socket',
      cause: error,
    });
  }
  if (details.statusCode === 503 || /not a swarm manager/i.test(message)) {
    return new SwarmcutError('precondition', `cannot ${what}: this engine is not a Swarm manager`, {
      advice: 'run the coordinator on a manager node (`docker node ls` works there)',
      cause: error,
    });
  }
  if (details.statusCode === 404) return new SwarmcutError('not-found', `cannot ${what}: ${message}`, { cause: error });
  return new SwarmcutError('failed', `cannot ${what}: ${message}`, { cause: error });
}
