import koffi from 'koffi';
import { libraryCall } from './library-call.ts';

const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;

let flock: ((fd: number, operation: number) => number) | undefined;

/**
 * Takes an exclusive flock(2) on an open file without waiting. The kernel gives it up when the file is closed or the process dies, however
 * it dies: such a lock is never stale. (Node itself has no file locks.)
 * @returns false when another open file has it
 * @throws Error with the system's error number for anything else
 */
export function tryLockFile(fd: number): boolean {
  flock ??= libraryCall('int flock(int fd, int operation)');
  if (flock(fd, LOCK_EXCLUSIVE | LOCK_NONBLOCKING) === 0) return true;
  const errno = koffi.errno();
  if (errno === koffi.os.errno.EWOULDBLOCK || errno === koffi.os.errno.EAGAIN) return false;
  throw new Error(`flock failed with error number ${errno}`);
}
