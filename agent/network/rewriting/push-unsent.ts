import koffi from 'koffi';
import type { OpenFile } from '../../linux/process-tree.ts';

/** Linux, the same on all architectures. */
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

interface Libc {
  readonly syscall: (...args: readonly unknown[]) => number;
  readonly getsockopt: (fd: number, level: number, name: number, value: Int32Array, size: Uint32Array) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Int32Array, size: number) => number;
  readonly close: (fd: number) => number;
}

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded) return loaded;
  const library = koffi.load(null);
  loaded = {
    syscall: library.func('long syscall(long number, ...)') as Libc['syscall'],
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int name, _Out_ int *value, _Inout_ uint32_t *size)',
    ) as Libc['getsockopt'],
    setsockopt: library.func(
      'int setsockopt(int fd, int level, int name, const int *value, uint32_t size)',
    ) as Libc['setsockopt'],
    close: library.func('int close(int fd)') as Libc['close'],
  };
  return loaded;
}

/**
 * Makes the TCP sockets among the open files of some processes send what they have not sent yet, now rather than when a timer fires.
 * Setting TCP_NODELAY does that (tcp(7): "setting this option forces an explicit flush of pending output"); the option is put back
 * afterwards. Measured with a restored socket whose data was blocked for 0.5 s: on its way 0.1 ms after this, 0.1-2.6 s without.
 *
 * Processes and files that are gone meanwhile are passed over: it is a matter of speed only.
 * @returns how many TCP sockets there were
 */
export function pushUnsent(files: readonly OpenFile[]): number {
  const { syscall, close } = libc();
  const pidfds = new Map<number, number>();
  let sockets = 0;
  try {
    for (const { pid, fd, target } of files) {
      if (!target.startsWith('socket:')) continue;
      const pidfd = pidfds.get(pid) ?? syscall(SYS_PIDFD_OPEN, 'int', pid, 'uint', 0);
      pidfds.set(pid, pidfd);
      if (pidfd < 0) continue;
      const socket = syscall(SYS_PIDFD_GETFD, 'int', pidfd, 'int', Number(fd), 'uint', 0);
      if (socket < 0) continue;
      if (pushSocket(socket)) sockets += 1;
      close(socket);
    }
  } finally {
    for (const pidfd of pidfds.values()) if (pidfd >= 0) close(pidfd);
  }
  return sockets;
}

function pushSocket(socket: number): boolean {
  const { getsockopt, setsockopt } = libc();
  const before = new Int32Array(1);
  if (getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, before, Uint32Array.of(before.byteLength)) !== 0) return false;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, Int32Array.of(1), before.byteLength);
  if (before[0] === 0) setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, before, before.byteLength);
  return true;
}
