import { readFile } from 'node:fs/promises';

/** One line of `/proc/<pid>/mountinfo` (man 5 proc_pid_mountinfo), escapes undone. */
export interface MountInfo {
  readonly mountId: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Which part of the file system is mounted here. */
  readonly root: string;
  readonly mountPoint: string;
  readonly fsType: string;
  readonly source: string;
  readonly superOptions: ReadonlyMap<string, string>;
}

function parseMountInfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split('\n')) {
    const [head, tail] = line.split(' - ');
    if (head === undefined || tail === undefined) continue;
    const [mountId, , device, root, mountPoint] = head.split(' ');
    const [fsType, source, options] = tail.split(' ');
    if (device === undefined || root === undefined || mountPoint === undefined) continue;
    mounts.push({
      mountId: Number(mountId),
      device,
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      fsType: fsType ?? '',
      source: unescapeOctal(source ?? ''),
      superOptions: new Map(splitOptions(unescapeOctal(options ?? ''))),
    });
  }
  return mounts;
}

/** The mounts that a process sees. */
export async function mountsOf(pid: number | 'self'): Promise<MountInfo[]> {
  return parseMountInfo(await readFile(`/proc/${pid}/mountinfo`, 'utf8'));
}

/** What lies on top at a mount point: the last mount there. */
export function mountAt(mounts: readonly MountInfo[], mountPoint: string): MountInfo | undefined {
  return mounts.findLast((mount) => mount.mountPoint === mountPoint);
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/** overlayfs writes a comma inside a path as `\,`. */
function splitOptions(text: string): [string, string][] {
  return [...text.matchAll(/((?:[^,\\]|\\.)+)/g)].map((match) => {
    const option = (match[1] ?? '').replace(/\\(.)/g, '$1');
    const equals = option.indexOf('=');
    return equals < 0 ? [option, ''] : [option.slice(0, equals), option.slice(equals + 1)];
  });
}
