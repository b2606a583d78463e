/** How processes are connected. `degree` applies to `regular`: that many neighbours, spread over the ring (a circulant graph). */
export const TOPOLOGIES = ['ring', 'line', 'star', 'full', 'grid', 'regular'] as const;
export type Topology = (typeof TOPOLOGIES)[number];

export const BEHAVIOURS = ['ping-pong', 'ring', 'all-to-all', 'client-server', 'bank', 'bursty', 'idle'] as const;
export type BehaviourName = (typeof BEHAVIOURS)[number];

/**
 * Shapes of what varies, each with the mean that is asked for: always the same; anything up to twice the mean; many small values and few
 * large ones; mostly very small ones and a few that are enormous (Pareto's second kind, shape 2: no variance).
 */
export const DISTRIBUTIONS = ['constant', 'uniform', 'exponential', 'pareto'] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

/** What things cost. Defaults are what was measured on a test bed (docs/overhead.md, "Parameters"). */
export interface Costs {
  /** One nft transaction or one word to the sidecar: block, unblock, new colour. */
  readonly blockMs: number;
  readonly freezeMs: number;
  readonly thawMs: number;
  /** A dump of nothing: starting runc and CRIU, mounts, links, cgroups. */
  readonly dumpBaseMs: number;
  readonly dumpBytesPerSecond: number;
  readonly restoreBaseMs: number;
  readonly restoreBytesPerSecond: number;
  /** Attaching the interceptor (phase *prepare*). */
  readonly prepareMs: number;
  /** Copying and hashing a dump into the store (phase *collect*). */
  readonly storeBytesPerSecond: number;
  /** Writing the manifest, fsync included. */
  readonly commitMs: number;
  /** From a crash until somebody knows. */
  readonly detectMs: number;
  /** One durable write of a log. */
  readonly logWriteMs: number;
  /** One way of a control message. */
  readonly controlLatencyMs: number;
  /** Added to it, exponentially distributed with this mean: what sets the freezes of one round apart. */
  readonly controlJitterMs: number;
}

export const DEFAULT_COSTS: Costs = {
  blockMs: 5,
  freezeMs: 14,
  thawMs: 10,
  dumpBaseMs: 100,
  dumpBytesPerSecond: 900e6,
  restoreBaseMs: 390,
  restoreBytesPerSecond: 900e6,
  prepareMs: 15,
  storeBytesPerSecond: 400e6,
  commitMs: 5,
  detectMs: 1000,
  logWriteMs: 1,
  controlLatencyMs: 0.5,
  controlJitterMs: 2,
};

/** Faults beside crashes: each is a mean number per simulated second over the whole system; 0 for none. */
export interface Faults {
  /** Mean time between crashes of one process, seconds; 0 for none. */
  readonly mtbfSeconds: number;
  /** Part of packets lost, 0 to 1. They are sent again. */
  readonly loss: number;
  /** A random half is cut off from the other half this often per second, for `partitionMs`. */
  readonly partitionsPerSecond: number;
  readonly partitionMs: number;
  /** The coordinator dies this often per second, and is back after `coordinatorDownMs`. */
  readonly coordinatorCrashesPerSecond: number;
  readonly coordinatorDownMs: number;
  /** Some agent dies this often per second, and is back after `agentDownMs`. What it had frozen stays frozen. */
  readonly agentCrashesPerSecond: number;
  readonly agentDownMs: number;
  /** Some connection ends and is made anew this often per second (algorithms of the sidecar). */
  readonly reconnectsPerSecond: number;
  /** Factor on the latency of control messages. */
  readonly coordinatorSlowness: number;
}

export const NO_FAULTS: Faults = {
  mtbfSeconds: 0,
  loss: 0,
  partitionsPerSecond: 0,
  partitionMs: 300,
  coordinatorCrashesPerSecond: 0,
  coordinatorDownMs: 500,
  agentCrashesPerSecond: 0,
  agentDownMs: 500,
  reconnectsPerSecond: 0,
  coordinatorSlowness: 1,
};

/** One simulated run. Everything that decides what happens is in here: the same configuration gives the same trace. */
export interface SimulationConfig {
  readonly seed: number;
  readonly processes: number;
  readonly topology: Topology;
  readonly degree: number;
  readonly behaviour: BehaviourName;
  /** Mean time between two spontaneous actions of a process, milliseconds. */
  readonly thinkMs: number;
  /** Size of an application message. */
  readonly messageBytes: number;
  /** Memory of a process: what a dump writes. */
  readonly stateBytes: number;
  /** Channels deliver in the order of sending. Coordinated marker algorithms need it; `mattern` and the logs do not. */
  readonly fifo: boolean;
  readonly latencyMs: number;
  /** Added to the latency: the mean, and how it is distributed. */
  readonly jitterMs: number;
  readonly jitterDistribution: Distribution;
  /** Bandwidth of each channel; what is distributed is the time that a byte takes. Messages do not wait for each other. */
  readonly bytesPerSecond: number;
  readonly bandwidthDistribution: Distribution;
  /** Retransmission time-out of TCP at its smallest. */
  readonly rtoMs: number;
  /** Simulated time during which the application works; afterwards the run is drained. */
  readonly durationMs: number;
  /** Time between rounds (coordinated) or mean time between basic checkpoints of a process. */
  readonly intervalMs: number;
  /** Ends the working time early, when this many application messages were sent; 0 for no limit. */
  readonly messageLimit: number;
  /** A round, and a local checkpoint, that takes longer is aborted. */
  readonly deadlineMs: number;
  /** What thaws a process whose agent has died. False only to show what happens without it. */
  readonly deadMansSwitch: boolean;
  readonly costs: Costs;
  readonly faults: Faults;
  /** Keep a readable trace (scenarios, space-time diagrams). */
  readonly trace: boolean;
}

export const DEFAULT_CONFIG: SimulationConfig = {
  seed: 1,
  processes: 8,
  topology: 'regular',
  degree: 4,
  behaviour: 'bank',
  thinkMs: 10,
  messageBytes: 200,
  stateBytes: 20e6,
  fifo: true,
  latencyMs: 0.2,
  jitterMs: 0.1,
  jitterDistribution: 'exponential',
  bytesPerSecond: 1e9,
  bandwidthDistribution: 'constant',
  rtoMs: 20,
  durationMs: 10_000,
  intervalMs: 2000,
  messageLimit: 0,
  deadlineMs: 10_000,
  deadMansSwitch: true,
  costs: DEFAULT_COSTS,
  faults: NO_FAULTS,
  trace: false,
};

/** Microseconds, the simulator's unit of time: whole numbers, so that sums are exact. */
export function micros(milliseconds: number): number {
  return Math.round(milliseconds * 1000);
}
