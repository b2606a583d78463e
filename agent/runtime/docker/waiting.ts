import { z } from 'zod';
import { readBundle, volumeFacts, type VolumeFacts } from './containers.ts';
import { readDiskConfig } from './disk-config.ts';
import { swarmLabels, type SwarmLabels } from './labels.ts';

/** What can be known about a container that waits in `create`, where the engine must not be asked. */
export interface WaitingFacts extends SwarmLabels {
  readonly id: string;
  /** `sha256:…` of the image's configuration. */
  readonly imageDigest: string;
  /** Where the engine has mounted the container's root (merged). */
  readonly rootfs: string;
  readonly volumes: readonly VolumeFacts[];
  /** Directory on this node that becomes `/dev/shm`, if it does not lie in the container's mount namespace. */
  readonly shmSource: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

const configSchema = z.object({
  Name: z.string().default(''),
  Image: z.string().default(''),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }),
  MountPoints: z
    .record(
      z.string(),
      z.object({
        Name: z.string().default(''),
        Driver: z.string().default(''),
        Type: z.string().default(''),
        RW: z.boolean().default(true),
      }),
    )
    .nullish(),
});

/**
 * @param dataRoot the engine's, e.g. `/var/lib/docker`
 * @param nodeName what stands for the slot of a global service
 * @throws SwarmcutError `not-found` if the engine has no such container on disk
 */
export async function waitingFacts(
  dataRoot: string,
  containerId: string,
  bundleDir: string,
  nodeName: string,
): Promise<WaitingFacts> {
  const config = configSchema.parse(readDiskConfig(dataRoot, containerId));
  const bundle = await readBundle(bundleDir);
  const labels = config.Config.Labels ?? {};
  const source = (destination: string): string | undefined =>
    bundle.mounts.findLast((mount) => mount.destination === destination && mount.type !== 'tmpfs')?.source;
  const shm = source('/dev/shm');
  const volumes = Object.entries(config.MountPoints ?? {}).flatMap(([destination, mount]) => {
    const directory = source(destination);
    if (mount.Type !== 'volume' || directory === undefined) return [];
    return [volumeFacts(mount.Name, mount.Driver, directory, destination, mount.RW)];
  });
  return {
    id: containerId,
    imageDigest: config.Image,
    rootfs: bundle.rootfs,
    volumes,
    // With `--ipc host` it is the node's own: not ours to touch.
    shmSource: shm?.includes(`/${containerId}/`) === true ? shm : undefined,
    labels,
    ...swarmLabels(labels, nodeName),
  };
}
