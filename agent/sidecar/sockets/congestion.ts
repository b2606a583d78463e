import { IPPROTO_TCP, getOption, setOption } from '../../linux/sys.ts';

/** linux/tcp.h */
const TCP_CONGESTION = 13;
/** TCP_CA_NAME_MAX of linux/include/net/tcp.h. Bytes. */
const MOST_NAME_BYTES = 16;

/** In this order; every kernel has the last one. */
const BY_WINDOW = ['cubic', 'reno'] as const;

/** The name of a socket's congestion control. */
export function congestionControl(fd: number): string {
  return getOption(fd, IPPROTO_TCP, TCP_CONGESTION, MOST_NAME_BYTES).toString('latin1').replace(/\0.*$/s, '');
}

/**
 * Gives a socket another congestion control where the node's is BBR; accepted sockets inherit it. Streams stand still at every cut, with a full window at
 * the other end. BBR takes what trickles through meanwhile (a byte with each probe of the window) for the path's bandwidth, and paces by that
 * afterwards: tunnels were seen at 2 kB/s for minutes with a megabyte before their marker, and the round was given up. Others count what is
 * acknowledged, not how fast. (draft-ietf-ccwg-bbr, delivery rate samples: what is limited by the receiver's window does not count as limited by the
 * application.)
 */
export function withoutBandwidthModel(fd: number): void {
  if (!congestionControl(fd).startsWith('bbr')) return;
  for (const name of BY_WINDOW) {
    try {
      setOption(fd, IPPROTO_TCP, TCP_CONGESTION, Buffer.from(name));
      return;
    } catch {
      // This kernel has it not.
    }
  }
}
