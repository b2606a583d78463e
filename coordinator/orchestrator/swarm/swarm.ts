import type { Manifest } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { assertStackName } from '../../../src/model/stack-name.ts';
import type {
  Cluster,
  ClusterNode,
  ClusterSelf,
  ClusterService,
  ClusterTask,
  Resources,
  ServiceChanges,
  ServiceSpec,
  Stack,
  StackResources,
  StartingTask,
} from '../index.ts';
import { ENDED, WANTED, endedTasks, STACK_LABEL, toNode, toService, toTask } from './convert.ts';
import { Engine } from './engine.ts';
import { SwarmRecords } from './records.ts';
import { ensureResources, readResources } from './resources.ts';
import { forceUpdateOf, formerNow, replacementSpec, settledNow, specChanges, withTasks } from './specs.ts';

export interface SwarmOptions {
  readonly socketPath: string;
  /** Of agents whose node does not say otherwise. */
  readonly agentPort: number;
}

/** Docker Swarm, through the engine of a manager node. A generation is the `ForceUpdate` of a service's tasks. */
export class Swarm implements Cluster {
  readonly records: SwarmRecords;
  readonly #engine: Engine;
  readonly #agentPort: number;
  readonly #options: SwarmOptions;

  /** @param engine for changes that somebody has to allow first */
  constructor(options: SwarmOptions, engine: Engine = new Engine(options.socketPath)) {
    this.records = new SwarmRecords(options.socketPath);
    this.#engine = engine;
    this.#agentPort = options.agentPort;
    this.#options = options;
  }

  guardedBy(sure: () => Promise<void>): Cluster {
    return new Swarm(this.#options, this.#engine.guardedBy(sure));
  }

  async self(): Promise<ClusterSelf> {
    const { Name: hostname, Swarm: swarm } = await this.#engine.info();
    const clusterId = swarm.Cluster?.ID;
    if (clusterId !== undefined) return { nodeId: swarm.NodeID, hostname, clusterId };
    throw new SwarmcutError('precondition', `the engine of ${hostname} is not a Swarm manager`, {
      advice: 'run the coordinator on a manager node (`docker node ls` works there)',
    });
  }

  async nodes(): Promise<ClusterNode[]> {
    const nodes = (await this.#engine.nodes()).map((node) => toNode(node, this.#agentPort));
    // Swarm's order is that of random ids: what we say of nodes would come in another one on each Swarm.
    return nodes.sort((a, b) => a.hostname.localeCompare(b.hostname));
  }

  async stackNames(): Promise<string[]> {
    const services = await this.#services({ label: [STACK_LABEL] });
    return [...new Set(services.map(({ stack }) => stack ?? ''))].sort();
  }

  services(): Promise<ClusterService[]> {
    return this.#services({});
  }

  async service(idOrName: string): Promise<ClusterService | undefined> {
    const raw = await this.#engine.service(idOrName);
    return raw === undefined ? undefined : toService(raw);
  }

  async tasks(
    services: readonly ClusterService[],
    nodes: readonly ClusterNode[],
    which: 'all' | 'wanted',
  ): Promise<ClusterTask[]> {
    if (services.length === 0) return [];
    const raw = await this.#engine.tasks({
      service: services.map((service) => service.id),
      ...(which === 'wanted' ? { 'desired-state': ['running'] } : {}),
    });
    const byId = new Map(services.map((service) => [service.id, service]));
    const hostnames = new Map(nodes.map((node) => [node.id, node.hostname]));
    return raw
      .flatMap((task) => {
        const service = byId.get(task.ServiceID ?? '');
        return service === undefined ? [] : [toTask(task, service, hostnames.get(task.NodeID ?? '') ?? '')];
      })
      .sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  }

  async stack(name: string, nodes: readonly ClusterNode[]): Promise<Stack> {
    assertStackName(name);
    const services = await this.#services({ label: [`${STACK_LABEL}=${name}`] });
    const ending = services.filter(({ endsByItself }) => endsByItself === true);
    const [tasks, all] = await Promise.all([this.tasks(services, nodes, 'wanted'), this.tasks(ending, nodes, 'all')]);
    const ofService = (id: string): ClusterTask[] => all.filter(({ serviceId }) => serviceId === id);
    return {
      name,
      services: services.sort((a, b) => a.name.localeCompare(b.name)),
      // Swarm wants a job's tasks complete, not running.
      tasks: [...tasks, ...all.filter((task) => isJob(task, ending) && !ENDED.has(task.state))],
      ended: new Map(ending.map((service) => [service.id, endedTasks(service, ofService(service.id))])),
    };
  }

  async remnants(stack: string, present: ReadonlySet<string>): Promise<number> {
    assertStackName(stack);
    const raw = await this.#engine.tasks({ label: [`${STACK_LABEL}=${stack}`] });
    return raw.filter((task) => !present.has(task.ServiceID ?? '') && !ENDED.has(task.Status.State)).length;
  }

  async nextGeneration(present: ClusterService | undefined, spec: ServiceSpec): Promise<number> {
    const tasks = present === undefined ? [] : await this.tasks([present], [], 'all');
    const had = tasks.map(({ generation }) => generation);
    return Math.max(present?.generation ?? 0, forceUpdateOf(spec), ...had) + 1;
  }

  async startingTasks(
    stack: string,
    generations: ReadonlyMap<string, ReadonlySet<number>>,
    nodes: readonly ClusterNode[],
  ): Promise<StartingTask[]> {
    if (generations.size === 0) return [];
    const filters = { label: [`${STACK_LABEL}=${stack}`] };
    const raw = await this.#engine.tasks(filters);
    const present = new Map((await this.#services(filters)).map((service) => [service.id, service]));
    const hostnames = new Map(nodes.map(({ id, hostname }) => [id, hostname]));
    return raw.flatMap((task): StartingTask[] => {
      const { ID: taskId, ServiceID: serviceId = '', NodeID: nodeId = '', Status: status } = task;
      const generation = task.Spec.ForceUpdate ?? 0;
      if (generations.get(serviceId)?.has(generation) !== true) return [];
      if (nodeId === '' || status.State === 'running' || ENDED.has(status.State)) return [];
      const node = hostnames.get(nodeId) ?? nodeId;
      const slot = String(task.Slot ?? node);
      const service = present.get(serviceId);
      const text = `${service?.name ?? serviceId}.${slot} on ${node} (${status.State})`;
      const wanted = WANTED.has(task.DesiredState);
      return [{ taskId, serviceId, slot, node, wanted, current: service?.generation === generation, text }];
    });
  }

  async replace(service: ClusterService, spec: ServiceSpec, generation: number): Promise<void> {
    await this.#engine.updateService(service.id, (now) => {
      const { fields } = specChanges(service.spec, now);
      if (fields.length === 0) return replacementSpec(spec, generation);
      throw new SwarmcutError(
        'conflict',
        `service ${service.name} was updated by somebody meanwhile (${fields.join(', ')})`,
        {
          where: { service: service.name },
          advice: 'nothing was done; run the command again',
        },
      );
    });
  }

  changes(before: ClusterService, now: ClusterService): ServiceChanges {
    return specChanges(before.spec, now.spec);
  }

  create(spec: ServiceSpec, generation: number): Promise<string> {
    return this.#engine.createService(replacementSpec(spec, generation));
  }

  withTasks(spec: ServiceSpec, tasks: number): ServiceSpec | undefined {
    return withTasks(spec, tasks);
  }

  async createIdle(spec: ServiceSpec): Promise<string | undefined> {
    const idle = withTasks(spec, 0);
    return idle === undefined ? undefined : this.#engine.createService(idle);
  }

  setPlaceable(nodeId: string, placeable: boolean): Promise<boolean> {
    return this.#engine.changeAvailability(nodeId, placeable ? ['pause', 'active'] : ['active', 'pause']);
  }

  settle(serviceId: string, spec: ServiceSpec): Promise<void> {
    return this.#finally(serviceId, (now) => settledNow(now, spec));
  }

  putBack(serviceId: string, spec: ServiceSpec, replacement: ServiceSpec, generation: number): Promise<void> {
    return this.#finally(serviceId, (now) => formerNow(now, spec, replacement, generation));
  }

  /**
   * Twice, since Swarm remembers the spec before: `docker service rollback` would otherwise bring that of a replacement back, with empty
   * tasks. The second time changes nothing else.
   */
  async #finally(serviceId: string, decide: (now: ServiceSpec) => ServiceSpec): Promise<void> {
    await this.#engine.updateService(serviceId, decide);
    await this.#engine.updateService(serviceId, (now) => now);
  }

  remove(serviceId: string): Promise<void> {
    return this.#engine.removeService(serviceId);
  }

  resourcesOf(stack: Stack): Promise<StackResources> {
    return readResources(this.#engine, stack);
  }

  ensureResources(manifest: Manifest, warn: (message: string) => void): Promise<Resources> {
    return ensureResources(this.#engine, manifest, warn);
  }

  async #services(filters: Readonly<Record<string, readonly string[]>>): Promise<ClusterService[]> {
    return (await this.#engine.services(filters)).map(toService);
  }
}

function isJob({ serviceId }: ClusterTask, services: readonly ClusterService[]): boolean {
  return services.some(({ id, mode }) => id === serviceId && mode === 'job');
}
