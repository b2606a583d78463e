import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { writeIPv4 } from '../../src/model/address.ts';
import { libraryCall, type Call } from '../../src/platform/libc/library-call.ts';
import type { Endpoint } from '../../src/model/connection.ts';

/**
 * The few Linux calls that Node does not have, through koffi. All are synchronous, for a thread's network namespace is a state of the
 * thread (see {@link inNetns}). IPv4 only: the sidecar does not intercept IPv6 (docs/proxy.md). koffi knows no `ssize_t`, hence int64.
 */
interface Libc {
  readonly socket: Call;
  readonly setsockopt: Call;
  readonly getsockopt: Call;
  readonly bind: Call;
  readonly connect: Call;
  readonly listen: Call;
  readonly accept4: Call;
  readonly getsockname: Call;
  readonly getpeername: Call;
  readonly ioctl: Call;
  readonly send: Call;
  readonly recv: Call;
  readonly shutdown: Call;
  readonly close: Call;
  readonly open: Call;
  readonly setns: Call;
  readonly unshare: Call;
  readonly fcntl: Call;
  readonly poll: Call;
  readonly epoll_create1: Call;
  readonly epoll_ctl: Call;
  readonly epoll_wait: Call;
  readonly madvise: Call;
  readonly syscall: Call;
}

let loaded: Libc | undefined;

/** For what has calls of its own. */
export function libc(): Libc {
  if (loaded) return loaded;
  loaded = {
    socket: libraryCall('int socket(int, int, int)'),
    setsockopt: libraryCall('int setsockopt(int, int, int, void *, uint32_t)'),
    getsockopt: libraryCall('int getsockopt(int, int, int, void *, void *)'),
    bind: libraryCall('int bind(int, void *, uint32_t)'),
    connect: libraryCall('int connect(int, void *, uint32_t)'),
    listen: libraryCall('int listen(int, int)'),
    accept4: libraryCall('int accept4(int, void *, void *, int)'),
    getsockname: libraryCall('int getsockname(int, void *, void *)'),
    getpeername: libraryCall('int getpeername(int, void *, void *)'),
    ioctl: libraryCall('int ioctl(int, unsigned long, ...)'),
    send: libraryCall('int64_t send(int, void *, size_t, int)'),
    recv: libraryCall('int64_t recv(int, void *, size_t, int)'),
    shutdown: libraryCall('int shutdown(int, int)'),
    close: libraryCall('int close(int)'),
    open: libraryCall('int open(const char *, int, ...)'),
    setns: libraryCall('int setns(int, int)'),
    unshare: libraryCall('int unshare(int)'),
    fcntl: libraryCall('int fcntl(int, int, ...)'),
    poll: libraryCall('int poll(void *, unsigned long, int)'),
    epoll_create1: libraryCall('int epoll_create1(int)'),
    epoll_ctl: libraryCall('int epoll_ctl(int, int, int, void *)'),
    epoll_wait: libraryCall('int epoll_wait(int, void *, int, int)'),
    madvise: libraryCall('int madvise(uint64_t, uint64_t, int)'),
    syscall: libraryCall('long syscall(long, ...)'),
  };
  return loaded;
}

/** Numbers from the kernel's headers (the same on x86-64 and arm64). */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
export const IPPROTO_IP = 0;
export const IP_TRANSPARENT = 19;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_INFO = 11;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_REPAIR_OPTIONS = 22;
export const TCP_TIMESTAMP = 24;
export const TCP_REPAIR_WINDOW = 29;
export const SIOCINQ = 0x541b;
export const SIOCOUTQ = 0x5411;
export const SIOCOUTQNSD = 0x894b;
export const MSG_PEEK = 0x2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;
const CLONE_NEWNET = 0x40000000;
const F_DUPFD_CLOEXEC = 1030;
/** The same number on all architectures; closed on exec. glibc has the call only since 2.36. */
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const POLLERR = 8;
const POLLFD_BYTES = 8;
const POLLFD_REVENTS_AT = 6;
const SOCKADDR_BYTES = 16;
/** For arguments and answers of one call: memory outside of the heap is dear. */
const SCRATCH = Buffer.alloc(SOCKADDR_BYTES);
const SCRATCH_INT = Buffer.alloc(4);
/** struct linger */
const LINGER_ZERO = Buffer.from(new Int32Array([1, 0]).buffer);
const LINGER_OFF = Buffer.from(new Int32Array([0, 0]).buffer);

/** A system call failed. `code` is the error's name, as Node has it (`ECONNREFUSED`). */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly code: string;

  constructor(what: string, code: string) {
    super(`${what}: ${code}`);
    this.code = code;
  }
}

/** @returns the result of a call @throws SystemCallError if it is below 0 */
export function checked(result: number, what: string): number {
  if (result >= 0) return result;
  throw new SystemCallError(what, lastError());
}

/** For a call that a signal (a child has ended) may interrupt even where it does not wait, as poll(2): it is made again. */
export function uninterrupted(call: () => number, what: string): number {
  for (;;) {
    const result = call();
    if (result >= 0 || koffi.errno() !== koffi.os.errno.EINTR) return checked(result, what);
  }
}

/** @returns a non-blocking IPv4 TCP socket of the thread's present network namespace */
export function tcpSocket(): number {
  return checked(libc().socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), 'socket');
}

export function setOption(fd: number, level: number, option: number, value: number | Buffer): void {
  const bytes = typeof value === 'number' ? scratchInt(value) : value;
  checked(libc().setsockopt(fd, level, option, bytes, bytes.length), `setsockopt ${level}/${option}`);
}

/** @param size most bytes the answer can have */
export function getOption(fd: number, level: number, option: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  const length = scratchInt(size);
  checked(libc().getsockopt(fd, level, option, bytes, length), `getsockopt ${level}/${option}`);
  return bytes.subarray(0, length.readUInt32LE());
}

export function getUint32Option(fd: number, level: number, option: number): number {
  checked(libc().getsockopt(fd, level, option, SCRATCH, scratchInt(4)), `getsockopt ${level}/${option}`);
  return SCRATCH.readUInt32LE();
}

export function bindSocket(fd: number, end: Endpoint): void {
  checked(libc().bind(fd, socketAddress(end), SOCKADDR_BYTES), `bind ${end.address}:${end.port}`);
}

/** For a socket in repair mode, which connects without a packet. */
export function connectSocket(fd: number, end: Endpoint): void {
  checked(libc().connect(fd, socketAddress(end), SOCKADDR_BYTES), `connect ${end.address}:${end.port}`);
}

/** Begins to connect. How it ends is seen when the socket is writable ({@link socketError}). */
export function startConnecting(fd: number, end: Endpoint): void {
  if (libc().connect(fd, socketAddress(end), SOCKADDR_BYTES) >= 0) return;
  if (koffi.errno() !== koffi.os.errno.EINPROGRESS)
    throw new SystemCallError(`connect ${end.address}:${end.port}`, lastError());
}

/** The error that a socket has met, which is forgotten by asking. Undefined: none. */
export function socketError(fd: number): string | undefined {
  const errno = getUint32Option(fd, SOL_SOCKET, SO_ERROR);
  return errno === 0 ? undefined : getSystemErrorName(-errno);
}

/** @returns a non-blocking socket, or -1 with {@link lastError} */
export function tryAccept(fd: number): number {
  return libc().accept4(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

export function listenSocket(fd: number, backlog: number): void {
  checked(libc().listen(fd, backlog), 'listen');
}

export function localEnd(fd: number): Endpoint {
  checked(libc().getsockname(fd, SCRATCH, scratchInt(SOCKADDR_BYTES)), 'getsockname');
  return endpointOf(SCRATCH);
}

export function remoteEnd(fd: number): Endpoint {
  checked(libc().getpeername(fd, SCRATCH, scratchInt(SOCKADDR_BYTES)), 'getpeername');
  return endpointOf(SCRATCH);
}

/** An ioctl that answers with one int, e.g. {@link SIOCINQ}. */
export function ioctlInt(fd: number, request: number): number {
  checked(libc().ioctl(fd, request, 'void *', SCRATCH), `ioctl ${request}`);
  return SCRATCH.readInt32LE();
}

/** @returns bytes taken, or -1 with {@link lastError} (EAGAIN most of all): the hot path, where an exception would be the rule */
export function trySend(fd: number, bytes: Uint8Array): number {
  return libc().send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/** @returns bytes read, 0 at the end, or -1 with {@link lastError} */
export function tryReceive(fd: number, into: Uint8Array): number {
  return libc().recv(fd, into, into.length, MSG_DONTWAIT);
}

/** Why the last call has failed: the error's name, as Node has it. */
export function lastError(): string {
  return getSystemErrorName(-koffi.errno());
}

export function sendBytes(fd: number, bytes: Uint8Array): number {
  return checked(libc().send(fd, bytes, bytes.length, MSG_NOSIGNAL), 'send');
}

export function receiveBytes(fd: number, into: Uint8Array, flags: number): number {
  return checked(libc().recv(fd, into, into.length, flags), 'recv');
}

export function shutdownSocket(fd: number, how: number): void {
  checked(libc().shutdown(fd, how), 'shutdown');
}

/** A socket has failed (it was reset, most of all), and nobody has been told yet. Does not tell. */
export function hasFailed(fd: number): boolean {
  const bytes = Buffer.alloc(POLLFD_BYTES);
  bytes.writeInt32LE(fd);
  uninterrupted(() => libc().poll(bytes, 1, 0), 'poll');
  return (bytes.readUInt16LE(POLLFD_REVENTS_AT) & POLLERR) !== 0;
}

export function closeDescriptor(fd: number): void {
  checked(libc().close(fd), 'close');
}

/** @returns a descriptor that is readable when the process has ended (Linux 5.3), or -1 with {@link lastError} */
export function tryOpenProcess(pid: number): number {
  return libc().syscall(SYS_PIDFD_OPEN, 'int', pid, 'uint', 0);
}

/** @returns a descriptor of our own of what another process has open (Linux 5.6), or -1 with {@link lastError}. @param process its pidfd */
export function tryTakeDescriptor(process: number, fd: number): number {
  return libc().syscall(SYS_PIDFD_GETFD, 'int', process, 'int', fd, 'uint', 0);
}

/** Another descriptor of the same socket, which stays open when the first one is closed. */
export function duplicateDescriptor(fd: number): number {
  return checked(libc().fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0), 'fcntl F_DUPFD_CLOEXEC');
}

/**
 * SO_LINGER of 0 seconds: whoever closes the socket, be it the kernel after a crash of this process, the peer gets a reset. `false` makes
 * close orderly again.
 */
export function setResetOnClose(fd: number, on: boolean): void {
  setOption(fd, SOL_SOCKET, SO_LINGER, on ? LINGER_ZERO : LINGER_OFF);
}

/**
 * Runs `work` with this thread in another network namespace: sockets it makes belong there for good, and `/proc/sys/net` is that of the
 * namespace. Must be called on the main thread, and `work` must be synchronous to its end.
 * A thread that cannot come back must not go on, for all it did would be done in the wrong place: the process ends.
 * @param path `/proc/PID/ns/net` or `/run/netns/NAME`
 * @throws SystemCallError, e.g. ENOENT when the task is gone
 */
export function inNetns<T>(path: string, work: () => T): T {
  if (path === home) return work();
  const back = openNamespace('/proc/thread-self/ns/net');
  try {
    const there = openNamespace(path);
    try {
      checked(libc().setns(there, CLONE_NEWNET), `setns ${path}`);
    } finally {
      closeDescriptor(there);
    }
    try {
      return work();
    } finally {
      if (libc().setns(back, CLONE_NEWNET) < 0) process.abort();
    }
  } finally {
    closeDescriptor(back);
  }
}

/**
 * Runs `work` with this thread in a new network namespace, as the kernel makes it, which is gone afterwards. As {@link inNetns}.
 * @throws SystemCallError
 */
export function inNewNetns<T>(work: () => T): T {
  const back = openNamespace('/proc/thread-self/ns/net');
  try {
    checked(libc().unshare(CLONE_NEWNET), 'unshare');
    try {
      return work();
    } finally {
      if (libc().setns(back, CLONE_NEWNET) < 0) process.abort();
    }
  } finally {
    closeDescriptor(back);
  }
}

/** Where the main thread is for good, see {@link moveToNetns}. */
let home: string | undefined;

/**
 * The main thread goes into a network namespace and stays there, as do programs that it starts: {@link inNetns} for this path costs nothing
 * from now on. Must be called on the main thread.
 * @throws SystemCallError, e.g. ENOENT when the task is gone
 */
export function moveToNetns(path: string): void {
  const there = openNamespace(path);
  try {
    checked(libc().setns(there, CLONE_NEWNET), `setns ${path}`);
  } finally {
    closeDescriptor(there);
  }
  home = path;
}

function openNamespace(path: string): number {
  return checked(libc().open(path, O_CLOEXEC), `open ${path}`);
}

function socketAddress(end: Endpoint): Buffer {
  const bytes = SCRATCH.fill(0);
  bytes[0] = AF_INET;
  bytes[2] = end.port >>> 8;
  bytes[3] = end.port;
  if (!writeIPv4(bytes, 4, end.address)) throw new TypeError(`not an IPv4 address: ${end.address}`);
  return bytes;
}

function endpointOf(bytes: Buffer): Endpoint {
  return {
    address: `${bytes[4] ?? 0}.${bytes[5] ?? 0}.${bytes[6] ?? 0}.${bytes[7] ?? 0}`,
    port: ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0),
  };
}

function scratchInt(value: number): Buffer {
  SCRATCH_INT.writeInt32LE(value | 0);
  return SCRATCH_INT;
}
