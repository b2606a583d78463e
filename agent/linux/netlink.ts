import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import {
  MSG_DONTWAIT,
  SOL_SOCKET,
  SO_SNDBUFFORCE,
  SystemCallError,
  closeDescriptor,
  inNetns,
  libc,
  receiveBytes,
  sendBytes,
  setOption,
} from './sys.ts';

/**
 * Questions to the kernel of one network namespace over netlink, answered at once. Why not /proc or `nft list`: /proc/net/tcp walks the
 * whole machine's table of connections (26 ms on a small machine, whatever is in it), and a program costs a process each time; this costs
 * 20 to 70 µs, and may be done ten times a second.
 */
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const HEAD_BYTES = 16;
/** The kernel answers in pieces of at most 32 KiB. */
const ANSWER_BYTES = 64 * 1024;

/** Fits into a socket's buffer as it comes (net.core.wmem_default is 208 KiB). */
const DEFAULT_BUFFER_BYTES = 64 * 1024;

/** What it answers changed while it did. Asking again helps. */
export class InterruptedDumpError extends Error {
  override readonly name = 'InterruptedDumpError';
}

/** One netlink socket, bound for good to the namespace it was made in. */
export class Netlink {
  readonly #fd: number;
  readonly #answer = Buffer.alloc(ANSWER_BYTES);
  #sequence = 0;

  /** @throws SystemCallError when the namespace is gone */
  constructor(netns: string, protocol: number) {
    const { socket } = libc();
    this.#fd = inNetns(netns, () => socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (this.#fd < 0) throw new SystemCallError('socket AF_NETLINK', getSystemErrorName(-koffi.errno()));
  }

  /**
   * Asks for a list and calls `take` with the body of each message of the answer (valid only during the call).
   * @throws SystemCallError with the kernel's answer, e.g. ENOENT
   * @throws InterruptedDumpError
   */
  dump(type: number, request: Buffer, take: (body: Buffer) => void): void {
    const sequence = ++this.#sequence;
    sendBytes(this.#fd, message(type, NLM_F_DUMP, sequence, request));
    let interrupted = false;
    for (;;) {
      for (const { type: kind, flags, body } of this.#answers(sequence)) {
        interrupted ||= (flags & NLM_F_DUMP_INTR) !== 0;
        if (kind === NLMSG_ERROR || kind === NLMSG_DONE) {
          checkError(body);
          if (interrupted) throw new InterruptedDumpError('the list changed while it was read');
          return;
        }
        take(body);
      }
    }
  }

  /**
   * Has nftables apply messages as one transaction: all or none.
   * @throws SystemCallError with the kernel's answer to the first that it refuses, e.g. ENOENT
   */
  transaction(messages: readonly { readonly type: number; readonly body: Buffer }[]): void {
    const first = this.#sequence + 1;
    const next = (): number => ++this.#sequence;
    const subsystem = Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES]);
    const batch = Buffer.concat([
      message(NFNL_MSG_BATCH_BEGIN, 0, next(), subsystem),
      ...messages.map(({ type, body }) => message(type, NLM_F_CREATE | NLM_F_ACK, next(), body)),
      message(NFNL_MSG_BATCH_END, 0, next(), subsystem),
    ]);
    // A transaction is one message to the socket, which takes no larger one than fits into its buffer (with some room for itself).
    if (batch.length > DEFAULT_BUFFER_BYTES) setOption(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, batch.length);
    sendBytes(this.#fd, batch);
    // The kernel has done it all when the call returns. Its answers: an acknowledgment for each message, or what is wrong.
    for (let acknowledged = 0; acknowledged < messages.length;) {
      for (const { type, body } of this.#answers(first)) {
        if (type !== NLMSG_ERROR) continue;
        checkError(body);
        acknowledged += 1;
      }
    }
  }

  close(): void {
    closeDescriptor(this.#fd);
  }

  /** One piece of the kernel's answers; what is left of earlier ones that were not read to their end is passed over. */
  *#answers(first: number): Generator<{ readonly type: number; readonly flags: number; readonly body: Buffer }> {
    const piece = this.#answer.subarray(0, receiveBytes(this.#fd, this.#answer, MSG_DONTWAIT));
    for (let at = 0; at + HEAD_BYTES <= piece.length;) {
      const length = piece.readUInt32LE(at);
      if (length < HEAD_BYTES) throw new SystemCallError('netlink', 'EBADMSG');
      if (piece.readUInt32LE(at + 8) >= first) {
        const [type, flags] = [piece.readUInt16LE(at + 4), piece.readUInt16LE(at + 6)];
        yield { type, flags, body: piece.subarray(at + HEAD_BYTES, at + length) };
      }
      at += aligned(length);
    }
  }
}

/** @param body of a message that ends or acknowledges something: 0, or an error number below it */
function checkError(body: Buffer): void {
  const error = body.length >= 4 ? body.readInt32LE(0) : 0;
  if (error < 0) throw new SystemCallError('netlink', getSystemErrorName(error));
}

function message(type: number, flags: number, sequence: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(HEAD_BYTES + body.length));
  bytes.writeUInt32LE(HEAD_BYTES + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST | flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  body.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** One attribute (`struct nlattr`), padded. */
export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

/** The attributes in `bytes`, by type without the flags; of several with one type, all. */
export function* attributes(bytes: Buffer): Generator<{ readonly type: number; readonly value: Buffer }> {
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return;
    yield { type: bytes.readUInt16LE(at + 2) & 0x3fff, value: bytes.subarray(at + 4, at + length) };
    at += aligned(length);
  }
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
