import { readdir, readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { processTree } from '../linux/process-tree.ts';
import { ioPriority, setAffinity, setIoPriority } from '../linux/scheduling.ts';

export const threadSchema = z.object({
  /** In the container's pid namespace. */
  id: z.number().int(),
  /** Processors, when they are not all that the container has: `0-1,3`. */
  processors: z.string().optional(),
  ioPriority: z.number().int().optional(),
  timerSlackNs: z.string().optional(),
  /** Of the whole process; with its first thread. */
  coredumpFilter: z.string().optional(),
});
/** What a thread has set for itself and CRIU does not save. Only what is not as it is in a new one. */
export type ThreadSettings = z.infer<typeof threadSchema>;

/** As the kernel begins with: include/linux/sched.h, fs/binfmt; an ioprio of none, or what it comes to. */
const DEFAULT_SLACK = '50000';
const DEFAULT_FILTER = '00000033';
const DEFAULT_IO = new Set([0, 0x4004]);

/**
 * The settings of all threads of a task. It may be frozen.
 * @param pid of the container's first process
 * @param processors all that the container may use, as the kernel lists them; undefined if that is not known
 */
export async function threadSettings(pid: number, processors: string | undefined): Promise<ThreadSettings[]> {
  const found: ThreadSettings[] = [];
  for (const process of await processTree(pid)) {
    for (const thread of await threadsOf(process)) {
      const settings = await settingsOf(process, thread, processors);
      if (settings !== undefined && Object.keys(settings).length > 1) found.push(settings);
    }
  }
  return found;
}

async function settingsOf(
  process: number,
  thread: number,
  processors: string | undefined,
): Promise<ThreadSettings | undefined> {
  const [status, slack, filter] = await Promise.all([
    text(`/proc/${process}/task/${thread}/status`),
    text(`/proc/${thread}/timerslack_ns`),
    thread === process ? text(`/proc/${process}/coredump_filter`) : undefined,
  ]);
  if (status === undefined) return undefined;
  const own = field(status, 'Cpus_allowed_list');
  const priority = ioPriority(thread);
  return {
    id: innerId(status),
    ...(processors === undefined || own === processors ? {} : { processors: own }),
    ...(priority === undefined || DEFAULT_IO.has(priority) ? {} : { ioPriority: priority }),
    ...(slack === undefined || slack === DEFAULT_SLACK ? {} : { timerSlackNs: slack }),
    ...(filter === undefined || filter === DEFAULT_FILTER ? {} : { coredumpFilter: filter }),
  };
}

/** Gives the threads of a restored task what they had. What cannot be had here (another number of processors) is left as it is. */
export async function applyThreadSettings(pid: number, saved: readonly ThreadSettings[]): Promise<void> {
  if (saved.length === 0) return;
  const byId = new Map(saved.map((one) => [one.id, one]));
  for (const process of await processTree(pid)) {
    for (const thread of await threadsOf(process)) {
      const status = await text(`/proc/${process}/task/${thread}/status`);
      const settings = status === undefined ? undefined : byId.get(innerId(status));
      if (settings === undefined) continue;
      const { processors, ioPriority: priority, timerSlackNs, coredumpFilter } = settings;
      if (processors !== undefined) setAffinity(thread, numbersOf(processors));
      if (priority !== undefined) setIoPriority(thread, priority);
      if (timerSlackNs !== undefined)
        await writeFile(`/proc/${thread}/timerslack_ns`, timerSlackNs).catch(() => undefined);
      if (coredumpFilter !== undefined)
        await writeFile(`/proc/${process}/coredump_filter`, `0x${coredumpFilter}`).catch(() => undefined);
    }
  }
}

async function threadsOf(process: number): Promise<number[]> {
  return (await readdir(`/proc/${process}/task`).catch(() => [])).map(Number);
}

function text(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').then(
    (contents) => contents.trim(),
    () => undefined,
  );
}

function field(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
}

/** `NSpid` of a thread has its own number in each namespace. */
function innerId(status: string): number {
  return Number(field(status, 'NSpid').split(/\s+/).at(-1) ?? 0);
}

/** `0-1,3` → 0, 1, 3. */
function numbersOf(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return Number.isNaN(first) ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
