import { readFileSync } from 'node:fs';
import { checked, libc } from '../linux/sys.ts';

const MADV_DONTNEED = 4;

/** A mapping that smaps names, as far as it matters here. */
interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly permissions: string;
  readonly file: string;
  readonly anonymousKB: number;
}

/**
 * Takes the pages of a program's file out of this process that nothing has written to: they stay in the page cache, which all processes
 * of the program share, and come back when they are touched. Most of them only the start needs.
 * @param file as the kernel names it, e.g. `process.execPath`
 */
export function unmapClean(file: string): void {
  for (const { start, end, permissions, file: mapped, anonymousKB } of mappingsIn(
    readFileSync('/proc/self/smaps', 'utf8'),
  ))
    // A page that was relocated before it was made read-only would be lost.
    if (mapped === file && !permissions.includes('w') && anonymousKB === 0)
      checked(libc().madvise(start, end - start, MADV_DONTNEED), 'madvise');
}

/** @param smaps as in proc_pid_smaps(5) */
export function mappingsIn(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let head: Omit<Mapping, 'anonymousKB'> | undefined;
  for (const line of smaps.split('\n')) {
    const begins = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (begins) {
      const [, start = '', end = '', permissions = '', file = ''] = begins;
      head = { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), permissions, file };
    }
    const anonymous = /^Anonymous: +(\d+) kB$/.exec(line);
    if (anonymous && head) found.push({ ...head, anonymousKB: Number(anonymous[1]) });
  }
  return found;
}
