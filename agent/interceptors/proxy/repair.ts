import { z } from 'zod';
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
 * lock of rules.ts): repair mode alone does not stop the other end.
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

const WINDOW_BYTES = 20;
const INFO_BYTES = 104;
const BUFFER_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** States in which we have closed our direction. */
const FIN_WAIT1 = 4;
const FIN_WAIT2 = 5;
const CLOSE_WAIT = 8;
const ESTABLISHED = 1;

const endpoint = z.object({ address: z.string(), port: z.number() });

/** Everything about one end; as JSON. Sequence numbers are those behind the queues. */
export const tcpEndSchema = z.object({
  local: endpoint,
  remote: endpoint,
  /** The kernel's number: 1 ESTABLISHED, 4 FIN_WAIT1, 5 FIN_WAIT2, 8 CLOSE_WAIT. */
  state: z.number(),
  options: z.number(),
  mss: z.number(),
  sendScale: z.number(),
  receiveScale: z.number(),
  timestamp: z.number(),
  receiveSeq: z.number(),
  sendSeq: z.number(),
  /** Received, not read. base64, as are the other two. */
  received: z.string(),
  /** Sent, not acknowledged. */
  sent: z.string(),
  /** Not yet sent. */
  unsent: z.string(),
  /** struct tcp_repair_window. */
  window: z.string(),
});

export type TcpEnd = z.infer<typeof tcpEndSchema>;

/**
 * Takes the state of an end; the connection stays as it was. Bytes that are not in the kernel (Link.unsent) are the caller's business.
 * @throws Error for a state that is not one of {@link TcpEnd.state}: a connection in its last steps is over for both applications
 */
export function takeEnd(fd: number): TcpEnd {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
  try {
    return readEnd(fd);
  } finally {
    setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE);
    setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_QUIETLY);
    // Ending repair mode has cleared it.
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  }
}

/** Closes an end without a packet. `fd` is closed too. */
export function dropEnd(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
  closeDescriptor(fd);
}

/**
 * Makes an end again, in repair mode: it sends nothing before {@link wakeEnd}.
 * @param mark packet mark of the socket
 * @returns its descriptor, non-blocking
 */
export function makeEnd(netns: string, end: TcpEnd, mark: number): number {
  const fd = inNetns(netns, tcpSocket);
  try {
    fillEnd(fd, end, mark);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Both ends are there and the lock is open: lets it live, and wakes the other end. Bytes that were never sent are to be sent by the caller. */
export function wakeEnd(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF);
  // Ending repair mode has cleared it.
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

/**
 * How far closing had come. An own FIN that was not acknowledged must be sent again (by shutdown, after {@link wakeEnd}); one that was must
 * not. After a received one nothing more comes: `read` on the new end will not say so, its owner has to know.
 */
export function finOf(end: TcpEnd): {
  readonly sent: boolean;
  readonly unacknowledged: boolean;
  readonly received: boolean;
} {
  return {
    sent: end.state === FIN_WAIT1 || end.state === FIN_WAIT2,
    unacknowledged: end.state === FIN_WAIT1,
    received: end.state === CLOSE_WAIT,
  };
}

function readEnd(fd: number): TcpEnd {
  const info = getOption(fd, IPPROTO_TCP, TCP_INFO, INFO_BYTES);
  const state = info.readUInt8(0);
  if (![ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT].includes(state))
    throw new Error(`a TCP connection in state ${state} cannot be taken`);
  const options = info.readUInt8(5);
  const scales = info.readUInt8(6);
  // The FIN has a sequence number but no byte.
  const ownFin = state === FIN_WAIT1 ? 1 : 0;
  const unsentBytes = Math.max(0, ioctlInt(fd, SIOCOUTQNSD));
  const receive = readQueue(fd, RECEIVE_QUEUE, ioctlInt(fd, SIOCINQ));
  const send = readQueue(fd, SEND_QUEUE, Math.max(0, ioctlInt(fd, SIOCOUTQ) - ownFin));
  const unsent = Math.min(unsentBytes, send.bytes.length);
  return {
    local: localEnd(fd),
    remote: remoteEnd(fd),
    state,
    options,
    mss: getUint32Option(fd, IPPROTO_TCP, TCP_MAXSEG),
    sendScale: scales & 15,
    receiveScale: scales >> 4,
    timestamp: options & OPTION_TIMESTAMPS ? getUint32Option(fd, IPPROTO_TCP, TCP_TIMESTAMP) : 0,
    receiveSeq: receive.seq,
    sendSeq: (send.seq - ownFin) >>> 0,
    received: receive.bytes.toString('base64'),
    sent: send.bytes.subarray(0, send.bytes.length - unsent).toString('base64'),
    unsent: send.bytes.subarray(send.bytes.length - unsent).toString('base64'),
    window: getOption(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, WINDOW_BYTES).toString('base64'),
  };
}

/** `seq` is that behind the last byte of the queue. */
function readQueue(fd: number, queue: number, length: number): { readonly seq: number; readonly bytes: Buffer } {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
  const seq = getUint32Option(fd, IPPROTO_TCP, TCP_QUEUE_SEQ);
  const bytes = Buffer.alloc(length);
  const got = length === 0 ? 0 : receiveBytes(fd, bytes, MSG_PEEK | MSG_DONTWAIT);
  if (got !== length) throw new Error(`queue ${queue} has ${length} bytes, ${got} could be read`);
  return { seq, bytes };
}

function fillEnd(fd: number, end: TcpEnd, mark: number): void {
  const received = Buffer.from(end.received, 'base64');
  const sent = Buffer.from(end.sent, 'base64');
  const unsentBytes = Buffer.from(end.unsent, 'base64').length;
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES);
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
  // Forces the reuse of the address; SO_REUSEADDR set after it would weaken that.
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
  setOption(fd, SOL_SOCKET, SO_MARK, mark);
  setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
  setSequence(fd, RECEIVE_QUEUE, end.receiveSeq - received.length);
  setSequence(fd, SEND_QUEUE, end.sendSeq - sent.length - unsentBytes);
  setOption(fd, IPPROTO_TCP, TCP_MAXSEG, end.mss); // else it stays at 524 after the connect
  bindSocket(fd, end.local);
  connectSocket(fd, end.remote); // without a packet
  setOption(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, repairOptions(end));
  if (end.options & OPTION_TIMESTAMPS) setOption(fd, IPPROTO_TCP, TCP_TIMESTAMP, end.timestamp);
  fillQueue(fd, RECEIVE_QUEUE, received);
  fillQueue(fd, SEND_QUEUE, sent);
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
