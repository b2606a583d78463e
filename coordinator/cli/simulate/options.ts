import { z } from 'zod';
import { readDuration } from '../../../src/config/duration.ts';
import { lacksUnit, type Reading } from '../../../src/config/quantity.ts';
import { readBytesPerSecond, readSize } from '../../../src/config/size.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import {
  BEHAVIOURS,
  DEFAULT_CONFIG,
  DEFAULT_COSTS,
  DISTRIBUTIONS,
  NO_FAULTS,
  TOPOLOGIES,
  type SimulationConfig,
} from '../../../src/simulator/world/config.ts';
import { simulatedAlgorithms } from '../../../src/simulator/families.ts';
import { FUZZ_KINDS, type FuzzKind } from '../../../src/simulator/fuzz.ts';
import { neighbours } from '../../../src/simulator/world/topology.ts';

/** A number, also as text (the command line). Nothing else becomes one: `''`, `null` and `true` are mistakes. */
const number = <T extends z.ZodType>(schema: T): z.ZodPreprocess<T> =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value), schema);
const rate = number(z.number().nonnegative());
const positive = number(z.number().positive());
const whole = (min: number, max = Number.MAX_SAFE_INTEGER): z.ZodPreprocess<z.ZodNumber> =>
  number(z.number().int().min(min).max(max));

/** A number with its unit, read as labels and the other verbs read it. */
function quantity(kind: string, read: (text: string) => Reading, zero: boolean) {
  return z.unknown().transform((value, context): number => {
    const text = typeof value === 'number' || typeof value === 'string' ? String(value) : '';
    const reading = read(text);
    if ('value' in reading && (zero || reading.value > 0)) return reading.value;
    const message =
      'value' in reading
        ? `${text} is too little`
        : lacksUnit(text)
          ? `${text} has no unit`
          : `${JSON.stringify(value)} is no ${kind}`;
    context.addIssue({ code: 'custom', message, params: 'advice' in reading ? reading : { advice: 'more than zero' } });
    return z.NEVER;
  });
}

const duration = quantity('duration', readDuration, true);
const positiveDuration = quantity('duration', readDuration, false);
const size = quantity('size', readSize, true);
const bytesPerSecond = quantity('bandwidth', readBytesPerSecond, false);
const costs = z
  .object(Object.fromEntries(Object.keys(DEFAULT_COSTS).map((key) => [key, rate])))
  .partial()
  .strict();
const SEED_MAX = 2 ** 32 - 1;

/** What `coordinator simulate` takes, from the command line and from a YAML file: the same names, the same checks. */
const schema = z
  .object({
    algorithm: z.union([z.string(), z.array(z.string())]).default('all'),
    processes: whole(2, 100_000).default(DEFAULT_CONFIG.processes),
    topology: z.enum(TOPOLOGIES).default(DEFAULT_CONFIG.topology),
    degree: whole(1).optional(),
    behaviour: z.enum(BEHAVIOURS).default(DEFAULT_CONFIG.behaviour),
    think: positiveDuration.default(DEFAULT_CONFIG.thinkMs),
    messageSize: size.default(DEFAULT_CONFIG.messageBytes),
    stateSize: size.default(DEFAULT_CONFIG.stateBytes),
    fifo: z.union([z.boolean(), z.stringbool()], { error: 'yes or no' }).default(true),
    latency: duration.default(DEFAULT_CONFIG.latencyMs),
    jitter: duration.default(DEFAULT_CONFIG.jitterMs),
    jitterDistribution: z.enum(DISTRIBUTIONS).default(DEFAULT_CONFIG.jitterDistribution),
    bandwidth: bytesPerSecond.default(DEFAULT_CONFIG.bytesPerSecond),
    bandwidthDistribution: z.enum(DISTRIBUTIONS).default(DEFAULT_CONFIG.bandwidthDistribution),
    interval: duration.default(DEFAULT_CONFIG.intervalMs),
    mtbf: duration.default(0),
    loss: number(z.number().min(0).max(0.9)).default(0),
    partitions: rate.default(0),
    coordinatorCrashes: rate.default(0),
    agentCrashes: rate.default(0),
    reconnects: rate.default(0),
    slowness: positive.default(1),
    duration: positiveDuration.default(DEFAULT_CONFIG.durationMs),
    messages: whole(0).default(0),
    deadline: positiveDuration.default(DEFAULT_CONFIG.deadlineMs),
    seed: whole(0, SEED_MAX).default(1),
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
  if (!result.success) throw wrongField(result.error.issues);
  const { data } = result;
  const config: SimulationConfig = {
    ...DEFAULT_CONFIG,
    seed: data.seed,
    processes: data.processes,
    topology: data.topology,
    degree: data.degree ?? possibleDegree(data.processes),
    behaviour: data.behaviour,
    thinkMs: data.think,
    messageBytes: data.messageSize,
    stateBytes: data.stateSize,
    fifo: data.fifo,
    latencyMs: data.latency,
    jitterMs: data.jitter,
    jitterDistribution: data.jitterDistribution,
    bytesPerSecond: data.bandwidth,
    bandwidthDistribution: data.bandwidthDistribution,
    intervalMs: data.interval,
    durationMs: data.duration,
    messageLimit: data.messages,
    deadlineMs: data.deadline,
    costs: { ...DEFAULT_COSTS, ...data.costs },
    faults: {
      ...NO_FAULTS,
      mtbfSeconds: data.mtbf / 1000,
      loss: data.loss,
      partitionsPerSecond: data.partitions,
      coordinatorCrashesPerSecond: data.coordinatorCrashes,
      coordinatorSlowness: data.slowness,
      agentCrashesPerSecond: data.agentCrashes,
      reconnectsPerSecond: data.reconnects,
    },
  };
  checkTopology(config);
  return { algorithms: algorithmNames(data.algorithm), config };
}

/**
 * How many seeds `--fuzz` shall run.
 * @throws SwarmcutError `usage`
 */
export function parseSeeds(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new SwarmcutError('usage', `fuzz: "${text}" is not a number of seeds`, { advice: 'a whole number above 0' });
}

/**
 * What the runs of `--fuzz` are full of.
 * @throws SwarmcutError `usage`
 */
export function parseFuzzKind(text: string | undefined): FuzzKind {
  const kind = FUZZ_KINDS.find((one) => one === (text ?? 'mixed'));
  if (kind !== undefined) return kind;
  throw new SwarmcutError('usage', `fuzzKind: there is no "${text}"`, { advice: `one of ${FUZZ_KINDS.join(', ')}` });
}

function wrongField(issues: readonly z.core.$ZodIssue[]): SwarmcutError {
  const [issue] = issues;
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys : [];
  const path = issue?.path.map(String) ?? [];
  const field = unknown.length > 0 ? unknown.map((key) => [...path, key].join('.')).join(', ') : path.join('.');
  const message = unknown.length > 0 ? 'there is no such option' : (issue?.message ?? 'not understood');
  return new SwarmcutError('usage', `${field || 'options'}: ${message}`, {
    advice: adviceOf(issue) ?? 'coordinator simulate --help lists the options and what they take',
  });
}

function adviceOf(issue: z.core.$ZodIssue | undefined): string | undefined {
  const advice: unknown = issue?.code === 'custom' ? issue.params?.advice : undefined;
  return typeof advice === 'string' ? advice : undefined;
}

/** The default, or the largest even number below that of the processes. */
function possibleDegree(processes: number): number {
  return Math.max(2, Math.min(DEFAULT_CONFIG.degree, 2 * Math.floor((processes - 1) / 2)));
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
    throw new SwarmcutError('usage', cause.message, { advice: 'other --processes, --topology or --degree', cause });
  }
}

function algorithmNames(value: string | readonly string[]): string[] {
  const known = Object.keys(simulatedAlgorithms);
  const wanted = (typeof value === 'string' ? value.split(',') : [...value]).map((name) => name.trim());
  if (wanted.includes('all')) return known;
  if (wanted.length === 0) throw new SwarmcutError('usage', 'algorithm: none is named', { advice: 'a name, or all' });
  for (const name of wanted) {
    if (!known.includes(name)) {
      throw new SwarmcutError('usage', `algorithm: there is no "${name}"`, {
        advice: `one of ${known.join(', ')}, all`,
      });
    }
  }
  return [...new Set(wanted)];
}
