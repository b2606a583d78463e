import { constants } from 'node:os';
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { libraryCall, type Call } from './library-call.ts';

/**
 * Programs that are started by posix_spawn(3). Node starts them by fork(2), which copies the page tables of the whole process, and each page that is written
 * to afterwards: an agent's main thread did nothing else for 15 to 25 ms a program, which is time in which tasks stand still. posix_spawn shares the memory until
 * the program has begun (clone(2): CLONE_VM, CLONE_VFORK) and takes one or two.
 */
export interface SpawnedProgram {
  readonly pid: number;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** It has ended, and nobody has its outputs any more. */
  readonly ended: Promise<HowItEnded>;
  /** Nothing happens when it has ended already. */
  kill(signal: NodeJS.Signals): void;
}

export type HowItEnded =
  { readonly code: number; readonly signal?: undefined } | { readonly code?: undefined; readonly signal: string };

interface Libc {
  readonly posix_spawnp: Call;
  readonly actionsInit: Call;
  readonly actionsDup2: Call;
  readonly actionsDestroy: Call;
  readonly attributesInit: Call;
  readonly attributesFlags: Call;
  readonly attributesDefaults: Call;
  readonly attributesMask: Call;
  readonly attributesDestroy: Call;
  readonly sigfillset: Call;
  readonly sigemptyset: Call;
  readonly socketpair: Call;
  readonly close: Call;
  readonly waitpid: Call;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const WNOHANG = 1;

/** More than posix_spawnattr_t (336 bytes), posix_spawn_file_actions_t (80) and sigset_t (128) take in any C library of Linux. */
const STRUCT_BYTES = 1024;

/** Outputs are closed just before the end; a program that closes them and works on is looked for at growing intervals. Milliseconds. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 50;

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded) return loaded;
  loaded = {
    posix_spawnp: libraryCall('int posix_spawnp(_Out_ int *, str, void *, void *, str *, str *)'),
    actionsInit: libraryCall('int posix_spawn_file_actions_init(void *)'),
    actionsDup2: libraryCall('int posix_spawn_file_actions_adddup2(void *, int, int)'),
    actionsDestroy: libraryCall('int posix_spawn_file_actions_destroy(void *)'),
    attributesInit: libraryCall('int posix_spawnattr_init(void *)'),
    attributesFlags: libraryCall('int posix_spawnattr_setflags(void *, short)'),
    attributesDefaults: libraryCall('int posix_spawnattr_setsigdefault(void *, void *)'),
    attributesMask: libraryCall('int posix_spawnattr_setsigmask(void *, void *)'),
    attributesDestroy: libraryCall('int posix_spawnattr_destroy(void *)'),
    sigfillset: libraryCall('int sigfillset(void *)'),
    sigemptyset: libraryCall('int sigemptyset(void *)'),
    socketpair: libraryCall('int socketpair(int, int, int, _Out_ int *)'),
    close: libraryCall('int close(int)'),
    waitpid: libraryCall('int waitpid(int, _Out_ int *, int)'),
  };
  return loaded;
}

/**
 * Starts a program with pipes to its three standard streams, default signal handling, and no signal blocked, as Node does.
 * @param env its whole environment; the program itself is looked for in our own PATH
 * @throws Error with the system's `code` (`ENOENT`: there is no such program) when it cannot be started
 */
export function spawnProgram(
  [file, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string | undefined>>,
): SpawnedProgram {
  const pairs: [ours: number, its: number][] = [];
  try {
    for (let stream = 0; stream < 3; stream++) pairs.push(pair());
    const pid = spawnWith(
      [file, ...args],
      env,
      pairs.map(([, its]) => its),
    );
    const [stdin, stdout, stderr] = pairs.map(
      ([fd], stream) => new Socket({ fd, readable: stream > 0, writable: stream === 0 }),
    ) as [Socket, Socket, Socket];
    return child(pid, stdin, stdout, stderr);
  } catch (error) {
    for (const [ours] of pairs) libc().close(ours);
    throw error;
  } finally {
    for (const [, its] of pairs) libc().close(its);
  }
}

function child(pid: number, stdin: Socket, stdout: Socket, stderr: Socket): SpawnedProgram {
  let reaped = false;
  const silent = Promise.all([stdout, stderr].map((stream) => new Promise((resolve) => stream.once('close', resolve))));
  const ended = silent.then(async () => {
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
      const how = reap(pid);
      if (how !== undefined) {
        reaped = true;
        stdin.destroy();
        return how;
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  });
  const kill = (signal: NodeJS.Signals): void => {
    // Until it is reaped nobody else gets its number.
    if (!reaped) process.kill(pid, signal);
  };
  return { pid, stdin, stdout, stderr, ended, kill };
}

/** @param streams what becomes its standard input, output and error */
function spawnWith(
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string | undefined>>,
  streams: readonly number[],
): number {
  const c = libc();
  const [actions, attributes, signals] = [0, 1, 2].map(() => Buffer.alloc(STRUCT_BYTES)) as [Buffer, Buffer, Buffer];
  c.actionsInit(actions);
  c.attributesInit(attributes);
  try {
    for (const [stream, fd] of streams.entries()) c.actionsDup2(actions, fd, stream);
    c.attributesFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    c.sigfillset(signals);
    c.attributesDefaults(attributes, signals);
    c.sigemptyset(signals);
    c.attributesMask(attributes, signals);
    const variables = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
    const pid = [0];
    const errno = c.posix_spawnp(pid, argv[0], actions, attributes, [...argv, null], [...variables, null]);
    if (errno !== 0) throw systemError(`spawn ${argv[0]}`, errno);
    return pid[0] ?? 0;
  } finally {
    c.actionsDestroy(actions);
    c.attributesDestroy(attributes);
  }
}

/** Two ends, which programs that we start do not inherit by themselves. */
function pair(): [number, number] {
  const ends = [0, 0];
  if (libc().socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) !== 0)
    throw systemError('socketpair', koffi.errno());
  return ends as [number, number];
}

/** @returns undefined while it runs */
function reap(pid: number): HowItEnded | undefined {
  const status = [0];
  const got = libc().waitpid(pid, status, WNOHANG);
  if (got === 0 || (got < 0 && koffi.errno() === koffi.os.errno.EINTR)) return undefined;
  if (got < 0) throw systemError('waitpid', koffi.errno());
  const word = status[0] ?? 0;
  const signal = word & 0x7f;
  if (signal === 0) return { code: (word >> 8) & 0xff };
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return { signal: name ?? `signal ${signal}` };
}

function systemError(what: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${what} ${code}`), { code, errno });
}
