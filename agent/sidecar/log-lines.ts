import { mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes one line. `details` are fields beside the message. */
export type LogLine = (level: 'info' | 'error', message: string, details?: object) => void;

/**
 * The log of a sidecar: lines as those of src/platform/logger.ts, without the library, which is 5 MB in each sidecar. Synchronous: what was
 * logged before a crash is in the file.
 * @param file to append to, for the owner only; without one: stderr
 * @throws the system's error when it cannot be opened
 */
export function openLog(file?: string): LogLine {
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const fd = file === undefined ? process.stderr.fd : openSync(file, 'a', 0o600);
  return (level, message, details) => {
    const base = { level, time: new Date().toISOString(), program: 'sidecar', pid: process.pid };
    try {
      writeSync(fd, `${JSON.stringify({ ...base, ...details, msg: message })}\n`);
    } catch {
      // A full disk is no reason to end connections.
    }
  };
}
