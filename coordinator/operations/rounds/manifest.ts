import type { Manifest, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { MANIFEST_SCHEMA_VERSION } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { InfoReply__Output } from '../../../src/rpc/generated/swarmcut/InfoReply.ts';
import type { Swarm } from '../../orchestrator/swarm/swarm.ts';
import type { RawSpec, Stack } from '../../orchestrator/swarm/types.ts';
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
}

/** What a stack needs besides its services, to be made again when it has been removed. */
export type StackResources = Pick<Manifest, 'networks' | 'configs' | 'secrets'>;

/** Reads the networks, configs and secrets that the services of a stack refer to. */
export async function readResources(swarm: Swarm, stack: Stack): Promise<StackResources> {
  const text = JSON.stringify(stack.services.map((service) => service.spec));
  const mentioned = ({ id, name }: { id: string; name: string }): boolean =>
    text.includes(`"${id}"`) || text.includes(`"${name}"`);
  const [networks, configs, secrets] = await Promise.all([swarm.networks(), swarm.configs(), swarm.secrets()]);
  return {
    networks: networks
      .map((network) => ({ ...network, id: network.Id, name: network.Name }))
      .filter((network) => network.Ingress !== true && network.Driver === 'overlay' && mentioned(network))
      .map((network) => {
        const subnets = (network.IPAM?.Config ?? []).flatMap((config) => config.Subnet ?? []);
        // The VXLAN id is Swarm's to choose when the network is made again.
        const { 'com.docker.network.driver.overlay.vxlanid_list': _vxlan, ...options } = network.Options ?? {};
        const spec: RawSpec = {
          Name: network.name,
          Driver: network.Driver,
          Internal: network.Internal ?? false,
          Attachable: network.Attachable ?? false,
          EnableIPv6: network.EnableIPv6 ?? false,
          IPAM: { Driver: 'default', Config: subnets.map((Subnet) => ({ Subnet })) },
          Options: options,
          Labels: network.Labels ?? {},
        };
        return { name: network.name, id: network.id, subnets, spec };
      }),
    configs: configs.filter(mentioned),
    secrets: secrets.filter(mentioned),
  };
}

/** Puts the manifest together. Pure but for the clock. */
export function buildManifest(input: ManifestInput): Manifest {
  const now = Date.now();
  return {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    id: input.id,
    stack: input.stack.name,
    algorithm: input.algorithm,
    epoch: input.epoch,
    startedAt: new Date(input.startedAtMs).toISOString(),
    committedAt: new Date(now).toISOString(),
    wallMs: now - input.startedAtMs,
    external: input.external,
    tasks: input.tasks.map(({ key, task, agent }) => {
      const checkpoint = input.checkpoints.get(key);
      if (checkpoint === undefined) throw new SwarmcutError('internal', `no checkpoint of ${key} was collected`);
      const image = input.stack.services.find((service) => service.id === task.serviceId)?.image ?? '';
      return { ...checkpoint, node: agent.node, imageDigest: image, addresses: [...task.addresses] };
    }),
    services: input.stack.services
      .filter((service) => service.mode !== 'job')
      .map(({ name, mode, spec }) => ({ name, mode: mode === 'global' ? 'global' : 'replicated', spec })),
    ...input.resources,
    versions: Object.fromEntries(
      input.infos.map((info) => [
        info.node,
        { swarmcut: info.version, kernel: info.kernel, criu: info.criu, runc: info.runc, engine: info.engine },
      ]),
    ),
  };
}
