import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import type { Logger } from 'pino';

export type { Logger } from 'pino';

export interface LoggerOptions {
  /** File to append to; its directory is made, for the owner only. Without one the log goes to stderr. */
  readonly file?: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `coordinator` or `agent`: in every line. */
  readonly program: string;
}

/**
 * The log of one process: JSON lines with an ISO time. Make child loggers (`log.child({ snapshot: id, task: key })`) for what lines have in common.
 * Writes are synchronous: what was logged before a crash is in the file.
 * @throws the system error when the file cannot be opened.
 */
export function createLogger(options: LoggerOptions): Logger {
  if (options.file !== undefined) mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
  return pino(
    {
      level: options.level,
      base: { program: options.program, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      // The level as a word: these files are read by people first.
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: options.file ?? 2, append: true, mode: 0o600, sync: true }),
  );
}
