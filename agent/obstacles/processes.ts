import { readFile, readlink } from 'node:fs/promises';

/** Namespaces of which a task has one of each, or CRIU gives up. */
const NAMESPACES = ['pid', 'user', 'time', 'ipc', 'uts'] as const;

/** A process as {@link findObstacles} looks at it. */
export interface LookedAt {
  /** As this node numbers it. */
  readonly pid: number;
  /** In the container's pid namespace. */
  readonly innerPid: number;
  readonly command: string;
  /** One letter of `/proc/PID/status`: T stopped, Z ended … */
  readonly state: string;
  readonly threads: number;
  /** Its user and group are not root's, or may be others' at any time: real, effective or saved. */
  readonly otherUser: boolean;
  /** 0 if nobody traces it. */
  readonly tracer: number;
  /** Path of its program; empty for one that has ended. */
  readonly program: string;
  readonly arguments: readonly string[];
  /** Always in the same order; empty where it is not known. */
  readonly namespaces: readonly string[];
}

/** Undefined for a process that has ended and is no more. */
export async function readProcess(pid: number): Promise<LookedAt | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
  if (status === undefined) return undefined;
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const [program, commandLine, ...namespaces] = await Promise.all([
    readlink(`/proc/${pid}/exe`).catch(() => ''),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    ...NAMESPACES.map((name) => readlink(`/proc/${pid}/ns/${name}`).catch(() => '')),
  ]);
  return {
    pid,
    innerPid: Number(field('NSpid').split(/\s+/).at(-1) ?? 0),
    command: field('Name'),
    state: field('State').slice(0, 1),
    threads: Number(field('Threads')),
    otherUser: !/^[0\s]*$/.test(`${field('Uid')} ${field('Gid')}`),
    tracer: Number(field('TracerPid')),
    program,
    arguments: commandLine.split('\0'),
    namespaces,
  };
}
