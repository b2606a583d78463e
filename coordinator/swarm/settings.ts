import { algorithms, DEFAULT_ALGORITHM } from '../../src/algorithms/index.ts';
import { stackSettings as settingsFromLabels, type StackSettings } from '../../src/config/labels.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { nearest } from '../../src/model/near.ts';
import type { SnapshotOptions } from '../api.ts';
import type { Stack } from './types.ts';

/** What a stack gets whose labels say nothing. */
export const DEFAULT_SETTINGS: StackSettings = {
  algorithm: DEFAULT_ALGORITHM,
  external: 'close',
  freezeTimeoutMs: 60_000,
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
    freezeTimeoutMs: options.freezeTimeoutMs ?? settings.freezeTimeoutMs,
  };
}
