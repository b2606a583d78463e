import { fstatSync, mkdirSync, openSync, closeSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Throttle } from './throttle.ts';

/** Writes one line. `details` are fields beside the message. Of `info` lines with one message, a flood is counted instead of written. */
export type LogLine = (level: 'info' | 'error', message: string, details?: object) => void;

/** The file lies in memory, and whoever reaches the sidecar's port can make it write: with the one before it, it takes up to twice this. */
const MAX_LOG_BYTES = 1024 * 1024;

/** Where the lines before the newest {@link MAX_LOG_BYTES} are: beside the log. */
const OLD = '.old';

/** Lines with one message that are written in a time; what comes beyond is told as a number when the time is over. */
const LINES_PER_PERIOD = 20;
const PERIOD_MS = 10_000;

export interface LogLimits {
  readonly maxBytes?: number;
  readonly linesPerPeriod?: number;
  readonly periodMs?: number;
}

/**
 * The log of a sidecar: lines as those of src/platform/logger.ts, without the library, which is 5 MB in each sidecar. Synchronous: what was
 * logged before a crash is in the file. Bounded: a full file becomes `<file>.old`, in place of the one before.
 * @param file to append to, for the owner only; without one: stderr, which is not bounded
 * @throws the system's error when it cannot be opened
 */
export function openLog(file?: string, limits: LogLimits = {}): LogLine {
  const { maxBytes = MAX_LOG_BYTES, linesPerPeriod = LINES_PER_PERIOD, periodMs = PERIOD_MS } = limits;
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const out =
    file === undefined
      ? { write: (line: string) => void writeSync(process.stderr.fd, line) }
      : new LogFile(file, maxBytes);
  const write: LogLine = (level, message, details) => {
    const base = { level, time: new Date().toISOString(), program: 'sidecar', pid: process.pid };
    try {
      out.write(`${JSON.stringify({ ...base, ...details, msg: message })}\n`);
    } catch {
      // A full disk is no reason to end connections.
    }
  };
  const throttle = new Throttle(linesPerPeriod, periodMs, (message, count) =>
    write('info', message, { moreLikeThis: count, inMs: periodMs }),
  );
  return (level, message, details) => {
    if (level === 'error' || throttle.allows(message)) write(level, message, details);
  };
}

class LogFile {
  readonly #file: string;
  readonly #maxBytes: number;
  #fd: number;
  #bytes: number;

  constructor(file: string, maxBytes: number) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#fd = openSync(file, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  write(line: string): void {
    if (this.#bytes + Buffer.byteLength(line) > this.#maxBytes && this.#bytes > 0) this.#turnOver();
    this.#bytes += writeSync(this.#fd, line);
  }

  #turnOver(): void {
    renameSync(this.#file, `${this.#file}${OLD}`);
    const next = openSync(this.#file, 'a', 0o600);
    closeSync(this.#fd);
    this.#fd = next;
    this.#bytes = 0;
  }
}
