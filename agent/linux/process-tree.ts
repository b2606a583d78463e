import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process and all its descendants, as this node numbers them. Those that end meanwhile are left out. */
export async function processTree(pid: number): Promise<number[]> {
  return [pid, ...(await descendants(pid)).map((one) => one.pid)];
}

/** All descendants of a process, each with its parent, those nearest to it first. */
export async function descendants(pid: number): Promise<{ readonly pid: number; readonly parent: number }[]> {
  const found: { pid: number; parent: number }[] = [];
  const queue = [pid];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    const children = await childrenOf(parent);
    for (const child of children) found.push({ pid: child, parent });
    queue.push(...children);
  }
  return found;
}

/** None of a process that has ended. */
export async function childrenOf(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    const children = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '');
    found.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return found;
}

/** The numbers of these processes in their own pid namespace, by those of this node. */
export async function innerPids(pids: readonly number[]): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const inner = /^NSpid:.*\s(\d+)$/m.exec(status)?.[1];
    if (inner !== undefined) found.set(pid, Number(inner));
  }
  return found;
}

/** What `/proc/<pid>/stat` says. */
export interface ProcessStat {
  /** Name of the program, or what it calls itself. */
  readonly command: string;
  /** One letter; proc_pid_stat(5). */
  readonly state: string;
  readonly parent: number;
  /** Seconds after the start of the node. */
  readonly startedAtS: number;
}

/** Of every architecture that Linux tells user space about. */
const TICKS_PER_SECOND = 100;

/** Undefined for a process that has ended. */
export async function processStat(pid: number): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The command may hold anything, also spaces and parentheses.
  const match = /^\d+ \((.*)\) (\S) (.*)$/s.exec(text ?? '');
  if (match === null) return undefined;
  const [, command = '', state = '', rest = ''] = match;
  const fields = rest.split(' ').map(Number);
  return { command, state, parent: fields[0] ?? 0, startedAtS: (fields[18] ?? 0) / TICKS_PER_SECOND };
}

/** An open file of a process: where `/proc/<pid>/fd/<fd>` points to. */
export interface OpenFile {
  readonly pid: number;
  readonly fd: string;
  readonly target: string;
}

export async function openFiles(pids: readonly number[]): Promise<OpenFile[]> {
  const files: OpenFile[] = [];
  for (const pid of pids) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => undefined);
      if (target !== undefined) files.push({ pid, fd, target });
    }
  }
  return files;
}

/** A file that a process has mapped. */
export interface MappedFile {
  /** A link in `/proc` that leads to the file itself, whatever has become of its name. */
  readonly path: string;
  readonly target: string;
}

export async function mappedFiles(pids: readonly number[]): Promise<MappedFile[]> {
  const files: MappedFile[] = [];
  for (const pid of pids) {
    for (const range of await readdir(`/proc/${pid}/map_files`).catch(() => [])) {
      const path = `/proc/${pid}/map_files/${range}`;
      const target = await readlink(path).catch(() => undefined);
      if (target !== undefined) files.push({ path, target });
    }
  }
  return files;
}
