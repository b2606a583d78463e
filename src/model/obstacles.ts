/**
 * What CRIU does not carry: the one table that preparation, `coordinator check STACK` and the advice of a failed dump go by. Seen with CRIU 4.2.1;
 * docs/programs/limits.md is for users. To be tried again with another version.
 */
export interface ObstacleKind {
  /**
   * - `refused`: CRIU gives the dump up.
   * - `never-restored`: the dump succeeds, and no restore of it ever does.
   * - `lost`: a restored program goes on without it, or with something else.
   */
  readonly effect: 'refused' | 'never-restored' | 'lost';
  /** What a process does, after its name: "process 7 (server) …". */
  readonly what: string;
  /** What the user can do. */
  readonly advice: string;
  /** How CRIU's log names it. */
  readonly criu?: RegExp;
  /** It is there for a moment only: another try succeeds. */
  readonly passes?: true;
}

export const OBSTACLES = {
  mptcp: {
    effect: 'refused',
    what: 'has a socket of Multipath TCP, which CRIU cannot save',
    advice:
      'give the service a label of swarmcut (swarmcut.algorithm: lai-yang) and start it again: its programs then get plain TCP; or set GODEBUG=multipathtcp=0 for a Go program',
    criu: /Unsupported proto 262|MPTCP/,
  },
  'socket-family': {
    effect: 'refused',
    what: 'has a socket of a kind that CRIU cannot save',
    advice: 'end what uses it (ping, SCTP, VM sockets, AF_ALG) before the snapshot',
    criu: /Unsupported proto \d+|Unsupported socket family|unknown socket family/i,
  },
  'io-uring': {
    effect: 'refused',
    what: 'uses io_uring, which CRIU cannot save',
    advice: 'run it under the default seccomp profile of Docker 25 or later, which forbids io_uring',
    criu: /io_uring/,
  },
  'kernel-object': {
    effect: 'refused',
    what: 'has a descriptor of the kernel that CRIU cannot save',
    advice: 'end what uses it (perf, BPF, seccomp notification, userfaultfd, memfd_secret) before the snapshot',
    criu: /perf_event|bpf-(map|prog)|seccomp notify|userfaultfd|secretmem/,
  },
  'message-queue': {
    effect: 'refused',
    what: 'has a POSIX message queue open, which CRIU cannot save',
    advice: 'use another kind of queue in this program',
    criu: /Can't lookup mount=-?\d+ for fd=\d+ path=\//,
  },
  device: {
    effect: 'refused',
    what: 'has a device open, which CRIU cannot save',
    advice: 'services with devices cannot be part of a snapshot: leave them out of the stack',
    criu: /Can't dump file \d+ of that type \[(2|6)\d{4}\]/,
  },
  stopped: {
    effect: 'refused',
    what: 'is stopped (SIGSTOP or a terminal), and cannot be frozen',
    advice: 'let it go on (`kill -CONT`) or end it, then try again',
  },
  traced: {
    effect: 'refused',
    what: 'is traced by another process (a debugger, strace)',
    advice: 'end the tracing, then try again',
    criu: /zombie .* found while seizing|already has debugger|Unable to trace/i,
  },
  'main-thread-ended': {
    effect: 'refused',
    what: 'has ended its main thread while others run',
    advice: 'such a program cannot be saved; it has to keep its main thread',
    criu: /Zombies with threads are not supported/,
  },
  namespace: {
    effect: 'refused',
    what: 'has namespaces of its own, which CRIU cannot save',
    advice:
      'containers within containers, and sandboxes as those of browsers, cannot be part of a snapshot (--no-sandbox)',
    criu: /nested .*namespaces? .*not supported|Can't dump nested/i,
  },
  'outside-stream': {
    effect: 'refused',
    what: 'is connected by a Unix socket with a process outside of the container',
    advice:
      'end what `docker exec` has connected, and leave services that talk to a daemon of the node (docker.sock) out of the stack',
    criu: /External socket is used|Can't dump half of stream unix connection|unix socket .* without peer/i,
  },
  'host-network': {
    effect: 'refused',
    what: 'runs in the network of its node: blocking it would block the node itself',
    advice: 'use an overlay network, and `ports` with mode host where outsiders need to reach it',
  },
  'memfd-program': {
    effect: 'never-restored',
    what: 'runs a program from memory (memfd), which CRIU saves and cannot restore',
    advice: 'start the program from a file',
  },
  'remade-directory': {
    effect: 'never-restored',
    what: 'has a deleted directory open whose name has been made anew',
    advice: 'let the program close it, or start it again, after such a deployment',
  },
  'other-user': {
    effect: 'refused',
    what: 'belongs to another user than root, and the agent has no right to read its limits',
    advice:
      'the agent needs all capabilities (CAP_SYS_RESOURCE): `coordinator check` shows on which nodes CRIU cannot do it',
    criu: /Can't get rlimit/,
  },
  'unaccepted-stream': {
    effect: 'refused',
    what: 'has a Unix connection with data that nobody has accepted yet',
    advice: 'it passes when the server accepts it',
    criu: /Non-empty write queue on an in-flight socket|In-flight connection/,
    passes: true,
  },
  'control-messages': {
    effect: 'refused',
    what: 'has control messages (descriptors, credentials) in the queue of a Unix socket',
    advice: 'it passes when they are read',
    criu: /Control messages in queue, not supported/,
    passes: true,
  },
  'urgent-data': {
    effect: 'refused',
    what: 'has urgent TCP data that nobody has read yet',
    advice: 'it passes when they are read',
    criu: /recv failed \(\d+, want \d+\): Success/,
    passes: true,
  },
  'vfork-waiting': {
    effect: 'refused',
    what: 'waits for a child of vfork to begin',
    advice: 'it passes when the child has begun',
    criu: /Timeout reached\. Try to interrupt/,
    passes: true,
  },
  sleeping: {
    effect: 'lost',
    what: 'sleeps in a way that a snapshot ends early (EINTR): busybox’ sleep then ends',
    advice: 'call it in a loop, or use the sleep of coreutils (`sleep infinity` of Debian images)',
  },
  'exec-session': {
    effect: 'lost',
    what: 'was started by `docker exec`: it is no part of a snapshot',
    advice: 'it is not there after a restore',
  },
  'node-socket': {
    effect: 'lost',
    what: 'has a socket of the node in a bind mount',
    advice:
      'while the program is connected with it no snapshot is possible; after a restore it is that of the new node',
  },
  'reuseport-program': {
    effect: 'lost',
    what: 'has attached a program that chooses among sockets with the same port (SO_REUSEPORT)',
    advice: 'connections are spread evenly after a restore',
  },
} as const satisfies Record<string, ObstacleKind>;

export type ObstacleName = keyof typeof OBSTACLES;

/** Something in a running task that CRIU does not carry. */
export interface Obstacle {
  readonly kind: ObstacleName;
  /** In the container's pid namespace; 0 for the container as a whole. */
  readonly pid: number;
  /** The process's name of itself. */
  readonly command: string;
  /** Which one: a descriptor, a path. Empty if that says nothing more. */
  readonly object: string;
}

export function kindOf({ kind }: Pick<Obstacle, 'kind'>): ObstacleKind {
  return OBSTACLES[kind];
}

/** "process 7 (server) has a socket of Multipath TCP, which CRIU cannot save (descriptor 3)" */
export function obstacleText(obstacle: Obstacle): string {
  const { pid, command, object } = obstacle;
  const who = pid === 0 ? 'the task' : `process ${pid} (${command})`;
  return `${who} ${kindOf(obstacle).what}${object === '' ? '' : ` (${object})`}`;
}

/** The kind of which a line of CRIU's log speaks. */
export function kindOfCriuLine(line: string): ObstacleKind | undefined {
  const kinds: readonly ObstacleKind[] = Object.values(OBSTACLES);
  return kinds.find(({ criu }) => criu?.test(line));
}

/** Whether a round that failed with this message, CRIU's or {@link obstacleText}'s, is worth another try. */
export function passesByItself(message: string): boolean {
  const kinds: readonly ObstacleKind[] = Object.values(OBSTACLES);
  return kinds.some(
    ({ passes, what, criu }) => passes === true && (criu?.test(message) === true || message.includes(what)),
  );
}
