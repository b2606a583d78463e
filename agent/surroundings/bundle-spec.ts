import { realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MountInfo } from '../linux/mountinfo.ts';

/** As much of a bundle's `config.json` as is looked at here (OCI runtime specification, "config"). */
export interface BundleSpec {
  readonly hostname?: string;
  readonly mounts?: readonly BundleMount[];
  readonly linux?: {
    readonly cgroupsPath?: string;
    readonly sysctl?: Readonly<Record<string, string>>;
    readonly namespaces?: readonly { readonly type: string }[];
  } & Readonly<Record<string, unknown>>;
}

export interface BundleMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
}

/**
 * The mounts of a bundle as `runc restore` and CRIU can carry them out. What `runc create` does by itself, a restore does not:
 *
 * - The source of a bind mount may be a symbolic link (Debian's docker-init, `/etc/localtime`). CRIU mounts the link's target and then does
 *   not find its mount again: "Can't remount … MS_PRIVATE" (criu/mount-v2.c).
 * - With cgroup v1, `/sys/fs/cgroup` is a bind mount per hierarchy, for which runc takes the cgroup in which it runs itself. At `create`
 *   that is the container's; at a restore it is the engine's, without any limit. So they are named one by one.
 *
 * @param nodeMounts of this node
 */
export function restorableMounts(spec: BundleSpec, nodeMounts: readonly MountInfo[]): BundleMount[] {
  return (spec.mounts ?? []).flatMap((mount) => {
    if (mount.type === 'cgroup') return cgroupMounts(mount, spec, nodeMounts);
    return [isBind(mount) ? { ...mount, source: resolved(mount.source) } : mount];
  });
}

function isBind({ type, options = [] }: BundleMount): boolean {
  return type === 'bind' || options.includes('bind') || options.includes('rbind');
}

function resolved(source = ''): string {
  try {
    return realpathSync(source);
  } catch {
    // runc will say that it is not there.
    return source;
  }
}

/** Unchanged where there is no hierarchy of version 1, or where the container has a cgroup namespace, in which its own are the roots. */
function cgroupMounts(mount: BundleMount, { linux = {} }: BundleSpec, nodeMounts: readonly MountInfo[]): BundleMount[] {
  const hierarchies = nodeMounts.filter(({ fsType }) => fsType === 'cgroup');
  const namespaced = linux.namespaces?.some(({ type }) => type === 'cgroup') ?? false;
  const path = cgroupPath(linux.cgroupsPath ?? '');
  if (hierarchies.length === 0 || namespaced || path === undefined) return [mount];
  return [
    // CRIU brings this one, with the links in it (`cpu` to `cpu,cpuacct`).
    { destination: mount.destination, type: 'tmpfs', source: 'tmpfs', options: mount.options ?? [] },
    ...hierarchies.map(({ mountPoint }) => ({
      destination: join(mount.destination, basename(mountPoint)),
      type: 'bind',
      source: join(mountPoint, path),
      options: ['rbind', ...(mount.options ?? [])],
    })),
  ];
}

/**
 * The container's cgroup within each hierarchy: a path, or for systemd's driver `slice:prefix:name` (libcontainer, `getUnitName` and
 * `ExpandSlice`). Undefined when it lies relative to the engine's.
 */
function cgroupPath(cgroupsPath: string): string | undefined {
  if (cgroupsPath.startsWith('/')) return cgroupsPath;
  const [slice = '', prefix = '', name = '', ...more] = cgroupsPath.split(':');
  if (name === '' || more.length > 0 || !slice.endsWith('.slice')) return undefined;
  const words = slice.slice(0, -'.slice'.length).split('-');
  const slices = slice === '-.slice' ? [] : words.map((_, index) => `${words.slice(0, index + 1).join('-')}.slice`);
  return join('/', ...slices, `${prefix}-${name}.scope`);
}
