import type { Fins, TcpEnd } from '../../src/formats/tcp-end.ts';
import {
  IPPROTO_IP,
  IPPROTO_TCP,
  IP_TRANSPARENT,
  MSG_DONTWAIT,
  MSG_PEEK,
  SIOCINQ,
  SIOCOUTQ,
  SIOCOUTQNSD,
  SOL_SOCKET,
  SO_MARK,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_SNDBUFFORCE,
  TCP_INFO,
  TCP_MAXSEG,
  TCP_QUEUE_SEQ,
  TCP_REPAIR,
  TCP_REPAIR_OPTIONS,
  TCP_REPAIR_QUEUE,
  TCP_REPAIR_WINDOW,
  TCP_TIMESTAMP,
  bindSocket,
  closeDescriptor,
  connectSocket,
  getOption,
  getUint32Option,
  hasFailed,
  inNetns,
  ioctlInt,
  localEnd,
  receiveBytes,
  remoteEnd,
  sendBytes,
  setOption,
  tcpSocket,
} from './sys.ts';

/**
 * One end of a TCP connection, taken out of the kernel and made again elsewhere (TCP_REPAIR; tcp(7), and CRIU's soccr for the order). The
 * other end notices nothing, provided that no packet of the connection passes from before it is taken until it is made again (the
 * block of agent/network/rules.ts): repair mode alone does not stop the other end.
 */
const RECEIVE_QUEUE = 1;
const SEND_QUEUE = 2;
const NO_QUEUE = 0;
/** TCP_REPAIR's ways to end it; the first sends a window probe, which wakes the other end. */
const REPAIR_OFF = 0;
const REPAIR_OFF_QUIETLY = -1;

const OPTION_TIMESTAMPS = 1;
const OPTION_SACK = 2;
const OPTION_WINDOW_SCALE = 4;

/** Most that TCP_MAXSEG takes (MAX_TCP_WINDOW); over `lo` segments may be larger. */
const MAX_MAXSEG = 32_767;
const WINDOW_BYTES = 20;
const INFO_BYTES = 104;
const CHUNK_BYTES = 64 * 1024;
/** Where `snd_wnd` stands in struct tcp_repair_window. */
const SEND_WINDOW_AT = 4;

/** The kernel's numbers (include/net/tcp_states.h). */
export const TCP_STATES = {
  established: 1,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  closing: 11,
} as const;

const { established, finWait1, finWait2, closeWait, lastAck, closing } = TCP_STATES;
const TAKEN: readonly number[] = [established, finWait1, finWait2, closeWait, lastAck, closing];
const OWN_FIN_QUEUED: readonly number[] = [finWait1, lastAck, closing];

function finsOf(state: number): Fins {
  const unacknowledged = OWN_FIN_QUEUED.includes(state);
  return {
    sent: unacknowledged || state === finWait2,
    acknowledged: state === finWait2,
    received: state === closeWait || state === lastAck || state === closing,
  };
}

/** @returns the kernel's number, see {@link TCP_STATES} */
export function stateOf(fd: number): number {
  return getOption(fd, IPPROTO_TCP, TCP_INFO, 1).readUInt8(0);
}

/**
 * Takes the state of an end; the connection stays as it was. Bytes that are not in the kernel (Link.unsent) are the caller's business.
 * @param known how far closing had come when this end was made again; the kernel tells only what has happened since
 * @throws Error for a connection that is over (or not yet there)
 */
export function takeEnd(fd: number, known: Partial<Fins> = {}): TcpEnd {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
  try {
    return readEnd(fd, known);
  } finally {
    setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE);
    setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_QUIETLY);
    // Ending repair mode has cleared it.
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  }
}

/**
 * What is left of a connection that both sides have closed in order: bytes that were received and not read. Undefined if it is no such one.
 * @param ends of the connection, which the kernel has forgotten
 */
export function takeClosed(fd: number, ends: Pick<TcpEnd, 'local' | 'remote'>): TcpEnd | undefined {
  if (stateOf(fd) !== TCP_STATES.close || hasFailed(fd)) return undefined;
  const received = Buffer.allocUnsafe(Math.max(0, ioctlInt(fd, SIOCINQ)));
  if (received.length > 0) receiveBytes(fd, received, MSG_PEEK | MSG_DONTWAIT);
  return {
    ...ends,
    fins: { sent: true, acknowledged: true, received: true },
    options: 0,
    mss: 0,
    sendScale: 0,
    receiveScale: 0,
    timestamp: 0,
    receiveSeq: 0,
    sendSeq: 0,
    window: '',
    received,
    unacknowledged: Buffer.alloc(0),
    unsentBytes: 0,
  };
}

/** From now on, closing this end sends no packet. */
export function silence(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
}

/** Closes an end without a packet. `fd` is closed too. */
export function dropEnd(fd: number): void {
  silence(fd);
  closeDescriptor(fd);
}

/**
 * Makes an end again, in repair mode: it sends nothing before {@link wakeEnd}. Closing is not made again: the kernel takes the new end for
 * open both ways, and its owner has to know better ({@link Fins}). A FIN that was not acknowledged must be sent again (by shutdown,
 * after {@link wakeEnd}); one that was must not. After a received one nothing more comes, and `read` will not say so. Bytes that have
 * never been sent are to be sent after {@link wakeEnd}, too.
 * @param mark packet mark of the socket
 * @param bufferBytes of the socket, each way
 * @returns its descriptor, non-blocking
 */
export function makeEnd(netns: string, end: TcpEnd, mark: number, bufferBytes: number): number {
  const fd = inNetns(netns, tcpSocket);
  try {
    fillEnd(fd, end, mark, bufferBytes);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Both ends are there and the block is open: lets it live, and wakes the other end. */
export function wakeEnd(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF);
  // Ending repair mode has cleared it.
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

/** An end that is to be made again with empty queues, and what its queues had. */
export interface EmptiedEnd {
  readonly end: TcpEnd;
  /** To be read as if it had just come. */
  readonly received: Buffer;
  /** Of what was sent, the other end has not got this: to be sent again, before anything else. */
  readonly unsent: Buffer;
  /** The other end has our FIN. */
  readonly finDelivered: boolean;
}

/**
 * Empties the queues of an end, by what the other end (as its image says) has received. A restored socket waits 3 s before it sends
 * anything again (TCP_TIMEOUT_FALLBACK), so nothing may be in its queue as sent.
 * @param peerRcvNxt next sequence number that the other end expects, a FIN counted
 * @throws Error when that does not fit this end: then the two were not recorded in the same cut
 */
export function emptyEnd(end: TcpEnd, peerRcvNxt: number): EmptiedEnd {
  const { received, unacknowledged } = end;
  const finDelivered = end.fins.sent && peerRcvNxt === (end.sendSeq + 1) >>> 0;
  const missing = finDelivered ? 0 : (end.sendSeq - peerRcvNxt) >>> 0;
  if (missing > unacknowledged.length)
    throw new Error(
      `the application expects ${peerRcvNxt}, but ${unacknowledged.length} bytes up to ${end.sendSeq} are recorded`,
    );
  const window = Buffer.from(end.window, 'base64');
  // What it has received meanwhile, without our having heard of it, has taken its share of the window that we know.
  const taken = unacknowledged.length - missing;
  window.writeUInt32LE(Math.max(0, window.readUInt32LE(SEND_WINDOW_AT) - taken), SEND_WINDOW_AT);
  return {
    end: {
      ...end,
      fins: { sent: false, acknowledged: false, received: false },
      sendSeq: peerRcvNxt,
      window: window.toString('base64'),
      received: Buffer.alloc(0),
      unacknowledged: Buffer.alloc(0),
      unsentBytes: 0,
    },
    received,
    unsent: unacknowledged.subarray(taken),
    finDelivered,
  };
}

function readEnd(fd: number, known: Partial<Fins>): TcpEnd {
  const info = getOption(fd, IPPROTO_TCP, TCP_INFO, INFO_BYTES);
  const state = info.readUInt8(0);
  if (!TAKEN.includes(state)) throw new Error(`a TCP connection in state ${state} cannot be taken`);
  const options = info.readUInt8(5);
  const scales = info.readUInt8(6);
  const told = finsOf(state);
  const fins = {
    sent: told.sent || known.acknowledged === true,
    acknowledged: told.acknowledged || known.acknowledged === true,
    received: told.received || known.received === true,
  };
  const receive = readQueue(fd, RECEIVE_QUEUE, ioctlInt(fd, SIOCINQ));
  // A FIN has a sequence number but no byte.
  const queuedFin = fins.sent && !fins.acknowledged ? 1 : 0;
  const send = readQueue(fd, SEND_QUEUE, Math.max(0, ioctlInt(fd, SIOCOUTQ) - queuedFin));
  return {
    local: localEnd(fd),
    remote: remoteEnd(fd),
    fins,
    options,
    mss: getUint32Option(fd, IPPROTO_TCP, TCP_MAXSEG),
    sendScale: scales & 15,
    receiveScale: scales >> 4,
    timestamp: options & OPTION_TIMESTAMPS ? getUint32Option(fd, IPPROTO_TCP, TCP_TIMESTAMP) : 0,
    receiveSeq: receive.seq,
    sendSeq: (send.seq - Number(fins.sent)) >>> 0,
    received: receive.bytes,
    unacknowledged: send.bytes,
    unsentBytes: Math.min(send.bytes.length, Math.max(0, ioctlInt(fd, SIOCOUTQNSD))),
    window: getOption(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, WINDOW_BYTES).toString('base64'),
  };
}

/** `seq` is that behind the last byte of the queue. */
function readQueue(fd: number, queue: number, length: number): { readonly seq: number; readonly bytes: Buffer } {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
  const seq = getUint32Option(fd, IPPROTO_TCP, TCP_QUEUE_SEQ);
  const bytes = Buffer.allocUnsafe(length);
  const got = length === 0 ? 0 : receiveBytes(fd, bytes, MSG_PEEK | MSG_DONTWAIT);
  if (got !== length) throw new Error(`queue ${queue} has ${length} bytes, ${got} could be read`);
  return { seq, bytes };
}

function fillEnd(fd: number, end: TcpEnd, mark: number, bufferBytes: number): void {
  const { received, unacknowledged } = end;
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, Math.max(bufferBytes, 2 * unacknowledged.length));
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, Math.max(bufferBytes, 2 * received.length));
  // Forces the reuse of the address; SO_REUSEADDR set after it would weaken that.
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
  setOption(fd, SOL_SOCKET, SO_MARK, mark);
  setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
  setSequence(fd, RECEIVE_QUEUE, end.receiveSeq - received.length);
  const ownFin = end.fins.acknowledged ? 1 : 0;
  setSequence(fd, SEND_QUEUE, end.sendSeq + ownFin - unacknowledged.length);
  setOption(fd, IPPROTO_TCP, TCP_MAXSEG, Math.min(end.mss, MAX_MAXSEG)); // else it stays at 524 after the connect
  bindSocket(fd, end.local);
  connectSocket(fd, end.remote); // without a packet
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, repairOptions(end));
  if (end.options & OPTION_TIMESTAMPS) setOption(fd, IPPROTO_TCP, TCP_TIMESTAMP, end.timestamp);
  fillQueue(fd, RECEIVE_QUEUE, received);
  fillQueue(fd, SEND_QUEUE, unacknowledged.subarray(0, unacknowledged.length - end.unsentBytes));
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE);
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, Buffer.from(end.window, 'base64'));
}

function setSequence(fd: number, queue: number, seq: number): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
  setOption(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq >>> 0);
}

function fillQueue(fd: number, queue: number, bytes: Buffer): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
  for (let at = 0; at < bytes.length;) at += sendBytes(fd, bytes.subarray(at, at + CHUNK_BYTES));
}

/** What was agreed on in the three-way handshake: struct tcp_repair_opt, by TCP option number. */
function repairOptions(end: TcpEnd): Buffer {
  const options: [number, number][] = [[2, end.mss]];
  if (end.options & OPTION_WINDOW_SCALE) options.push([3, end.sendScale | (end.receiveScale << 16)]);
  if (end.options & OPTION_SACK) options.push([4, 0]);
  if (end.options & OPTION_TIMESTAMPS) options.push([8, 0]);
  const bytes = Buffer.alloc(8 * options.length);
  options.forEach(([code, value], at) => {
    bytes.writeUInt32LE(code, at * 8);
    bytes.writeUInt32LE(value >>> 0, at * 8 + 4);
  });
  return bytes;
}
