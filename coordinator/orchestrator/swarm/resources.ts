import { createHash } from 'node:crypto';
import type { Manifest } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { Resources, ServiceSpec, Stack, StackResources } from '../index.ts';
import type { Engine } from './engine.ts';
import { referencesOf, withConfigNames, withIds } from './specs.ts';
import { apartFromFormer } from './apart.ts';

/** Reads the networks, configs and secrets that the services of a stack refer to. */
export async function readResources(engine: Engine, stack: Stack): Promise<StackResources> {
  const referred = referencesOf(stack.services.map((service) => service.spec));
  const [networks, configs, secrets] = await Promise.all([engine.networks(), engine.configs(), engine.secrets()]);
  return {
    networks: networks
      .map((network) => ({ ...network, id: network.Id, name: network.Name }))
      .filter((network) => network.Ingress !== true && network.Driver === 'overlay')
      .filter(({ id, name }) => referred.networks.has(id) || referred.networks.has(name))
      .map((network) => {
        const subnets = (network.IPAM?.Config ?? []).flatMap((config) => config.Subnet ?? []);
        // The VXLAN id is Swarm's to choose when the network is made again.
        const { 'com.docker.network.driver.overlay.vxlanid_list': _vxlan, ...options } = network.Options ?? {};
        const spec: ServiceSpec = {
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
    configs: configs.filter(({ id }) => referred.configs.has(id)),
    secrets: secrets.filter(({ id }) => referred.secrets.has(id)),
  };
}

/**
 * Makes sure that the networks, configs and secrets that the saved services refer to exist. Networks and configs that are gone are made again; a
 * config that has other contents now is made again under another name. Secrets cannot be, since Swarm never gives their contents away: the
 * agents find out whether one that was made again is the same (agent/surroundings/given.ts).
 * @throws SwarmcutError `precondition` for a missing secret; nothing has been made then
 */
export async function ensureResources(
  engine: Engine,
  manifest: Manifest,
  warn: (message: string) => void,
): Promise<Resources> {
  const [networks, configs, secrets] = await Promise.all([engine.networks(), engine.configs(), engine.secrets()]);
  const ids = new Map<string, string>();
  const configNames = new Map<string, string>();
  const undos: (() => Promise<void>)[] = [];
  for (const { name, id } of manifest.secrets) {
    const present = secrets.find((secret) => secret.name === name);
    if (present === undefined) {
      throw new SwarmcutError('precondition', `secret ${name} of the snapshot is gone, and secrets cannot be saved`, {
        where: { stack: manifest.stack },
        advice: `create it again (\`docker secret create ${name} FILE\`), then restore`,
      });
    }
    ids.set(id, present.id);
  }
  const undo = async (): Promise<void> => {
    for (const step of undos.splice(0).reverse()) await step().catch(() => undefined);
  };
  try {
    for (const { name, id, spec } of manifest.networks) {
      const present = networks.find((network) => network.Name === name);
      if (present !== undefined) {
        ids.set(id, present.Id);
        continue;
      }
      const made = await createNetwork(engine, name, apartFromFormer(manifest, name, spec), warn);
      undos.push(() => engine.removeNetwork(made));
      ids.set(id, made);
    }
    for (const saved of manifest.configs) {
      const same = sameConfig(saved, configs);
      if (same !== undefined) {
        ids.set(saved.id, same.id);
        configNames.set(same.id, same.name);
        continue;
      }
      const taken = configs.some(({ name }) => name === saved.name);
      const name = taken ? nameByContents(saved) : saved.name;
      if (taken)
        warn(`config ${saved.name} has other contents now: the restored tasks get those of the snapshot, as ${name}`);
      const made = await engine.createConfig({ ...saved.spec, Name: name });
      undos.push(() => engine.removeConfig(made));
      ids.set(saved.id, made);
      configNames.set(made, name);
    }
  } catch (error) {
    await undo();
    throw error;
  }
  return { translate: (spec) => withConfigNames(withIds(spec, ids), configNames), undo };
}

type Config = Manifest['configs'][number];

/** One that has these contents: itself, or one that was made again under its name, or by an earlier restore. */
function sameConfig(saved: Config, present: readonly Config[]): Config | undefined {
  const names = [saved.name, nameByContents(saved)];
  return (
    present.find(({ id }) => id === saved.id) ??
    present.find(({ name, spec }) => names.includes(name) && spec.Data === saved.spec.Data)
  );
}

/** Swarm allows 64 characters. */
const MAX_NAME = 64;

function nameByContents({ name, spec }: Config): string {
  const digest = createHash('sha256').update(String(spec.Data)).digest('hex').slice(0, 10);
  return `${name.slice(0, MAX_NAME - digest.length - 1)}-${digest}`;
}

async function createNetwork(
  engine: Engine,
  name: string,
  spec: Record<string, unknown>,
  warn: (message: string) => void,
): Promise<string> {
  try {
    return await engine.createNetwork(spec);
  } catch (error) {
    // The old subnet may belong to another network by now. Any other will do: connections are rewritten to new addresses anyway.
    if (!(error instanceof SwarmcutError) || !/overlap|pool/i.test(error.message)) throw error;
    warn(`network ${name} gets another subnet: its old one is taken`);
    const { IPAM: _ipam, ...rest } = spec;
    return await engine.createNetwork(rest);
  }
}
