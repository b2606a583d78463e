import type { Manifest, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { ENCRYPTED_SCHEMA_VERSION, MANIFEST_SCHEMA_VERSION } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { InfoReply__Output } from '../../../src/rpc/generated/swarmcut/InfoReply.ts';
import type { Stack, StackResources } from '../../orchestrator/index.ts';
import type { RoundTask } from './participants.ts';

export interface ManifestInput {
  readonly id: string;
  readonly stack: Stack;
  readonly algorithm: string;
  readonly epoch: number;
  readonly startedAtMs: number;
  readonly external: 'close' | 'refuse';
  readonly tasks: readonly RoundTask[];
  readonly checkpoints: ReadonlyMap<string, TaskCheckpoint>;
  readonly infos: readonly InfoReply__Output[];
  readonly resources: StackResources;
  /** Which key wraps those of the parts. */
  readonly snapshotKey: string | undefined;
  /** The final cut of a migration. */
  readonly migration?: true;
}

/** Puts the manifest together. Pure but for the clock. */
export function buildManifest(input: ManifestInput): Manifest {
  const now = Date.now();
  return {
    schemaVersion: input.snapshotKey === undefined ? MANIFEST_SCHEMA_VERSION : ENCRYPTED_SCHEMA_VERSION,
    id: input.id,
    stack: input.stack.name,
    algorithm: input.algorithm,
    epoch: input.epoch,
    startedAt: new Date(input.startedAtMs).toISOString(),
    committedAt: new Date(now).toISOString(),
    wallMs: now - input.startedAtMs,
    external: input.external,
    ...(input.snapshotKey === undefined ? {} : { encryption: { snapshotKey: input.snapshotKey } }),
    ...(input.migration === undefined ? {} : { migration: input.migration }),
    tasks: input.tasks.map(({ key, task, agent }) => {
      const checkpoint = input.checkpoints.get(key);
      if (checkpoint === undefined) throw new SwarmcutError('internal', `no checkpoint of ${key} was collected`);
      const image = input.stack.services.find((service) => service.id === task.serviceId)?.image ?? '';
      return { ...checkpoint, node: agent.node, imageDigest: image, addresses: [...task.addresses] };
    }),
    // A job that has ended is a service without tasks; its spec says what it is.
    services: input.stack.services.map(({ name, mode, spec, virtualAddresses = [] }) => ({
      name,
      mode: mode === 'global' ? 'global' : 'replicated',
      spec,
      virtual: virtualAddresses.flatMap(({ networkId, address }) => {
        const network = networkName(input.stack, networkId);
        return network === undefined ? [] : [{ address, network }];
      }),
    })),
    ...input.resources,
    versions: Object.fromEntries(
      input.infos.map((info) => [
        info.node,
        { swarmcut: info.version, kernel: info.kernel, criu: info.criu, runc: info.runc, engine: info.engine },
      ]),
    ),
  };
}

/** Only networks between tasks: what leads in from outside has virtual addresses, too. */
function networkName({ tasks }: Stack, id: string): string | undefined {
  return tasks.flatMap(({ networks }) => networks).find((network) => network.id === id)?.name;
}
