import type { ObstacleName } from '../../src/model/obstacles.ts';

/** Descriptors as `/proc/PID/fd` names them (man 5 proc_pid_fd). */
const FILES: readonly (readonly [RegExp, ObstacleName])[] = [
  [/^anon_inode:\[io_uring\]$/, 'io-uring'],
  [
    /^anon_inode:(\[perf_event\]|bpf-|\[bpf|seccomp notify|\[userfaultfd\]|\[landlock-ruleset\]|kvm-|\[kvm)/,
    'kernel-object',
  ],
  [/^\/secretmem( |$)/, 'kernel-object'],
];

/** Undefined for what CRIU carries, as far as the name tells. @param target where the link in /proc leads */
export function fileObstacle(target: string): ObstacleName | undefined {
  return FILES.find(([pattern]) => pattern.test(target))?.[1];
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const IPPROTO_MPTCP = 262;

/** Families that CRIU dumps: unix, IPv4, IPv6, netlink, packet (criu/sockets.c). */
const FAMILIES = new Set([1, AF_INET, AF_INET6, 16, 17]);
/** TCP, UDP, UDPLITE (criu/sk-inet.c, can_dump_ipproto). */
const PROTOCOLS = new Set([6, 17, 136]);

const NAMES: Readonly<Record<string, string>> = {
  'family 38': 'AF_ALG',
  'family 40': 'VM sockets',
  'family 44': 'AF_XDP',
  'protocol 1': 'ping',
  'protocol 58': 'ping',
  'protocol 132': 'SCTP',
};

/** @returns undefined for what CRIU carries; else the kind, and what to add to its text */
export function socketObstacle(socket: {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
}): { readonly kind: ObstacleName; readonly name: string } | undefined {
  const { family, type, protocol } = socket;
  if (!FAMILIES.has(family)) return { kind: 'socket-family', name: nameOf(`family ${family}`) };
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if (protocol === IPPROTO_MPTCP) return { kind: 'mptcp', name: '' };
  if (type === SOCK_RAW || PROTOCOLS.has(protocol)) return undefined;
  return { kind: 'socket-family', name: nameOf(`protocol ${protocol}`) };
}

function nameOf(number: string): string {
  return `, ${NAMES[number] ?? number}`;
}
