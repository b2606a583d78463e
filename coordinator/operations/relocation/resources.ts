import type { Manifest } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { Reporter } from '../../api.ts';
import type { Swarm } from '../../orchestrator/swarm/swarm.ts';

/** What had to be made again for a restore, and how old ids translate. */
export interface Resources {
  readonly ids: ReadonlyMap<string, string>;
  /** Takes back what was made. Never throws. */
  undo(): Promise<void>;
}

/**
 * Makes sure that the networks, configs and secrets that the saved services refer to exist, by name. Networks and configs that are gone are
 * made again; secrets cannot be, since Swarm never gives their contents away.
 * @throws SwarmcutError `precondition` for a missing secret; nothing has been made then
 */
export async function ensureResources(swarm: Swarm, manifest: Manifest, reporter: Reporter): Promise<Resources> {
  const [networks, configs, secrets] = await Promise.all([swarm.networks(), swarm.configs(), swarm.secrets()]);
  const ids = new Map<string, string>();
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
      const made = await createNetwork(swarm, name, spec, reporter);
      undos.push(() => swarm.removeNetwork(made));
      ids.set(id, made);
    }
    for (const { name, id, spec } of manifest.configs) {
      const present = configs.find((config) => config.name === name)?.id ?? (await swarm.createConfig(spec));
      ids.set(id, present);
    }
  } catch (error) {
    await undo();
    throw error;
  }
  return { ids, undo };
}

async function createNetwork(
  swarm: Swarm,
  name: string,
  spec: Record<string, unknown>,
  reporter: Reporter,
): Promise<string> {
  try {
    return await swarm.createNetwork(spec);
  } catch (error) {
    // The old subnet may belong to another network by now. Any other will do: connections are rewritten to new addresses anyway.
    if (!(error instanceof SwarmcutError) || !/overlap|pool/i.test(error.message)) throw error;
    reporter.info(`network ${name} gets another subnet: its old one is taken`);
    const { IPAM: _ipam, ...rest } = spec;
    return await swarm.createNetwork(rest);
  }
}
