import type { Connection, RewriteEntry } from '../src/model/connection.ts';
import { SwarmcutError } from '../src/model/errors.ts';
import type { TaskRef } from '../src/model/task.ts';
import type { AgentImplementation } from '../src/rpc/index.ts';
import type { Containers } from './runtime/docker/containers.ts';
import { listConnections, resetConnections } from './network/rewriting/connections.ts';
import { KernelInterceptor } from './network/interceptor.ts';
import type { NodeInfo } from './node-info.ts';
import type { NetworkMemory } from './network/network-memory.ts';
import type { Restores } from './restores/restores.ts';
import type { HeldTasks } from './tasks/held-tasks.ts';
import { relocation, round } from './tasks/holder.ts';
import type { KeptTasks } from './restores/kept-tasks.ts';
import type { Rounds } from './tasks/rounds.ts';
import type { Sidecars } from './sidecars/sidecars.ts';
import type { Ledger, PartStore } from './checkpoints/store/index.ts';
import { preserveSnapshot } from './checkpoints/store/preserve.ts';
import { serveFetch } from './transfer/serve.ts';
import type { Tickets } from './transfer/tickets.ts';
import { verifySnapshot } from './checkpoints/store/verify-snapshot.ts';

export interface AgentParts {
  readonly nodeInfo: NodeInfo;
  readonly containers: Containers;
  readonly rounds: Rounds;
  readonly restores: Restores;
  readonly held: HeldTasks;
  readonly kept: KeptTasks;
  readonly sidecars: Sidecars;
  readonly memory: NetworkMemory;
  readonly ledger: Ledger;
  readonly store: PartStore;
  readonly tickets: Tickets;
}

/** What this agent answers to each call of proto/agent.proto. Nothing is decided here: calls are passed on to who does the work. */
export function agentService(parts: AgentParts): AgentImplementation {
  const { nodeInfo, containers, rounds, restores, held, kept, sidecars, memory, ledger, store, tickets } = parts;
  return {
    info: ({ preflight }) => nodeInfo.info(preflight),

    attach: async ({ stack, services, tasks }) => ({ sidecars: await sidecars.attach(stack, services, tasks) }),
    detach: async ({ stack }) => {
      await sidecars.detach(stack);
      return {};
    },
    sidecars: async ({ stack }) => ({ sidecars: await sidecars.list(stack) }),

    prepare: async (request) => {
      await rounds.prepare({ ...request, task: present(request.task) });
      return {};
    },
    cut: async ({ snapshotId, task, epoch }, { signal }) => {
      // A coordinator that goes away while tasks stand still has given the round up.
      const abandon = (): void => void rounds.abort(snapshotId, 'its coordinator is gone').catch(() => undefined);
      signal.addEventListener('abort', abandon, { once: true });
      try {
        return { times: await rounds.cut(snapshotId, present(task), epoch) };
      } finally {
        signal.removeEventListener('abort', abandon);
      }
    },
    release: async ({ snapshotId, task }) => {
      await rounds.release(snapshotId, present(task));
      return {};
    },
    collect: ({ snapshotId, task, inMemory }) => rounds.collect(snapshotId, present(task), inMemory),
    preserve: async ({ snapshotId }) => {
      const begun = performance.now();
      const writtenBytes = await preserveSnapshot(snapshotId, ledger, store);
      return { writtenBytes, wallMs: Math.round(performance.now() - begun) };
    },
    finish: async ({ snapshotId }) => {
      await rounds.finish(snapshotId);
      return {};
    },
    abort: async ({ snapshotId, reason }) => {
      await rounds.abort(snapshotId, reason);
      return {};
    },

    listSnapshots: () => ({ snapshots: ledger.list() }),
    recorded: ({ snapshotId }) => {
      if (!ledger.has(snapshotId)) return {};
      const { stack, state, tasks } = ledger.get(snapshotId);
      return { stack, state, tasks: Object.values(tasks) };
    },
    verify: async ({ snapshotId }, { signal }) => verifySnapshot(ledger.get(snapshotId), store, signal),
    remove: async ({ snapshotId }) => {
      await ledger.remove(snapshotId);
      return {};
    },
    fetch: (request, context) => serveFetch(store, tickets, request, context),

    expect: ({ restoreId, stack, services }) => {
      restores.expect(restoreId, stack, services);
      return {};
    },
    watchRestore: ({ restoreId }, { signal }) => restores.watch(restoreId, signal),
    keep: async ({ restoreId, containerId, deadlineMs }) => {
      await kept.keep(restoreId, containerId, deadlineMs);
      return {};
    },
    pass: ({ restoreId, containerId }) => {
      restores.pass(restoreId, containerId);
      return {};
    },
    stage: async ({ restoreId, containerId, savedTask, parts: wanted, sources, inMemory, ticket }, { signal }) => {
      const saved = present(savedTask);
      const fetchedBytes = await restores.stage(
        restoreId,
        containerId,
        { saved, parts: wanted, sources, inMemory, ticket },
        signal,
      );
      return { fetchedBytes };
    },
    restore: async ({ restoreId, containerId, network, connections, proxy }) => {
      if (network === null) throw new SwarmcutError('usage', 'a restore needs a network plan');
      return { wallMs: await restores.restore(restoreId, containerId, network, connections as Connection[], proxy) };
    },
    releaseRestored: async ({ restoreId, containerId }) => {
      await restores.releaseRestored(restoreId, containerId);
      return {};
    },
    abortRestore: async ({ restoreId, reason, servicesAreBack }) => {
      tickets.end(restoreId);
      await restores.abort(restoreId, reason, servicesAreBack);
      kept.release(restoreId);
      return {};
    },
    endRestore: async ({ restoreId }) => {
      tickets.end(restoreId);
      await restores.end(restoreId);
      kept.release(restoreId);
      return {};
    },
    listRestores: () => ({ restores: restores.list() }),
    suspend: async ({ restoreId, containerId, deadlineMs }) => {
      await held.suspend(relocation(restoreId), containerId, deadlineMs);
      return {};
    },
    takeOver: async ({ restoreId, containerId, snapshotId }) => {
      await held.takeOver(relocation(restoreId), round(snapshotId), containerId);
      return {};
    },
    prepareRetirement: async ({ restoreId, containerId, deadlineMs }) => {
      await held.prepareRetirement(relocation(restoreId), containerId, deadlineMs);
      return {};
    },
    retire: async ({ restoreId, containerId }) => {
      await held.retire(relocation(restoreId), containerId);
      return {};
    },
    resume: async ({ restoreId, reason }) => {
      await held.release(relocation(restoreId), reason);
      kept.release(restoreId);
      return {};
    },
    connections: async ({ containerId }) => {
      const facts = await containers.facts(containerId);
      const { aliases, rewrites } = await memory.recall(containerId);
      return { connections: await listConnections(facts.pid), aliases, rewrites };
    },
    rewrite: async ({ containerId, rewrites, close }) => {
      const facts = await containers.facts(containerId);
      const entries = rewrites as RewriteEntry[];
      await new KernelInterceptor({ netns: facts.networkNamespace }).setRewrites(entries);
      const { aliases } = await memory.recall(containerId);
      await memory.remember(containerId, { aliases, rewrites: entries });
      if (close.length > 0) await resetConnections(facts.networkNamespace, close as Connection[]);
      return {};
    },
  };
}

function present(task: TaskRef | null): TaskRef {
  if (task === null) throw new SwarmcutError('usage', 'the request names no task');
  return task;
}
