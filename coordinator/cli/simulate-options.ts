import { z } from 'zod';
import { SwarmcutError } from '../../src/model/errors.ts';
import {
  BEHAVIOURS,
  DEFAULT_CONFIG,
  DEFAULT_COSTS,
  NO_FAULTS,
  TOPOLOGIES,
  type SimulationConfig,
} from '../../src/simulator/config.ts';
import { simulatedAlgorithms } from '../../src/simulator/families.ts';
import { neighbours } from '../../src/simulator/topology.ts';

const rate = z.coerce.number().nonnegative();
const positive = z.coerce.number().positive();
const costs = z
  .object(Object.fromEntries(Object.keys(DEFAULT_COSTS).map((key) => [key, rate])))
  .partial()
  .strict();

/** What `coordinator simulate` takes, from the command line and from a YAML file: the same names, the same checks. */
const schema = z
  .object({
    algorithm: z.union([z.string(), z.array(z.string())]).default('all'),
    processes: z.coerce.number().int().min(2).max(100_000).default(DEFAULT_CONFIG.processes),
    topology: z.enum(TOPOLOGIES).default(DEFAULT_CONFIG.topology),
    degree: z.coerce.number().int().positive().default(DEFAULT_CONFIG.degree),
    behaviour: z.enum(BEHAVIOURS).default(DEFAULT_CONFIG.behaviour),
    think: positive.default(DEFAULT_CONFIG.thinkMs),
    messageBytes: rate.default(DEFAULT_CONFIG.messageBytes),
    stateBytes: rate.default(DEFAULT_CONFIG.stateBytes),
    fifo: z.coerce.boolean().default(true),
    latency: rate.default(DEFAULT_CONFIG.latencyMs),
    jitter: rate.default(DEFAULT_CONFIG.jitterMs),
    interval: rate.default(DEFAULT_CONFIG.intervalMs),
    mtbf: rate.default(0),
    loss: z.coerce.number().min(0).max(0.9).default(0),
    partitions: rate.default(0),
    coordinatorCrashes: rate.default(0),
    slowness: positive.default(1),
    duration: positive.default(DEFAULT_CONFIG.durationMs),
    messages: z.coerce.number().int().nonnegative().default(0),
    deadline: positive.default(DEFAULT_CONFIG.deadlineMs),
    seed: z.coerce.number().int().nonnegative().default(1),
    costs: costs.default({}),
  })
  .strict();

export interface SimulationRequest {
  readonly algorithms: readonly string[];
  readonly config: SimulationConfig;
}

/**
 * Checks options and says which one is wrong.
 * @throws SwarmcutError `usage`, naming the field
 */
export function parseRequest(raw: Readonly<Record<string, unknown>>): SimulationRequest {
  const result = schema.safeParse(raw);
  if (!result.success) {
    const [issue] = result.error.issues;
    const field = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue?.path.join('.');
    throw new SwarmcutError('usage', `${field ?? 'options'}: ${issue?.message ?? 'not understood'}`, {
      advice: 'coordinator simulate --help lists the options and what they take',
    });
  }
  const { data } = result;
  const config: SimulationConfig = {
    ...DEFAULT_CONFIG,
    seed: data.seed,
    processes: data.processes,
    topology: data.topology,
    degree: data.degree,
    behaviour: data.behaviour,
    thinkMs: data.think,
    messageBytes: data.messageBytes,
    stateBytes: data.stateBytes,
    fifo: data.fifo,
    latencyMs: data.latency,
    jitterMs: data.jitter,
    intervalMs: data.interval,
    durationMs: data.duration,
    messageLimit: data.messages,
    deadlineMs: data.deadline,
    costs: { ...DEFAULT_COSTS, ...data.costs },
    faults: {
      ...NO_FAULTS,
      mtbfSeconds: data.mtbf,
      loss: data.loss,
      partitionsPerSecond: data.partitions,
      coordinatorCrashesPerSecond: data.coordinatorCrashes,
      coordinatorSlowness: data.slowness,
    },
  };
  checkTopology(config);
  return { algorithms: algorithmNames(data.algorithm), config };
}

function checkTopology({ topology, processes, degree }: SimulationConfig): void {
  if (topology === 'regular' && degree >= processes && processes > 2) {
    throw new SwarmcutError('usage', `degree: ${processes} processes cannot have ${degree} neighbours each`, {
      advice: `a degree below ${processes}`,
    });
  }
  try {
    neighbours(topology, processes, degree);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SwarmcutError('usage', cause.message, { advice: 'fewer processes, or --topology regular', cause });
  }
}

function algorithmNames(value: string | readonly string[]): string[] {
  const known = Object.keys(simulatedAlgorithms);
  const wanted = (typeof value === 'string' ? value.split(',') : [...value]).map((name) => name.trim());
  if (wanted.includes('all')) return known;
  for (const name of wanted) {
    if (!known.includes(name)) {
      throw new SwarmcutError('usage', `algorithm: there is no "${name}"`, {
        advice: `one of ${known.join(', ')}, all`,
      });
    }
  }
  return wanted;
}
