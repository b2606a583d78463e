import { SwarmcutError } from '../model/errors.ts';
import { nearest } from '../model/near.ts';
import { excerpt, firstFew } from '../model/visible.ts';
import { durationAdvice, parseDurationMs } from './duration.ts';

/** Every label of ours begins like this; the rest of the name is not free to use. */
export const LABEL_PREFIX = 'swarmcut.';

/** Docker's: set by `docker stack deploy` on everything of a stack. */
export const STACK_LABEL = 'com.docker.stack.namespace';

/** Every label that means something, and where. Values in the order of docs. */
export const LABELS = {
  /** Name of a checkpoint algorithm. */
  algorithm: 'swarmcut.algorithm',
  /** What a restore does with connections that lead out of the snapshot: `close` or `refuse`. */
  external: 'swarmcut.external',
  /** Longest time that a task may stay frozen: a duration such as `30s`. */
  freezeTimeout: 'swarmcut.freeze-timeout',
  /** Whether snapshots must be encrypted: `required` or `optional`. */
  encrypt: 'swarmcut.encrypt',
  /**
   * `keep`: programs that ask for Multipath TCP get it, and cannot be snapshotted then. `tcp`, the default wherever there is a label of ours:
   * they get TCP. Only on containers: nodes do not see those of services.
   */
  mptcp: 'swarmcut.mptcp',
} as const;

/** The longest freeze that may be asked for. TCP peers outside give up after some minutes. */
const MAX_FREEZE_TIMEOUT_MS = 10 * 60_000;

/** Labels of one service as Swarm's API or a compose file has them. */
export interface ServiceLabels {
  readonly service: string;
  /** `deploy.labels`: on the service. */
  readonly deploy: Readonly<Record<string, string>>;
  /** `labels`: on its containers. Those of the service win. */
  readonly container: Readonly<Record<string, string>>;
}

/** What the labels of a whole stack come to. */
export interface StackSettings {
  readonly algorithm: string;
  readonly external: 'close' | 'refuse';
  readonly freezeTimeoutMs: number;
  /** `required`: without an encryption key there is no snapshot. */
  readonly encrypt: 'required' | 'optional';
}

/** What is known about algorithms by whoever asks: this folder knows none. */
export interface LabelContext {
  readonly algorithms: readonly string[];
  readonly defaults: StackSettings;
}

/** Something wrong with one label. */
export interface LabelProblem {
  readonly label: string;
  readonly message: string;
  readonly advice?: string;
}

/** Checks one label of ours; nothing for labels that are not ours. */
export function checkLabel(label: string, value: string, algorithms: readonly string[]): LabelProblem | undefined {
  if (!label.startsWith(LABEL_PREFIX)) return undefined;
  switch (label) {
    case LABELS.algorithm:
      return algorithms.includes(value)
        ? undefined
        : unknownValue(label, value, algorithms, `there is no algorithm "${excerpt(value)}"`);
    case LABELS.external:
      return value === 'close' || value === 'refuse'
        ? undefined
        : unknownValue(label, value, ['close', 'refuse'], `${label} is "${excerpt(value)}"`);
    case LABELS.encrypt:
      return value === 'required' || value === 'optional'
        ? undefined
        : unknownValue(label, value, ['required', 'optional'], `${label} is "${excerpt(value)}"`);
    case LABELS.mptcp:
      return value === 'keep' || value === 'tcp'
        ? undefined
        : unknownValue(label, value, ['tcp', 'keep'], `${label} is "${excerpt(value)}"`);
    case LABELS.freezeTimeout:
      return freezeTimeoutProblem(label, value);
    default: {
      const known = Object.values(LABELS);
      const [near] = nearest(label, known);
      return {
        label,
        message: `there is no label ${excerpt(label)}`,
        advice: near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`,
      };
    }
  }
}

/**
 * The settings of a stack from the labels of its services. All services must agree; one that says nothing goes with the others.
 * @throws SwarmcutError `usage` for a wrong label (the service is named), `conflict` when services disagree (all are named).
 */
export function stackSettings(stack: string, services: readonly ServiceLabels[], context: LabelContext): StackSettings {
  for (const service of services) {
    for (const [label, value] of [...Object.entries(service.deploy), ...Object.entries(service.container)]) {
      const problem = checkLabel(label, value, context.algorithms);
      if (problem !== undefined) {
        throw new SwarmcutError('usage', problem.message, {
          where: { stack, service: service.service },
          ...(problem.advice === undefined ? {} : { advice: problem.advice }),
        });
      }
    }
  }
  const external = agreed(stack, services, LABELS.external);
  const encrypt = agreed(stack, services, LABELS.encrypt);
  const freezeTimeout = agreed(stack, services, LABELS.freezeTimeout, parseDurationMs);
  return {
    algorithm: agreed(stack, services, LABELS.algorithm) ?? context.defaults.algorithm,
    external: external === 'close' || external === 'refuse' ? external : context.defaults.external,
    encrypt: encrypt === 'required' || encrypt === 'optional' ? encrypt : context.defaults.encrypt,
    freezeTimeoutMs:
      (freezeTimeout === undefined ? undefined : parseDurationMs(freezeTimeout)) ?? context.defaults.freezeTimeoutMs,
  };
}

/** The value of one label for a service: that of the service wins over that of its containers. */
export function labelOf(service: ServiceLabels, label: string): string | undefined {
  return service.deploy[label] ?? service.container[label];
}

/** Who says what about one label, by value; `same` tells values apart that are written differently. */
export function opinions(
  services: readonly ServiceLabels[],
  label: string,
  same: (value: string) => unknown = (value) => value,
): { readonly value: string; readonly services: readonly string[] }[] {
  const found = new Map<unknown, { value: string; services: string[] }>();
  for (const service of services) {
    const value = labelOf(service, label);
    if (value === undefined) continue;
    const opinion = found.get(same(value));
    if (opinion === undefined) found.set(same(value), { value, services: [service.service] });
    else opinion.services.push(service.service);
  }
  return [...found.values()];
}

/** How many opinions, and services of each, are named in a message. */
const NAMED = 8;

/** `lai-yang: bank_a, bank_b; sync: bank_c`. */
export function opinionsText(all: ReturnType<typeof opinions>): string {
  return firstFew(
    all.map(({ value, services }) => {
      const names = services.map((name) => excerpt(name));
      return `${excerpt(value)}: ${firstFew(names, { most: NAMED })}`;
    }),
    { separator: '; ', most: NAMED },
  );
}

function agreed(
  stack: string,
  services: readonly ServiceLabels[],
  label: string,
  same?: (value: string) => unknown,
): string | undefined {
  const all = opinions(services, label, same);
  if (all.length > 1) {
    throw new SwarmcutError('conflict', `the services of the stack disagree about ${label}: ${opinionsText(all)}`, {
      where: { stack },
      advice: 'give them the same value: a consistent cut has one algorithm and one set of rules',
    });
  }
  return all[0]?.value;
}

function unknownValue(label: string, value: string, known: readonly string[], message: string): LabelProblem {
  const [near] = nearest(value, known);
  return { label, message, advice: near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?` };
}

function freezeTimeoutProblem(label: string, value: string): LabelProblem | undefined {
  const milliseconds = parseDurationMs(value);
  if (milliseconds === undefined) {
    return { label, message: `${label} is "${excerpt(value)}", which is no duration`, advice: durationAdvice(value) };
  }
  if (milliseconds <= MAX_FREEZE_TIMEOUT_MS) return undefined;
  return { label, message: `${label} is ${excerpt(value)}: too long`, advice: 'at most 10m' };
}
