import type { Manifest } from '../../src/model/checkpoint.ts';

/**
 * What an operation needs of the cluster that runs the tasks. Nothing here belongs to one orchestrator: Swarm is behind it in `swarm/`, and
 * another one would be another folder beside it.
 */
export interface Cluster {
  /** What all managers of the cluster share. */
  readonly records: SharedRecords;

  /** The manager on which this runs. */
  self(): Promise<ClusterSelf>;

  /**
   * The same cluster, in which nothing is changed that `sure` has not allowed: it is asked anew for each attempt, after what the change is based
   * on has been read. What it throws is thrown, and nothing is changed then.
   */
  guardedBy(sure: () => Promise<void>): Cluster;

  nodes(): Promise<ClusterNode[]>;

  stackNames(): Promise<string[]>;

  /** A stack with the tasks that are wanted running. A stack that does not exist has no services. */
  stack(name: string, nodes: readonly ClusterNode[]): Promise<Stack>;

  /** All services, of whatever stack. */
  services(): Promise<ClusterService[]>;

  /** Undefined when there is none of that id or name. */
  service(idOrName: string): Promise<ClusterService | undefined>;

  /**
   * Tasks of these services, the newest last.
   * @param which `all` has those that have ended, too
   */
  tasks(
    services: readonly ClusterService[],
    nodes: readonly ClusterNode[],
    which: 'all' | 'wanted',
  ): Promise<ClusterTask[]>;

  /** How many tasks of a stack, whose services are gone, have not ended yet. @param present ids of the services that are not gone */
  remnants(stack: string, present: ReadonlySet<string>): Promise<number>;

  /**
   * The generation that the next replacement of a service gives its tasks: higher than any that they have had, those of replacements that were
   * undone included. Or these, which have ended, would be taken for the new ones.
   * @param present the service as it is; undefined if it is gone
   * @param spec the spec that it is to have
   */
  nextGeneration(present: ClusterService | undefined, spec: ServiceSpec): Promise<number>;

  /**
   * Tasks of these generations that may still start: they have a node, and neither run nor have ended.
   * @param generations by id of the service, which may be gone
   */
  startingTasks(
    stack: string,
    generations: ReadonlyMap<string, ReadonlySet<number>>,
    nodes: readonly ClusterNode[],
  ): Promise<StartingTask[]>;

  /**
   * New tasks for a service that is there; the old ones live on until the new ones run. Ends when they have been asked for. Nothing in the
   * service keeps its tasks from a node meanwhile, or the orchestrator would end old ones: see {@link setPlaceable}.
   * @param service as it was when it was decided
   * @param generation of the new tasks: by it they are told from old ones
   * @throws SwarmcutError `conflict` when somebody has changed it since; nothing is done then
   */
  replace(service: ClusterService, spec: ServiceSpec, generation: number): Promise<void>;

  /** A service that is gone, made again as {@link replace} would have it. @returns its new id */
  create(spec: ServiceSpec, generation: number): Promise<string>;

  /** The same settings for this many tasks; undefined when the service's kind does not allow it. */
  withTasks(spec: ServiceSpec, tasks: number): ServiceSpec | undefined;

  /** Makes a service that is gone and whose work is done: nothing of it runs. @returns its id; undefined as {@link withTasks} */
  createIdle(spec: ServiceSpec): Promise<string | undefined>;

  /**
   * Whether new tasks, of whatever service, may be placed on a node. Tasks that run there are left alone.
   * @returns false when there was nothing to do: the node has been taken out of service otherwise, or is back already
   */
  setPlaceable(nodeId: string, placeable: boolean): Promise<boolean>;

  /** What somebody has changed in a service since. */
  changes(before: ClusterService, now: ClusterService): ServiceChanges;

  /**
   * The new tasks run: the service keeps them, and is in everything else as this spec says, but for what somebody else has changed in it since.
   * @param spec what {@link replace} or {@link create} was given
   */
  settle(serviceId: string, spec: ServiceSpec): Promise<void>;

  /**
   * Gives a service the spec that it had before a replacement. What somebody else has changed in it meanwhile stays so.
   * @param replacement the spec that the replacement gave it: as the cluster says, or what {@link replace} was given
   * @param generation of the tasks of the replacement
   */
  putBack(serviceId: string, spec: ServiceSpec, replacement: ServiceSpec, generation: number): Promise<void>;

  remove(serviceId: string): Promise<void>;

  /** What the services of a stack refer to, to be made again when it has been removed. */
  resourcesOf(stack: Stack): Promise<StackResources>;

  /**
   * Makes what the services of a snapshot refer to and what is gone.
   * @param warn told what could not be made as it was
   * @throws SwarmcutError `precondition` for what cannot be made again; nothing has been made then
   */
  ensureResources(manifest: Manifest, warn: (message: string) => void): Promise<Resources>;
}

/**
 * Small records in the cluster's own agreed state: every manager sees the same, and each is replaced as a whole by compare-and-swap. Every
 * method throws if it is not known whether it had its effect.
 */
export interface SharedRecords {
  /** Undefined when there is none of that name. As the cluster agrees on it at the moment, not as this manager last heard. */
  read(name: string): Promise<SharedRecord | undefined>;

  /** Those whose names begin so, as this manager last heard. Of names that the cluster does not take as they are, only the beginning is known. */
  all(prefix: string): Promise<SharedRecord[]>;

  /** @returns false when there is one of that name: nothing was done */
  create(name: string, value: RecordValue): Promise<boolean>;

  /** @param seen as it was read. @returns false when it has been replaced meanwhile, or is gone: nothing was done */
  replace(seen: SharedRecord, value: RecordValue): Promise<boolean>;
}

/** At most some 900 kB in all. */
export type RecordValue = Readonly<Record<string, string>>;

export interface SharedRecord {
  readonly name: string;
  readonly id: string;
  /** Higher after every change, also than any version of a record of this name that was removed. */
  readonly version: number;
  readonly value: RecordValue;
}

/** A manager, and the cluster that it manages. */
export interface ClusterSelf {
  readonly nodeId: string;
  readonly hostname: string;
  /** Another one after the cluster has been made anew. */
  readonly clusterId: string;
}

/** A node, and where its agent listens. */
export interface ClusterNode {
  readonly id: string;
  readonly hostname: string;
  /** `host:port` of the agent. */
  readonly agentAddress: string;
  /** Up, and taking tasks. */
  readonly usable: boolean;
  /** `ready` when the orchestrator reaches it. */
  readonly state: string;
  readonly availability: string;
}

/** The settings of a service as its orchestrator keeps them. They are saved and given back as they came; only the orchestrator looks inside. */
export type ServiceSpec = Record<string, unknown>;

/** Of a service, by somebody else. */
export interface ServiceChanges {
  /** Names of the settings; empty when nothing has changed. */
  readonly fields: readonly string[];
  /** Tasks made now can take the state of those made before: it is the same program with the same settings on the same networks. */
  readonly keepsState: boolean;
  /**
   * During a replacement: new tasks cannot be told from those made before the change, or are not made beside the old ones. It has to be replaced
   * once more.
   */
  readonly renews: boolean;
}

export interface ClusterService {
  readonly id: string;
  readonly name: string;
  /** Absent when it belongs to none. */
  readonly stack?: string;
  readonly mode: 'replicated' | 'global' | 'job';
  readonly replicas: number;
  readonly spec: ServiceSpec;
  readonly image: string;
  /** Counts the replacements of its tasks; each task has that of the time when it was made. */
  readonly generation: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly containerLabels: Readonly<Record<string, string>>;
  /** A new task has been called healthy, or has failed, within this time, by the check that the service declares. 0: it declares none. Milliseconds. */
  readonly verdictMs: number;
  readonly publishesHostPorts: boolean;
  /** Its tasks may come to an end and are not started again then: a job, or one whose restart condition says so. */
  readonly endsByItself?: boolean;
  /** A task of it that has ended, for whatever reason, is not made again. */
  readonly neverRestarted?: boolean;
  /** The orchestrator is replacing its tasks. */
  readonly updating?: boolean;
  /** Addresses that stand for its tasks, by the network's id. */
  readonly virtualAddresses?: readonly { readonly networkId: string; readonly address: string }[];
}

/** A task with its container. */
export interface ClusterTask {
  readonly service: string;
  readonly serviceId: string;
  /** `"1"` … for replicated services, the node's host name for global ones. */
  readonly slot: string;
  readonly taskId: string;
  readonly containerId: string;
  readonly node: string;
  /** `running`, or what else the orchestrator calls it. */
  readonly state: string;
  readonly error: string;
  /** It is to run. False: the orchestrator ends it, or has ended it, and never takes that back. */
  readonly wanted: boolean;
  /** It is wanted, but not before another one of its slot has ended. */
  readonly waits?: boolean;
  readonly createdAt: string;
  readonly generation: number;
  /** It was made from settings that its service has no longer. */
  readonly outdated?: boolean;
  /** On networks between the tasks, not on those that lead in from outside. */
  readonly addresses: readonly { readonly network: string; readonly address: string }[];
  readonly networks: readonly ClusterNetwork[];
}

/** A task that has not started yet, and may. */
export interface StartingTask {
  readonly taskId: string;
  readonly serviceId: string;
  /** As in {@link ClusterTask}. */
  readonly slot: string;
  readonly node: string;
  /** It is to run. */
  readonly wanted: boolean;
  /** It is of the generation that its service has now. */
  readonly current: boolean;
  /** `bank_a.1 on n2 (preparing)`, for people. */
  readonly text: string;
}

export interface ClusterNetwork {
  readonly name: string;
  readonly id: string;
  readonly subnets: readonly string[];
}

/** A stack as it runs now. */
export interface Stack {
  readonly name: string;
  readonly services: readonly ClusterService[];
  /** Tasks that are wanted running. */
  readonly tasks: readonly ClusterTask[];
  /** Of services that {@link ClusterService.endsByItself}: how many tasks have ended and will not run again, by service id. */
  readonly ended?: ReadonlyMap<string, number>;
}

/** On which nodes new tasks may be placed, besides what the service itself says. Host names. */
export interface Placement {
  readonly only?: string;
  readonly except?: readonly string[];
}

/** What a stack needs besides its services. */
export type StackResources = Pick<Manifest, 'networks' | 'configs' | 'secrets'>;

/** Resources that have been made sure of. */
export interface Resources {
  /** A saved spec that refers to what is there now. */
  translate(spec: ServiceSpec): ServiceSpec;
  /** Takes back what was made. Never throws. */
  undo(): Promise<void>;
}
