import { startOf } from '../../src/platform/process-start.ts';
import { tryOpenProcess } from '../linux/sys.ts';
import { Watch } from './sockets/watch.ts';

const LOOK_MS = 500;

/**
 * Calls `ended` once, when this process has ended, or is a zombie, or its pid belongs to another one. The process is nobody's child here. The
 * kernel says so at once: the engine takes the task's interfaces away some tens of milliseconds later, and a reset that has not left by
 * then reaches nobody. Should it not know how (before Linux 5.3), it is looked.
 */
export function watchProcess(pid: number, ended: () => void): void {
  const started = startOf(pid);
  let over = false;
  const look = (): void => {
    if (over || (started !== undefined && startOf(pid) === started)) return;
    over = true;
    clearInterval(timer);
    watch?.close();
    ended();
  };
  const timer = setInterval(look, LOOK_MS);
  const fd = tryOpenProcess(pid);
  const watch = fd < 0 ? undefined : new Watch(fd, { readable: look, writable: () => undefined });
  watch?.set(true, false);
}
