import type { Manifest } from '../../src/model/checkpoint.ts';
import { planNetworks, type NetworkPlan, type RestoredTask } from '../../src/model/network-plan.ts';
import { cutOf } from '../rounds/cut-check.ts';
import { overlaySubnets } from '../rounds/participants.ts';
import type { Arrival } from './relocation.ts';

export interface RestorePlans {
  /** By task key. */
  readonly plans: ReadonlyMap<string, NetworkPlan>;
  /** Connections that will be reset. */
  readonly closed: number;
}

/** How the connections of a whole snapshot travel between its tasks' new places. */
export function restorePlans(manifest: Manifest, arrivals: ReadonlyMap<string, Arrival>): RestorePlans {
  const cut = cutOf(manifest);
  const tasks = cut.tasks.map((task): RestoredTask => ({
    ...task,
    newAddresses: arrivals.get(task.key)?.task.addresses ?? [],
  }));
  const subnets = overlaySubnets([...arrivals.values()].map(({ task }) => task));
  const { plans } = planNetworks({ tasks, pairing: cut.pairing, subnets });
  return { plans, closed: [...plans.values()].reduce((sum, plan) => sum + plan.close.length, 0) };
}
