import { lstat, opendir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mountAt, mountsOf } from './mountinfo.ts';
import { openFiles, processTree } from './process-tree.ts';

/** Where the inotify watches of a container are. */
export interface WatchedPaths {
  /** Paths inside the container, for CRIU's `irmap-scan-path`. */
  readonly paths: readonly string[];
  /** Watches whose path was not found; the dump will fail on them (`Can't dump that handle`). */
  readonly unresolved: number;
}

/** Most files that are looked at. A look takes some 20 µs, and the task runs on meanwhile. */
const MAX_VISITED = 200_000;

/** Searched last: large, and seldom watched. */
const LAST = new Set(['/usr', '/lib', '/lib64', '/bin', '/sbin', '/var/lib']);

/**
 * Finds the paths that a container watches with inotify on its root, an overlayfs. The kernel names them by inode only, and overlayfs,
 * unlike others, cannot open a file by its inode; so CRIU would have to search the whole tree while the task is frozen. Done before the
 * freeze, level by level, and only for containers that have such watches.
 * @param pid of the container's first process, as this node numbers it
 */
export async function watchedPaths(pid: number): Promise<WatchedPaths> {
  const root = mountAt(await mountsOf(pid), '/');
  if (root?.fsType !== 'overlay') return { paths: [], unresolved: 0 };
  const wanted = await watchedInodes(pid, root.device);
  const paths: string[] = [];
  if (wanted.size > 0) await search(`/proc/${pid}/root`, wanted, paths);
  return { paths, unresolved: wanted.size };
}

/** The watched inodes on a device (`major:minor`). See fdinfo in man 5 proc_pid_fdinfo: `inotify wd:1 ino:2c7a8 sdev:50 …`, in hex. */
async function watchedInodes(pid: number, device: string): Promise<Set<number>> {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  const kernelDevice = major * 2 ** 20 + minor;
  const inodes = new Set<number>();
  for (const file of await openFiles(await processTree(pid))) {
    if (file.target !== 'anon_inode:inotify') continue;
    const info = await readFile(`/proc/${file.pid}/fdinfo/${file.fd}`, 'utf8').catch(() => '');
    for (const [, inode = '', sdev = ''] of info.matchAll(/^inotify wd:\S+ ino:([0-9a-f]+) sdev:([0-9a-f]+)/gm)) {
      if (parseInt(sdev, 16) === kernelDevice) inodes.add(parseInt(inode, 16));
    }
  }
  return inodes;
}

/** Takes out of `wanted` what it finds. */
async function search(root: string, wanted: Set<number>, paths: string[]): Promise<void> {
  // With the slash: the root itself, not the link to it in /proc.
  const { dev } = await lstat(`${root}/`);
  let visited = 0;
  let level = ['/'];
  let later: string[] = [];
  while (wanted.size > 0 && visited < MAX_VISITED) {
    if (level.length === 0) {
      if (later.length === 0) return;
      level = later;
      later = [];
    }
    const below: string[] = [];
    for (const path of level) {
      const stat = await lstat(join(root, path)).catch(() => undefined);
      visited++;
      // Other file systems open their files by inode, or have none to watch.
      if (stat?.dev !== dev) continue;
      if (wanted.delete(stat.ino)) paths.push(path === '/' ? '/.' : path);
      if (wanted.size === 0 || visited >= MAX_VISITED) return;
      if (!stat.isDirectory()) continue;
      for (const name of await children(join(root, path))) {
        const child = path === '/' ? `/${name}` : `${path}/${name}`;
        if (LAST.has(child) || name === 'node_modules') later.push(child);
        else below.push(child);
      }
    }
    level = below;
  }
}

async function children(directory: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(directory)) names.push(entry.name);
  } catch {
    // Gone meanwhile.
  }
  return names;
}
