import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../src/platform/files.ts';
import type { BundleSpec } from './bundle-spec.ts';

/** `linux.resources` of a bundle's `config.json` (OCI runtime specification, "Control groups"); `devices` and the like are left alone. */
export interface Resources {
  readonly memory?: { readonly limit?: number; readonly swap?: number } & Readonly<Record<string, unknown>>;
  readonly cpu?: { readonly quota?: number; readonly period?: number } & Readonly<Record<string, unknown>>;
  readonly pids?: { readonly limit?: number };
  readonly [key: string]: unknown;
}

/** In the bundle, from when its limits were lifted until they are back. */
const LIFTED = 'swarmcut-resources.json';

/**
 * The spec of a container that is restored without limits of memory, processors and processes. At a restore runc puts CRIU itself into the container's
 * cgroup (libcontainer, `criuApplyCgroups`), where a task that is at its limits leaves no room for it: "Can't fork for 8: Resource temporarily
 * unavailable"; and a tenth of a processor makes a restore, and so the outage, ten times as long. What they were is written into the
 * bundle, for {@link returnLimits}.
 */
export async function withoutLimits(spec: BundleSpec, bundle: string): Promise<BundleSpec> {
  const resources = spec.linux?.resources as Resources | undefined;
  if (resources === undefined || !isLimited(resources)) return spec;
  await replaceFile(join(bundle, LIFTED), JSON.stringify(resources));
  const { limit: _limit, swap: _swap, ...memory } = resources.memory ?? {};
  const { quota: _quota, period: _period, ...cpu } = resources.cpu ?? {};
  const { pids: _pids, ...others } = resources;
  return { ...spec, linux: { ...spec.linux, resources: { ...others, memory, cpu } } };
}

function isLimited({ memory, cpu, pids }: Resources): boolean {
  return [memory?.limit, memory?.swap, cpu?.quota, pids?.limit].some((limit) => (limit ?? 0) > 0);
}

/**
 * Gives a restored container the limits that {@link withoutLimits} has taken away. Does nothing where there were none.
 * @param update as `Runc.update`
 */
export async function returnLimits(bundle: string, update: (resources: Resources) => Promise<void>): Promise<void> {
  const file = join(bundle, LIFTED);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const { memory, cpu, pids, blockIO, unified } = JSON.parse(text) as Resources;
  // All of them: what is left out `runc update` takes for no limit.
  await update({
    ...(memory === undefined ? {} : { memory }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(pids === undefined ? {} : { pids }),
    ...(blockIO === undefined ? {} : { blockIO }),
    ...(unified === undefined ? {} : { unified }),
  });
  await rm(file, { force: true });
}
