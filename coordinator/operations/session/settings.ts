import { algorithms, DEFAULT_ALGORITHM, PROXY_ALGORITHMS } from '../../../src/algorithms/index.ts';
import { LABELS, stackSettings as settingsFromLabels, type StackSettings } from '../../../src/config/labels.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { nearest } from '../../../src/model/near.ts';
import type { ClusterService, Stack } from '../../orchestrator/index.ts';
import type { SnapshotOptions } from './reports.ts';

/** What a stack gets whose labels say nothing. */
export const DEFAULT_SETTINGS: StackSettings = {
  algorithm: DEFAULT_ALGORITHM,
  external: 'close',
  freezeTimeoutMs: 60_000,
  encrypt: 'optional',
};

/** The settings of a stack: its labels, then what the command line says. */
export function stackSettings(stack: Stack, options: SnapshotOptions = {}): StackSettings {
  const known = Object.keys(algorithms);
  if (options.algorithm !== undefined && !known.includes(options.algorithm)) {
    const near = nearest(options.algorithm, known);
    throw new SwarmcutError('usage', `there is no algorithm named ${options.algorithm}`, {
      advice: near.length > 0 ? `did you mean ${near.join(' or ')}?` : `known are ${known.join(', ')}`,
    });
  }
  const settings = settingsFromLabels(
    stack.name,
    stack.services.map((service) => ({
      service: service.name,
      deploy: service.labels,
      container: service.containerLabels,
    })),
    { algorithms: known, defaults: DEFAULT_SETTINGS },
  );
  return {
    algorithm: options.algorithm ?? settings.algorithm,
    external: settings.external,
    encrypt: settings.encrypt,
    freezeTimeoutMs: options.freezeTimeoutMs ?? settings.freezeTimeoutMs,
  };
}

/** The services whose tasks get a sidecar: those that declare an algorithm of the proxy themselves, on the service or on its containers. */
export function proxiedServices(stack: Stack): readonly ClusterService[] {
  return stack.services.filter(
    ({ mode, labels, containerLabels }) =>
      mode !== 'job' &&
      [labels[LABELS.algorithm], containerLabels[LABELS.algorithm]].some((name) =>
        PROXY_ALGORITHMS.includes(name ?? ''),
      ),
  );
}

/**
 * Sees to it that a round with sidecars can take in every task.
 * @throws SwarmcutError `precondition`, naming the services that get no sidecar since they do not declare it
 */
export function refuseUndeclared(stack: Stack, algorithm: string): void {
  const proxied = new Set(proxiedServices(stack).map(({ id }) => id));
  const silent = stack.services
    .filter((service) => service.mode !== 'job' && !proxied.has(service.id) && !isIdle(stack, service))
    .map(({ name }) => name);
  if (silent.length === 0) return;
  throw new SwarmcutError(
    'precondition',
    `${algorithm} needs a sidecar beside every task, and ${silent.join(', ')} ${silent.length === 1 ? 'declares' : 'declare'} none`,
    {
      where: { stack: stack.name },
      advice: `give ${silent.length === 1 ? 'it' : 'each'} the label ${LABELS.algorithm}: ${algorithm} under \`labels\`, or take this snapshot with --algorithm ${DEFAULT_ALGORITHM}`,
    },
  );
}

/** Whether it has no task, and is to have none: all have done their work, or it is scaled to 0. */
function isIdle({ ended }: Stack, { id, mode, replicas }: ClusterService): boolean {
  return mode === 'replicated' && replicas <= (ended?.get(id) ?? 0);
}
