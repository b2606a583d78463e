import { readFileSync } from 'node:fs';

const LOOK_MS = 500;

/**
 * Calls `ended` once, when this process has ended, or is a zombie, or its pid belongs to another one. The process is nobody's child here, so
 * it must be looked at.
 */
export function watchProcess(pid: number, ended: () => void): void {
  const started = startOf(pid);
  const timer = setInterval(() => {
    if (started !== undefined && startOf(pid) === started) return;
    clearInterval(timer);
    ended();
  }, LOOK_MS);
}

/** When it was started, in ticks since boot; undefined if it has ended. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may contain anything (proc_pid_stat(5)).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
