import { InterruptedDumpError, Netlink, NETLINK_SOCK_DIAG, attributes } from '../netlink.ts';

/** unix_diag(7), and linux/unix_diag.h. */
const SOCK_DIAG_BY_FAMILY = 20;
const AF_UNIX = 1;
const ALL_STATES = 0xffffffff;
const UDIAG_SHOW_PEER = 0x4;
const UNIX_DIAG_PEER = 2;
/** struct unix_diag_req; struct unix_diag_msg, whose inode stands at byte 4. */
const REQUEST_BYTES = 24;
const MESSAGE_BYTES = 16;
const INODE_AT = 4;
const SOCK_STREAM = 1;

const TRIES = 5;

/**
 * The other ends of the connected stream sockets of a network namespace, by inode: a peer may belong to another namespace.
 * @param netns `/proc/PID/ns/net`
 * @throws SystemCallError when the namespace is gone, or the kernel has no unix_diag
 */
export function unixPeers(netns: string): Map<number, number> {
  const netlink = new Netlink(netns, NETLINK_SOCK_DIAG);
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt8(AF_UNIX, 0);
  request.writeUInt32LE(ALL_STATES, 4);
  request.writeUInt32LE(UDIAG_SHOW_PEER, 12);
  try {
    for (let attempt = 1; ; attempt++) {
      const peers = new Map<number, number>();
      try {
        netlink.dump(SOCK_DIAG_BY_FAMILY, request, (body) => {
          if (body[1] !== SOCK_STREAM) return;
          const peer = [...attributes(body.subarray(MESSAGE_BYTES))].find(({ type }) => type === UNIX_DIAG_PEER);
          if (peer !== undefined) peers.set(body.readUInt32LE(INODE_AT), peer.value.readUInt32LE());
        });
        return peers;
      } catch (error) {
        if (!(error instanceof InterruptedDumpError) || attempt >= TRIES) throw error;
      }
    }
  } finally {
    netlink.close();
  }
}
