import type { Connection, RewriteEntry } from '../src/model/connection.ts';
import { SwarmcutError } from '../src/model/errors.ts';
import type { TaskRef } from '../src/model/task.ts';
import type { AgentImplementation } from '../src/rpc/index.ts';
import type { Containers } from './runtime/docker/containers.ts';
import { listConnections, listDatagramSockets, resetConnections } from './network/rewriting/connections.ts';
import { KernelInterceptor } from './network/interceptor.ts';
import type { IdentityService } from './identity/identity-service.ts';
import { findObstacles } from './obstacles/look.ts';
import type { NodeInfo } from './node-info.ts';
import type { FormerAddresses } from './network/former-addresses.ts';
import type { NetworkMemory } from './network/network-memory.ts';
import type { Repair } from './repair/repair.ts';
import type { Restores } from './restores/restores.ts';
import type { HeldTasks } from './tasks/held-tasks.ts';
import { relocation, round } from './tasks/holder.ts';
import type { KeptTasks } from './restores/kept-tasks.ts';
import type { Rounds } from './tasks/rounds.ts';
import type { Sidecars } from './sidecars/sidecars.ts';
import type { Ledger, Manifests, PartStore } from './checkpoints/store/index.ts';
import { preserveSnapshot } from './checkpoints/store/preserve.ts';
import { serveFetch } from './transfer/serve.ts';
import type { Tickets } from './transfer/tickets.ts';
import { partSealing, type PartSealing } from '../src/storage/encryption/part-sealing.ts';
import { KEY_BYTES, PartKeys } from '../src/storage/encryption/snapshot-key.ts';
import type { Directories } from '../src/model/paths.ts';
import type { PartEncryption__Output } from '../src/rpc/generated/swarmcut/PartEncryption.ts';
import { verifySnapshot } from './checkpoints/store/verify-snapshot.ts';
import { failPoint } from '../src/platform/fail-points.ts';

export interface AgentParts {
  readonly directories: Directories;
  readonly nodeInfo: NodeInfo;
  readonly containers: Containers;
  readonly rounds: Rounds;
  readonly restores: Restores;
  readonly held: HeldTasks;
  readonly kept: KeptTasks;
  readonly sidecars: Sidecars;
  readonly memory: NetworkMemory;
  readonly formerAddresses: FormerAddresses;
  readonly ledger: Ledger;
  readonly manifests: Manifests;
  readonly store: PartStore;
  readonly tickets: Tickets;
  readonly repair: Pick<Repair, 'run'>;
  readonly certificates: IdentityService;
}

/** What this agent answers to each call of proto/agent.proto. Nothing is decided here: calls are passed on to who does the work. */
export function agentService(parts: AgentParts): AgentImplementation {
  const {
    directories,
    nodeInfo,
    containers,
    rounds,
    restores,
    held,
    kept,
    sidecars,
    memory,
    formerAddresses,
    ledger,
    manifests,
    store,
    tickets,
    repair,
    certificates,
  } = parts;
  return {
    info: ({ preflight, peers }) => nodeInfo.info(preflight, peers),
    leftovers: ({ clear }) => repair.run(clear),
    look: async ({ containerId }) => {
      const facts = await containers.facts(containerId);
      return { obstacles: await findObstacles(facts, () => nodeInfo.dumpsOtherUsers()) };
    },

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
    collect: ({ snapshotId, task, inMemory, encryption }) =>
      rounds.collect(snapshotId, present(task), inMemory, sealingOf(encryption)),
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
      if (!ledger.has(snapshotId)) await manifests.forget(snapshotId);
      return {};
    },

    listSnapshots: () => ({
      snapshots: ledger.list().map((entry) => ({ ...entry, hasManifest: manifests.has(entry.snapshotId) })),
      removed: [...manifests.removals],
    }),
    keepManifest: async ({ snapshotId, manifest, signature, key }) => {
      ledger.get(snapshotId);
      await manifests.keep(snapshotId, { manifest, signature, key });
      return {};
    },
    manifest: async ({ snapshotId }) => {
      // Without parts it would speak of what is not there.
      ledger.get(snapshotId);
      return { snapshotId, ...(await manifests.read(snapshotId)) };
    },
    recorded: ({ snapshotId }) => {
      if (!ledger.has(snapshotId)) return {};
      const { stack, state, tasks } = ledger.get(snapshotId);
      return { stack, state, tasks: Object.values(tasks) };
    },
    verify: async ({ snapshotId, snapshotKey }, { signal }) =>
      verifySnapshot(ledger.get(snapshotId), { store, keys: partKeys(snapshotKey), scratch: directories.run, signal }),
    remove: async ({ snapshotId, removal }) => {
      // Remembered first: what is half removed is then removed to the end by whoever asks next.
      if (removal !== null) await manifests.noteRemoval({ ...removal, snapshotId });
      await ledger.remove(snapshotId);
      await manifests.forget(snapshotId);
      return {};
    },
    fetch: (request, context) => serveFetch(store, tickets, request, context),

    expect: async ({ restoreId, stack, services, sources }) => {
      await failPoint('agent.expect');
      restores.expect(restoreId, stack, services, sources);
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
    stage: async (
      { restoreId, containerId, savedTask, parts: wanted, sources, inMemory, ticket, snapshotKey },
      { signal },
    ) => {
      const saved = present(savedTask);
      const fetchedBytes = await restores.stage(
        restoreId,
        containerId,
        { saved, parts: wanted, sources, inMemory, ticket, keys: partKeys(snapshotKey) },
        signal,
      );
      return { fetchedBytes };
    },
    restore: async ({ restoreId, containerId, network, connections, proxy }) => {
      if (network === null) throw new SwarmcutError('usage', 'a restore needs a network plan');
      return { wallMs: await restores.restore(restoreId, containerId, network, connections as Connection[], proxy) };
    },
    releaseRestored: async ({ restoreId, containerId }) => {
      await failPoint('agent.release');
      await restores.releaseRestored(restoreId, containerId);
      return {};
    },
    abortRestore: async ({ restoreId, reason, servicesAreBack }) => {
      await failPoint('agent.abort-restore');
      tickets.end(restoreId);
      await restores.abort(restoreId, reason, servicesAreBack);
      kept.release(restoreId);
      return {};
    },
    endRestore: async ({ restoreId }) => {
      await failPoint('agent.end');
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
      await failPoint('agent.take-over');
      await held.takeOver(relocation(restoreId), round(snapshotId), containerId);
      return {};
    },
    prepareRetirement: async ({ restoreId, containerId, deadlineMs }) => {
      await failPoint('agent.prepare-retirement');
      await held.prepareRetirement(relocation(restoreId), containerId, deadlineMs);
      return {};
    },
    retire: async ({ restoreId, containerId }) => {
      await failPoint('agent.retire');
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
      const { aliases, rewrites, former } = await memory.recall(containerId);
      const [connections, datagrams] = await Promise.all([listConnections(facts.pid), listDatagramSockets(facts.pid)]);
      return { connections, datagrams, aliases, rewrites, former };
    },
    rewrite: async ({ containerId, rewrites, close, former }) => {
      const facts = await containers.facts(containerId);
      const entries = rewrites as RewriteEntry[];
      await new KernelInterceptor({ netns: facts.networkNamespace }).setRewrites(entries);
      const { aliases } = await memory.recall(containerId);
      await memory.remember(containerId, { aliases, rewrites: entries, former });
      await formerAddresses.lead(containerId, facts.networkNamespace, former);
      if (close.length > 0) await resetConnections(facts.networkNamespace, close as Connection[]);
      return {};
    },

    identity: () => certificates.identity(),
    trust: async (trust) => {
      await certificates.trust(trust);
      return {};
    },
    requestCertificate: async () => ({ request: await certificates.request() }),
    installCertificate: async ({ certificate }) => {
      await certificates.install(certificate);
      return {};
    },
  };
}

function present(task: TaskRef | null): TaskRef {
  if (task === null) throw new SwarmcutError('usage', 'the request names no task');
  return task;
}

/** @throws SwarmcutError `usage` for keys that are none: nothing may be stored as if it were encrypted */
function sealingOf(encryption: PartEncryption__Output | null): PartSealing | undefined {
  if (encryption === null) return undefined;
  const { snapshotKey, contentKey } = encryption;
  if (snapshotKey.length === KEY_BYTES && contentKey.length === KEY_BYTES) return partSealing(snapshotKey, contentKey);
  throw new SwarmcutError('usage', 'the request has no keys to encrypt with');
}

function partKeys(snapshotKey: Uint8Array): PartKeys | undefined {
  return snapshotKey.length === KEY_BYTES ? new PartKeys(snapshotKey) : undefined;
}
