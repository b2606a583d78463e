import { existsSync } from 'node:fs';
import { STACK_LABEL } from '../../src/config/labels.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { inNetwork, runProcess } from '../../src/platform/processes.ts';
import { PROXY_TABLE } from '../linux/proxy-table.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import { detachScript, routeUndoLines } from '../network/proxy-rules.ts';
import { TABLE } from '../network/rules.ts';
import { findDeadmen } from '../runtime/criu/deadman.ts';
import { findRuncRoot, Runc } from '../runtime/criu/runc.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import type { Expectations } from '../runtime/shim/expectations.ts';
import type { Standstills } from '../runtime/shim/standstills.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import type { Registrations } from '../sidecars/registrations.ts';
import type { HeldTasks } from '../tasks/held-tasks.ts';
import type { Journal } from '../tasks/journal.ts';
import type { Leftover } from './leftover.ts';

export interface TaskParts {
  readonly runDir: string;
  readonly containers: Pick<Containers, 'engine'>;
  readonly held: Pick<HeldTasks, 'holderOf'>;
  readonly journal: Pick<Journal, 'entries' | 'forget'>;
  readonly standstills: Pick<Standstills, 'unmark'>;
  readonly expectations: Pick<Expectations, 'isMoved'>;
  readonly sidecars: Pick<Sidecars, 'of' | 'ensure' | 'release'>;
  readonly registrations: Pick<Registrations, 'declares'>;
}

/** A running container, as it is now. */
interface Found {
  readonly id: string;
  readonly service: string;
  readonly stack: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly frozen: boolean;
  /** The rules in its network namespace. */
  readonly ours: string;
  readonly sidecars: string;
  readonly routes: string;
}

/** Tasks that stand still, or in which rules are left, for no operation. One that somebody has paused with `docker pause` is none. */
export async function tasksLeft(parts: TaskParts): Promise<Leftover[]> {
  const running = (await parts.containers.engine.listContainers()).filter(({ State }) => State === 'running');
  const inDoubt = new Set(
    (await parts.journal.entries()).filter((entry) => entry.inDoubt === true).map(({ containerId }) => containerId),
  );
  const found = await Promise.all(
    running.map(async ({ Id, Labels }) => {
      const task = await look(Id, Labels);
      return task === undefined ? [] : judge(parts, task, inDoubt);
    }),
  );
  return found.flat();
}

/** @returns undefined for one that ends just now */
async function look(id: string, labels: Readonly<Record<string, string>>): Promise<Found | undefined> {
  try {
    const { pid, status } = await new Runc({ root: await findRuncRoot(id) }).state(id);
    const netns = `/proc/${pid}/ns/net`;
    const inside = (...command: string[]): Promise<string> => runProcess(inNetwork(netns, command)).catch(() => '');
    const [ours, sidecars, routes] = await Promise.all([
      inside('nft', 'list', 'table', ...TABLE.split(' ')),
      inside('nft', 'list', 'table', ...PROXY_TABLE.split(' ')),
      inside('ip', 'route', 'show'),
    ]);
    const service = labels['com.docker.swarm.service.name'] ?? id.slice(0, 12);
    return {
      id,
      service,
      stack: labels[STACK_LABEL],
      labels,
      pid,
      frozen: status === 'paused',
      ours,
      sidecars,
      routes,
    };
  } catch (error) {
    if (error instanceof SwarmcutError && error.code === 'not-found') return undefined;
    throw error;
  }
}

function judge(parts: TaskParts, task: Found, inDoubt: ReadonlySet<string>): Leftover[] {
  const { id, service, stack, frozen, ours, routes } = task;
  const holder = parts.held.holderOf(id);
  const moved = parts.expectations.isMoved(id) && (frozen || holder !== undefined);
  const inUse =
    holder ??
    (inDoubt.has(id)
      ? 'it stands still until it is known whether its successor runs'
      : moved
        ? 'it has moved away, and stands still until the engine ends it'
        : undefined);
  const blocked = /set blocked_(out|in) \{[^}]*elements/.test(ours);
  const attached = /chain (block|colour)_/.test(ours) || routes.includes('rto_min');
  const common = { subject: id, stack, inUse };
  const release = (): Promise<void> => letGo(parts, task);
  const found: Leftover[] = [];
  if (frozen) found.push({ ...common, kind: 'frozen task', detail: `${service} is frozen`, clear: release });
  else if (blocked)
    found.push({ ...common, kind: 'blocked task', detail: `${service} is cut off from the network`, clear: release });
  else if (attached)
    found.push({
      ...common,
      kind: 'rules of a round',
      detail: `${service} has rules of a round that is over`,
      clear: release,
    });
  if (task.sidecars !== '' && parts.sidecars.of(id) === undefined)
    found.push({
      ...common,
      kind: 'rules of a sidecar',
      detail: `${service} has the rules of a sidecar, and no sidecar`,
      clear: () => withoutSidecar(parts, task),
    });
  return found;
}

/** As a restarted agent does: unblock, thaw, detach. */
async function letGo(parts: TaskParts, { id, pid }: Found): Promise<void> {
  const holder = parts.held.holderOf(id);
  if (holder !== undefined) throw new SwarmcutError('conflict', `${holder} has it now`);
  const interceptor = new KernelInterceptor({ netns: `/proc/${pid}/ns/net` });
  await interceptor.unblock();
  await new Runc({ root: await findRuncRoot(id) }).resume(id);
  await interceptor.recover();
  for (const deadman of await findDeadmen(parts.runDir)) if (deadman.containerId === id) await deadman.cancel();
  await parts.sidecars.release(id);
  parts.standstills.unmark(id);
  await parts.journal.forget(id);
}

/** It gets its sidecar if it is to have one; else the rules go. */
async function withoutSidecar(
  { sidecars, registrations }: TaskParts,
  { id, service, labels, pid }: Found,
): Promise<void> {
  if (registrations.declares(service, labels)) {
    await sidecars.ensure(id);
    return;
  }
  const netns = `/proc/${pid}/ns/net`;
  if (!existsSync(netns)) return;
  await runProcess(inNetwork(netns, ['nft', '-f', '-']), detachScript());
  // Some may have nothing to do.
  const ip = inNetwork(netns, ['ip', '-4', '-force', '-batch', '-']);
  await runProcess(ip, `${routeUndoLines().join('\n')}\n`).catch(() => undefined);
}
