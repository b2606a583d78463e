import type { Manifest } from '../../../src/model/checkpoint.ts';
import { planNetworks, type NetworkPlan, type RestoredTask } from '../../../src/model/plans/network-plan.ts';
import { planProxies, type ProxyPlan } from '../../../src/model/plans/proxy-plan.ts';
import type { StreamTask } from '../../../src/model/cuts/stream-cut.ts';
import { taskKey } from '../../../src/model/task.ts';
import { cutOf } from '../rounds/cut-check.ts';
import { overlaySubnets } from '../rounds/participants.ts';
import type { Arrival } from './arrivals/arrivals.ts';

/** How one task comes back. */
export interface TaskPlan {
  readonly network: NetworkPlan;
  /** Only for a task that had a sidecar. */
  readonly proxy: ProxyPlan | undefined;
}

export interface RestorePlans {
  /** By task key. */
  readonly plans: ReadonlyMap<string, TaskPlan>;
  /** Connections that will be reset. */
  readonly closed: number;
}

/**
 * How the connections of a whole snapshot travel between its tasks' new places.
 * @param taken virtual addresses that the services have now
 */
export function restorePlans(
  manifest: Manifest,
  arrivals: ReadonlyMap<string, Arrival>,
  taken: readonly string[] = [],
): RestorePlans {
  const cut = cutOf(manifest);
  const proxied = new Set(manifest.tasks.filter(hadSidecar).map(({ task }) => taskKey(task)));
  const tasks = cut.tasks.map((task) => ({
    ...task,
    newAddresses: arrivals.get(task.key)?.task.addresses ?? [],
    proxied: proxied.has(task.key),
  }));
  const subnets = overlaySubnets([...arrivals.values()].map(({ task }) => task));
  const networks = planNetworks({
    tasks: tasks satisfies RestoredTask[],
    pairing: cut.pairing,
    virtual: manifest.services.flatMap(({ name, virtual }) => {
      const behind = manifest.tasks.filter(({ task }) => task.service === name).map(({ task }) => taskKey(task));
      return virtual.map((one) => ({ ...one, service: name, tasks: behind }));
    }),
    taken,
    close: cut.halfOpen,
    subnets,
  }).plans;
  const proxies = planProxies({ stack: manifest.stack, epoch: manifest.epoch, tasks });
  const plans = taskPlans(networks, proxies, proxied);
  const closed = [...networks.values()].reduce((sum, { close }) => sum + close.length, -cut.halfOpen.length);
  return { plans, closed: closed + resetStreams(tasks, proxies) };
}

/** Each connection counts once. One that had ended at a task (`halfOpen`, or altogether) does not count there. */
function resetStreams(tasks: readonly StreamTask[], proxies: ReadonlyMap<string, ProxyPlan>): number {
  const reset = tasks.flatMap(({ key, streams }) => {
    const alive = new Set(streams.filter(({ endTaken }) => endTaken).map(({ id }) => id));
    const plans = proxies.get(key)?.streams ?? [];
    return plans.filter(({ action, id }) => action === 'RESET' && alive.has(id)).map(({ id }) => id);
  });
  return new Set(reset).size;
}

/** Puts the plans of each task together. @param proxied keys of the tasks that had a sidecar */
export function taskPlans(
  networks: ReadonlyMap<string, NetworkPlan>,
  proxies: ReadonlyMap<string, ProxyPlan>,
  proxied: ReadonlySet<string>,
): ReadonlyMap<string, TaskPlan> {
  return new Map(
    [...networks].map(([key, network]) => [key, { network, proxy: proxied.has(key) ? proxies.get(key) : undefined }]),
  );
}

/** Its sidecar's record is among its parts, also when it carried nothing. */
export function hadSidecar({ parts }: Pick<Manifest['tasks'][number], 'parts'>): boolean {
  return parts.some(({ kind }) => kind === 'CHANNELS');
}
