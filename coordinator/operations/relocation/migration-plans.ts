import type { TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { pairConnections, type CutTask } from '../../../src/model/cut.ts';
import { planNetworks, type LivePlan, type LiveTask, type RestoredTask } from '../../../src/model/network-plan.ts';
import { planProxies, type StayingTask } from '../../../src/model/proxy-plan.ts';
import type { StreamTask } from '../../../src/model/stream-cut.ts';
import { cutOfTasks, assertConsistentCut } from '../rounds/cut-check.ts';
import { overlaySubnets, type RoundTask } from '../rounds/participants.ts';
import { taskPlans, type TaskPlan } from './plans.ts';
import type { Arrival } from './arrivals.ts';

/** A migration after its final cut: who has moved where, and who stays. */
export interface Moved {
  readonly id: string;
  readonly stack: string;
  readonly epoch: number;
  /** The tasks have sidecars. */
  readonly proxied: boolean;
  readonly moving: readonly RoundTask[];
  readonly staying: readonly RoundTask[];
  /** By task key. */
  readonly checkpoints: ReadonlyMap<string, TaskCheckpoint>;
  readonly arrivals: ReadonlyMap<string, Arrival>;
}

export interface MigrationPlans {
  /** Of moving tasks, by key. */
  readonly plans: ReadonlyMap<string, TaskPlan>;
  /** What changes in tasks that stay, by key. */
  readonly live: ReadonlyMap<string, LivePlan>;
}

/** How the connections of moved tasks go on. */
export async function migrationPlans(moved: Moved): Promise<MigrationPlans> {
  return moved.proxied ? proxiedPlans(moved) : kernelPlans(moved);
}

/**
 * The cut of the moving tasks alone, as far as it can be judged: what a staying task has of a stream is compared when its sidecar is called.
 * @throws SwarmcutError `failed` when it is broken
 */
export function refuseBrokenMove({
  stack,
  staying,
  ...moved
}: Pick<Moved, 'stack' | 'moving' | 'staying' | 'checkpoints'>): void {
  assertConsistentCut(stack, cutOfTasks(cutTasks(moved), { partial: staying.length > 0 }));
}

async function kernelPlans(moved: Moved): Promise<MigrationPlans> {
  const tasks = restoredTasks(moved);
  const live = await Promise.all(
    moved.staying.map(async (staying): Promise<LiveTask> => {
      const { connections, aliases, rewrites } = await connectionsOf(moved.id, staying);
      const { key, task } = staying;
      return { key, connections, aliases, addresses: task.addresses, rewrites };
    }),
  );
  const planned = planNetworks({
    tasks,
    live,
    pairing: pairConnections([...tasks, ...live]),
    subnets: subnetsOf(moved),
  });
  return { plans: taskPlans(planned.plans, new Map(), new Set()), live: planned.live };
}

/** Sidecars of tasks that stay have parked their streams with those that move, and wait to be called: nothing changes in their tasks. */
async function proxiedPlans(moved: Moved): Promise<MigrationPlans> {
  const tasks = restoredTasks(moved).map((task) => ({ ...task, proxied: true }));
  const staying = await Promise.all(
    moved.staying.map(async (task): Promise<StayingTask> => {
      const { connections, aliases } = await connectionsOf(moved.id, task);
      return { key: task.key, connections, aliases, addresses: task.task.addresses };
    }),
  );
  const cut = cutOfTasks(tasks, { partial: staying.length > 0 });
  const networks = planNetworks({ tasks, pairing: cut.pairing, close: cut.halfOpen, subnets: subnetsOf(moved) }).plans;
  const proxies = planProxies({ stack: moved.stack, epoch: moved.epoch, tasks, staying });
  return { plans: taskPlans(networks, proxies, new Set(proxies.keys())), live: new Map() };
}

async function connectionsOf(
  restoreId: string,
  { ref, agent }: RoundTask,
): Promise<Pick<LiveTask, 'connections' | 'aliases' | 'rewrites'>> {
  const reply = await agent.connections({ restoreId, containerId: ref.containerId });
  return {
    connections: reply.connections as CutTask['connections'],
    aliases: reply.aliases,
    rewrites: reply.rewrites as LiveTask['rewrites'],
  };
}

function cutTasks({ moving, checkpoints }: Pick<Moved, 'moving' | 'checkpoints'>): (CutTask & StreamTask)[] {
  return moving.map(({ key, task }) => {
    const checkpoint = checkpoints.get(key);
    return {
      key,
      connections: checkpoint?.connections ?? [],
      aliases: checkpoint?.aliases ?? [],
      addresses: task.addresses,
      streams: checkpoint?.streams ?? [],
    };
  });
}

function restoredTasks(moved: Moved): (RestoredTask & StreamTask)[] {
  return cutTasks(moved).map((task) => ({
    ...task,
    newAddresses: moved.arrivals.get(task.key)?.task.addresses ?? [],
  }));
}

function subnetsOf({ arrivals }: Moved): string[] {
  return overlaySubnets([...arrivals.values()].map(({ task }) => task));
}
