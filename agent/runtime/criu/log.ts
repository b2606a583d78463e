import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { kindOfCriuLine } from '../../../src/model/obstacles.ts';

/** Lines that CRIU logs as errors although they explain nothing. */
const NOISE = [
  /RLIMIT_NOFILE/,
  /Dumping FAILED/,
  /Restoring FAILED/,
  /Pre-dumping FAILED/,
  /Dump \w+ \(pid: \d+\) failed with/,
  /recv req error/,
  /Unexpected EOF on \(empty-image\)/,
  /killed by signal 9/,
];

/** What the user can do about an error that CRIU names, besides what {@link kindOfCriuLine} knows. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/get 1:16 opt/, 'CRIU is too old for this kernel: Linux 6.16 and later need CRIU 4.2 or later'],
  [/rt vDSO|vdso/i, 'CRIU is too old for this kernel: install CRIU 4.2 or later'],
  [/Can't dump that handle/, 'an inotify watch on a path that cannot be found: the watched file was deleted or moved'],
  [/ghost.*limit|ghost file .* bigger/i, 'a deleted file that is still open is bigger than the limit for such files'],
  [/Network is unreachable/, 'the network of the new container does not lead to an address that a connection had'],
  [
    /File .* has bad size|build-id/,
    'a file of the image differs from the one that was running: use the image with the same digest',
  ],
  [/Can't bind inet socket back/, 'an address of the saved task is not present in the restored one'],
  [/No space left|ENOSPC/, 'free some disk space or memory on this node'],
];

/** Longest piece of a log that is read, from its end. Bytes. */
const TAIL_BYTES = 1024 * 1024;

/** What a CRIU log says about a failure. */
export interface CriuFailure {
  /** The first error line that explains something; empty if there is none. */
  readonly line: string;
  /** All of them, at most 10. */
  readonly lines: readonly string[];
  readonly advice: string | undefined;
  /** The process that was being dumped, if the log says so: "process 1234 (nginx)", as the node numbers it. */
  readonly process: string | undefined;
  readonly path: string;
}

/** Reads the error lines of `dump.log` or `restore.log` in CRIU's work directory. Never throws: a missing log yields no lines. */
export async function readCriuFailure(workPath: string, name: 'dump.log' | 'restore.log'): Promise<CriuFailure> {
  const path = join(workPath, name);
  let text = '';
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const length = Math.min(size, TAIL_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
      text = buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    // No log: CRIU did not even start.
  }
  return { ...explainCriuLog(text), path };
}

/** Of the last process that a dump had begun before its first error. */
function processOf(text: string): string | undefined {
  const lines = text.split('\n');
  const error = lines.findIndex((line) => line.includes('Error (') && !NOISE.some((pattern) => pattern.test(line)));
  const begun = lines.slice(0, error < 0 ? 0 : error).findLast((line) => DUMPING.test(line));
  const [, pid = '', command = ''] = DUMPING.exec(begun ?? '') ?? [];
  return pid === '' ? undefined : `process ${pid} (${command})`;
}

/** `Dumping task (pid: 1234 comm: nginx)` (criu/cr-dump.c). */
const DUMPING = /Dumping task \(pid: (\d+) comm: (.*)\)/;

/** The error lines of a CRIU log. */
function explainCriuLog(text: string): Omit<CriuFailure, 'path'> {
  const lines = text
    .split('\n')
    .filter((line) => line.includes('Error ('))
    .filter((line) => !NOISE.some((pattern) => pattern.test(line)))
    .map((line) => line.replace(/^\(\d+\.\d+\)\s*/, '').trim())
    .slice(0, 10);
  const kind = lines.map((line) => kindOfCriuLine(line)).find((known) => known !== undefined);
  const advice = kind?.advice ?? ADVICE.find(([pattern]) => lines.some((line) => pattern.test(line)))?.[1];
  return { line: lines[0] ?? '', lines, advice, process: processOf(text) };
}
