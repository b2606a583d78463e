import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process and all its descendants, as this node numbers them. Those that end meanwhile are left out. */
export async function processTree(pid: number): Promise<number[]> {
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    found.push(next);
    for (const thread of await readdir(`/proc/${next}/task`).catch(() => [])) {
      const children = await readFile(`/proc/${next}/task/${thread}/children`, 'utf8').catch(() => '');
      queue.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  return found;
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
