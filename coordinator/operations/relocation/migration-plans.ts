import type { TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { pairConnections, type CutTask } from '../../../src/model/cuts/cut.ts';
import {
  planNetworks,
  type LivePlan,
  type LiveTask,
  type RestoredTask,
} from '../../../src/model/plans/network-plan.ts';
import { planProxies, type StayingTask } from '../../../src/model/plans/proxy-plan.ts';
import type { StreamTask } from '../../../src/model/cuts/stream-cut.ts';
import { cutOfTasks, assertConsistentCut } from '../rounds/cut-check.ts';
import { overlaySubnets, type RoundTask } from '../rounds/participants.ts';
import { taskPlans, type TaskPlan } from './plans.ts';
import type { Arrival } from './arrivals/arrivals.ts';

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
  /** What was in force in these before, by key. */
  readonly before: ReadonlyMap<string, Before>;
}

export type Before = Pick<LivePlan, 'rewrites' | 'former'>;

/** A task that stays, and what is in force in it. */
interface Staying extends LiveTask {
  readonly former: LivePlan['former'];
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
    moved.staying.map(async (staying): Promise<Staying> => {
      const { key, task } = staying;
      return { key, ...(await connectionsOf(moved.id, staying)), addresses: task.addresses };
    }),
  );
  const planned = planNetworks({
    tasks,
    live,
    pairing: pairConnections([...tasks, ...live]),
    subnets: subnetsOf(moved),
  });
  return { plans: taskPlans(planned.plans, new Map(), new Set()), live: planned.live, before: beforeOf(live) };
}

/**
 * Sidecars of tasks that stay have parked their streams with those that move, and wait to be called: nothing changes in their tasks but what sidecars
 * do not carry.
 */
async function proxiedPlans(moved: Moved): Promise<MigrationPlans> {
  const tasks = restoredTasks(moved).map((task) => ({ ...task, proxied: true }));
  const staying = await Promise.all(
    moved.staying.map(async (task): Promise<StayingTask & Staying> => {
      return { key: task.key, ...(await connectionsOf(moved.id, task)), addresses: task.task.addresses };
    }),
  );
  const cut = cutOfTasks(tasks, { partial: staying.length > 0 });
  const { plans: networks, live } = planNetworks({
    tasks,
    live: staying,
    pairing: cut.pairing,
    close: cut.halfOpen,
    subnets: subnetsOf(moved),
  });
  const proxies = planProxies({ stack: moved.stack, epoch: moved.epoch, tasks, staying });
  return { plans: taskPlans(networks, proxies, new Set(proxies.keys())), live, before: beforeOf(staying) };
}

function beforeOf(staying: readonly Staying[]): MigrationPlans['before'] {
  return new Map(staying.map(({ key, rewrites, former }) => [key, { rewrites: [...rewrites], former }]));
}

async function connectionsOf(
  restoreId: string,
  { ref, agent }: RoundTask,
): Promise<Pick<Staying, 'connections' | 'aliases' | 'rewrites' | 'datagrams' | 'former'>> {
  const reply = await agent.connections({ restoreId, containerId: ref.containerId });
  return {
    connections: reply.connections as CutTask['connections'],
    aliases: reply.aliases,
    rewrites: reply.rewrites as LiveTask['rewrites'],
    datagrams: reply.datagrams as NonNullable<LiveTask['datagrams']>,
    former: reply.former,
  };
}

function cutTasks({ moving, checkpoints }: Pick<Moved, 'moving' | 'checkpoints'>): (CutTask & StreamTask)[] {
  return moving.map(({ key, task }) => {
    const checkpoint = checkpoints.get(key);
    return {
      key,
      connections: checkpoint?.connections ?? [],
      datagrams: checkpoint?.datagrams ?? [],
      bound: checkpoint?.bound ?? [],
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
