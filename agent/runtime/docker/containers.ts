import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type Docker from 'dockerode';
import { messageOf, SwarmcutError } from '../../../src/model/errors.ts';
import { engineAt } from './engine.ts';
import { healthCheckOf, type HealthCheck } from './health.ts';
import { swarmLabels, type SwarmLabels } from './labels.ts';
import { mountAt, mountsOf } from '../../linux/mountinfo.ts';

/** A volume of the `local` driver that the container uses. */
export interface VolumeFacts {
  /** The volume's name, or its destination if it is anonymous: an anonymous volume has another name in every container. */
  readonly key: string;
  readonly name: string;
  readonly driver: string;
  /** Directory on this node. */
  readonly source: string;
  /** Path in the container. */
  readonly destination: string;
  readonly writable: boolean;
}

/** A piece of the container's file tree that lives elsewhere and is not part of its checkpoint. */
export interface BindFacts {
  readonly source: string;
  readonly destination: string;
}

/** Where the container's `/dev/shm` is: in its own mount namespace (CRIU saves it), a directory of the engine, or somebody else's. */
export type ShmFacts =
  { readonly kind: 'inside' } | { readonly kind: 'outside'; readonly source: string } | { readonly kind: 'foreign' };

/** What an agent must know about a running container. Paths are those of this node. */
export interface ContainerFacts extends SwarmLabels {
  readonly id: string;
  readonly name: string;
  /** Of the container's first process, as this node sees it. */
  readonly pid: number;
  readonly state: string;
  /** `sha256:…` of the image's configuration. */
  readonly imageDigest: string;
  readonly networkNamespace: string;
  /** Where the container's root is mounted (merged). */
  readonly rootfs: string;
  /** overlayfs' writable layer. */
  readonly upperDir: string;
  readonly volumes: readonly VolumeFacts[];
  readonly binds: readonly BindFacts[];
  /** Destinations of tmpfs mounts; CRIU saves them. */
  readonly tmpfs: readonly string[];
  readonly shm: ShmFacts;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined if the engine does not check it. */
  readonly health: HealthCheck | undefined;
}

export interface ContainersOptions {
  /** The engine's socket. Default `/var/run/docker.sock`. */
  readonly socketPath?: string;
  /** Name of this node, which stands for the slot of a global service. Default: its host name. */
  readonly nodeName?: string;
}

/** What the engine of this node knows about containers. */
export class Containers {
  readonly #docker: Docker;
  readonly #nodeName: string;
  readonly #kept = new Map<string, { readonly facts: ContainerFacts; readonly process: string }>();

  constructor(options: ContainersOptions = {}) {
    this.#docker = engineAt(options.socketPath ?? '/var/run/docker.sock');
    this.#nodeName = options.nodeName ?? hostname();
  }

  get engine(): Docker {
    return this.#docker;
  }

  /**
   * Must not be asked about a container that waits in `create`: the engine holds its lock then, and would not answer. Use
   * `waitingFacts` for those.
   * @throws SwarmcutError `not-found`, `unreachable` (engine down), `failed` (not running, no overlayfs)
   */
  async facts(containerId: string): Promise<ContainerFacts> {
    return (await this.#keptFacts(containerId)) ?? this.#facts(containerId);
  }

  /** From now on {@link facts} of this container are those of now: the engine does not answer for one that it is about to stop. */
  async keepFacts(containerId: string): Promise<void> {
    const facts = await this.#facts(containerId);
    this.#kept.set(containerId, { facts, process: await processIdentity(facts.pid) });
  }

  /** Unknown ones are no error. */
  forgetFacts(containerId: string): void {
    this.#kept.delete(containerId);
  }

  /** Undefined also if the container has ended since. */
  async #keptFacts(containerId: string): Promise<ContainerFacts | undefined> {
    const kept = this.#kept.get(containerId);
    if (kept === undefined) return undefined;
    return kept.process === (await processIdentity(kept.facts.pid)) ? kept.facts : undefined;
  }

  async #facts(containerId: string): Promise<ContainerFacts> {
    const info = await this.#inspect(containerId);
    const pid = info.State.Pid;
    if (pid === 0) {
      throw new SwarmcutError('failed', `container ${containerId.slice(0, 12)} is not running (${info.State.Status})`);
    }
    const labels = info.Config.Labels;
    const mounts = info.Mounts;
    const tmpfs = (info.HostConfig.Tmpfs as Readonly<Record<string, string>> | null | undefined) ?? {};
    return {
      id: info.Id,
      name: info.Name.replace(/^\//, ''),
      pid,
      state: info.State.Status,
      imageDigest: info.Image,
      networkNamespace: `/proc/${pid}/ns/net`,
      ...(await layers(info, pid)),
      volumes: mounts
        .filter((mount) => mount.Type === 'volume')
        .map((mount) => volumeFacts(mount.Name ?? '', mount.Driver ?? '', mount.Source, mount.Destination, mount.RW)),
      binds: mounts
        .filter((mount) => mount.Type === 'bind')
        .map((mount) => ({ source: mount.Source, destination: mount.Destination })),
      tmpfs: [
        ...Object.keys(tmpfs),
        ...mounts.filter((mount) => (mount.Type as string) === 'tmpfs').map((mount) => mount.Destination),
      ],
      shm: shmFacts(info),
      labels,
      health: healthCheckOf(info),
      ...swarmLabels(labels, this.#nodeName),
    };
  }

  /** Of all containers that there are, also of those that have ended or not started. @throws the engine's error */
  async ids(): Promise<ReadonlySet<string>> {
    return new Set((await this.#docker.listContainers({ all: true })).map(({ Id }) => Id));
  }

  async #inspect(containerId: string): Promise<Docker.ContainerInspectInfo> {
    try {
      return await this.#docker.getContainer(containerId).inspect();
    } catch (error) {
      if ((error as { statusCode?: unknown }).statusCode === 404) {
        throw new SwarmcutError('not-found', `no container ${containerId.slice(0, 12)} on this node`, { cause: error });
      }
      if (error instanceof SwarmcutError) throw error;
      throw new SwarmcutError(
        'failed',
        `the engine does not tell of container ${containerId.slice(0, 12)}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}

/** Changes when another process gets the pid: when it was started, in clock ticks since the start of the node; '' when there is none. */
async function processIdentity(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name, in brackets, may have spaces and brackets of its own; the 20th field behind it is the time (proc_pid_stat(5)).
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

export function volumeFacts(
  name: string,
  driver: string,
  source: string,
  destination: string,
  writable: boolean,
): VolumeFacts {
  const anonymous = /^[0-9a-f]{64}$/.test(name);
  return { key: anonymous ? destination : name, name, driver, source, destination, writable };
}

/** The merged root and the writable layer: overlay2 says them, of the containerd snapshotter only the mount knows. */
async function layers(
  info: Docker.ContainerInspectInfo,
  pid: number,
): Promise<Pick<ContainerFacts, 'rootfs' | 'upperDir'>> {
  const data =
    (info.GraphDriver as { Data?: { UpperDir?: string; MergedDir?: string } | null } | undefined)?.Data ?? {};
  const root = mountAt(await mountsOf(pid), '/');
  if (root?.fsType !== 'overlay') {
    throw new SwarmcutError(
      'precondition',
      `container ${info.Id.slice(0, 12)} has a root of type ${root?.fsType ?? 'unknown'}`,
      { advice: 'swarmcut saves the writable layer of overlayfs: use the storage driver overlay2 or overlayfs' },
    );
  }
  const mounted = root.superOptions.get('upperdir');
  const upperDir = data.UpperDir ?? (mounted !== undefined && isAbsolute(mounted) ? mounted : undefined);
  if (upperDir === undefined) {
    throw new SwarmcutError(
      'precondition',
      `container ${info.Id.slice(0, 12)} has no writable layer (overlayfs upperdir)`,
    );
  }
  const rootfs = data.MergedDir ?? (await mountPointOf(root.device)) ?? `/proc/${pid}/root`;
  return { rootfs, upperDir };
}

/** Where this node has the file system mounted that a container uses as its root. */
async function mountPointOf(device: string): Promise<string | undefined> {
  const mounts = await mountsOf('self');
  return mounts.find((mount) => mount.device === device && mount.root === '/')?.mountPoint;
}

function shmFacts(info: Docker.ContainerInspectInfo): ShmFacts {
  const mode = info.HostConfig.IpcMode ?? 'private';
  if (mode === 'shareable') {
    return { kind: 'outside', source: join(dirname(info.ResolvConfPath), 'mounts', 'shm') };
  }
  return mode === 'host' || mode.startsWith('container:') ? { kind: 'foreign' } : { kind: 'inside' };
}

/** The root of an OCI bundle and its container's mounts, read without asking the engine. */
export async function readBundle(bundleDir: string): Promise<BundleFacts> {
  const file = join(bundleDir, 'config.json');
  let spec: OciSpec;
  try {
    spec = JSON.parse(await readFile(file, 'utf8')) as OciSpec;
  } catch (error) {
    throw new SwarmcutError('failed', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  const path = spec.root?.path;
  if (path === undefined) throw new SwarmcutError('failed', `${file} names no root`);
  return { rootfs: isAbsolute(path) ? path : join(bundleDir, path), mounts: spec.mounts ?? [] };
}

export interface BundleFacts {
  readonly rootfs: string;
  readonly mounts: readonly { readonly destination: string; readonly source?: string; readonly type?: string }[];
}

interface OciSpec {
  readonly root?: { readonly path?: string };
  readonly mounts?: BundleFacts['mounts'];
}
