import { parseArgs } from 'node:util';

export const ALGORITHMS = ['chandy-lamport', 'lai-yang'] as const;
export type AlgorithmName = (typeof ALGORITHMS)[number];

export const USAGE = `usage: npm run test:soak -- [options]

A bank under load on a test bed of its own: snapshots, restores and migrations without pause, with faults and Swarm events in between.

  --minutes N       for how long, all algorithms together (default 10)
  --operations N    instead: so many restores and migrations, each with a random kill or Swarm event or both
  --rate N          transfers a second that each of the bank's four tasks begins (default: as its compose file says; 0: as many as it can)
  --seed S          repeats a run's choices (default: a random one, which is printed)
  --algorithm NAME  chandy-lamport, lai-yang or both (default), one after the other
  --go-on           after a failure, deploy the bank anew and go on, instead of ending
  --name BED        name of the test bed (default soak, or SWARMCUT_BED)
  --keep            leave the bed up at the end
  --logs DIR        where logs of failing operations go (default soak-results/<time>)
  --json            the figures as JSON on standard output; the lines go to standard error

exit code: 0 all well, 1 something was lost, stood still, failed or grew (the reason is printed), 2 wrong usage, 130 interrupted`;

export interface SoakOptions {
  /** For how long, each algorithm; undefined when operations are counted. */
  readonly milliseconds: number | undefined;
  /** How many restores and migrations, each algorithm; undefined when it goes by time. */
  readonly operations: number | undefined;
  /** Transfers a second and task; undefined: as the compose file says. */
  readonly rate: number | undefined;
  readonly seed: number;
  readonly algorithms: readonly AlgorithmName[];
  readonly goOn: boolean;
  readonly bed: string;
  readonly keep: boolean;
  readonly logs: string;
  readonly json: boolean;
}

/** @returns undefined when help is asked for @throws Error that says what is wrong with the command line */
export function readArguments(
  argv: string[],
  surroundings: { readonly env: NodeJS.ProcessEnv; readonly now: Date; readonly randomSeed: number },
): SoakOptions | undefined {
  const { values } = parseArgs({
    args: argv,
    options: {
      minutes: { type: 'string' },
      operations: { type: 'string' },
      rate: { type: 'string' },
      seed: { type: 'string' },
      algorithm: { type: 'string', default: 'both' },
      'go-on': { type: 'boolean', default: false },
      name: { type: 'string' },
      keep: { type: 'boolean', default: false },
      logs: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (values.minutes !== undefined && values.operations !== undefined)
    throw new Error('--minutes and --operations: only one of the two');
  const algorithms = ALGORITHMS.filter((name) => values.algorithm === 'both' || values.algorithm === name);
  if (algorithms.length === 0)
    throw new Error(`--algorithm ${values.algorithm}: it is ${ALGORITHMS.join(', ')} or both`);
  const minutes = positive('--minutes', values.minutes ?? '10');
  const operations = values.operations === undefined ? undefined : positive('--operations', values.operations);
  const { env, now, randomSeed } = surroundings;
  const bed = env.SWARMCUT_BED ?? '';
  return {
    milliseconds: operations === undefined ? (minutes * 60_000) / algorithms.length : undefined,
    operations: operations === undefined ? undefined : Math.ceil(operations / algorithms.length),
    rate: values.rate === undefined ? undefined : whole('--rate', values.rate),
    seed: values.seed === undefined ? randomSeed : whole('--seed', values.seed),
    algorithms,
    goOn: values['go-on'],
    bed: values.name ?? (bed === '' ? 'soak' : bed),
    keep: values.keep,
    logs: values.logs ?? `soak-results/${now.toISOString().replaceAll(':', '-')}`,
    json: values.json,
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`${option} ${text}: expected a number above 0`);
  return value;
}

function whole(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`${option} ${text}: expected a whole number from 0 up`);
  return value;
}
