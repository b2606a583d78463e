import type { Connection, DatagramSocket, Endpoint, UnconnectedSocket } from '../model/connection.ts';
import { addressText } from '../model/address.ts';
import { damagedImage, decodeImage, type Message } from './criu-image.ts';

const FILES_IMAGE = 'files.img';

/** file_entry (images/fdinfo.proto): type, and the socket if it is one. */
const FILE_TYPE = 1;
const FILE_INET_SOCKET = 4;
const TYPE_INET_SOCKET = 4;

/** inet_sk_entry (images/sk-inet.proto). */
const SOCKET = { ino: 2, family: 3, type: 4, proto: 5, state: 6, srcPort: 7, dstPort: 8, srcAddr: 11, dstAddr: 12 };

/** tcp_stream_entry (images/tcp-stream.proto). */
const STREAM = { inqLen: 1, inqSeq: 2, outqLen: 3, outqSeq: 4, unsqLen: 12 };

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** The kernel's numbers (include/net/tcp_states.h). */
const TCP_STATES: Readonly<Record<number, string>> = {
  1: 'ESTABLISHED',
  2: 'SYN_SENT',
  4: 'FIN_WAIT1',
  5: 'FIN_WAIT2',
  7: 'CLOSE',
  8: 'CLOSE_WAIT',
  9: 'LAST_ACK',
  10: 'LISTEN',
  11: 'CLOSING',
};

interface InetSocket {
  readonly ino: number;
  readonly protocol: 'tcp' | 'udp' | 'other';
  readonly state: string;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/**
 * The TCP connections of a dumped task, in the order of the image. Sockets that listen or were never connected are none.
 * @param files the images by name: `files.img` and every `tcp-stream-*.img`, of which the first few hundred bytes suffice
 * @throws SwarmcutError `damaged`
 */
export function decodeConnections(files: ReadonlyMap<string, Uint8Array>): Connection[] {
  return inetSockets(files).flatMap((socket) => {
    if (socket.protocol !== 'tcp' || socket.state === 'LISTEN' || socket.remote.port === 0) return [];
    const name = `tcp-stream-${socket.ino.toString(16)}.img`;
    const data = files.get(name);
    if (data === undefined) {
      // A connection that had come to its end, but whose socket was not closed yet, is dumped as a mere socket.
      if (socket.state === 'CLOSE') return [];
      throw damagedImage(name, `it is missing, but ${FILES_IMAGE} has its connection`);
    }
    const stream = decodeImage('tcp-stream', name, data, 1)[0];
    if (stream === undefined) throw damagedImage(name, 'it is empty');
    return [connection(socket, stream)];
  });
}

/** The UDP sockets of a dumped task that are connected to somebody who is not in the same namespace. @throws SwarmcutError `damaged` */
export function decodeDatagramSockets(files: ReadonlyMap<string, Uint8Array>): DatagramSocket[] {
  return inetSockets(files).flatMap(({ protocol, local, remote }) =>
    protocol !== 'udp' || remote.port === 0 || isLoopback(remote.address) ? [] : [{ local, remote }],
  );
}

/** Those that are bound to one address and not connected, if others can reach it. @throws SwarmcutError `damaged` */
export function decodeBoundSockets(files: ReadonlyMap<string, Uint8Array>): UnconnectedSocket[] {
  return inetSockets(files).flatMap(({ protocol, state, local, remote }) => {
    const waits = protocol === 'udp' ? remote.port === 0 : protocol === 'tcp' && state === 'LISTEN';
    const reachable = !ANY.includes(local.address) && !isLoopback(local.address) && local.port !== 0;
    return waits && reachable ? [{ local, datagrams: protocol === 'udp' }] : [];
  });
}

const ANY: readonly string[] = ['0.0.0.0', '::'];

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/**
 * What CRIU writes (soccr/soccr.c, refresh_sk and get_queue): `inq_seq` is the kernel's rcv_nxt and `outq_seq` its write_seq, both
 * with FINs counted. `outq_len` is write_seq - snd_una and `unsq_len` is write_seq - snd_nxt, but in the states after our own FIN both
 * are one less unless they were zero, for the FIN is no data.
 */
function connection(socket: InetSocket, stream: Message): Connection {
  const writeSeq = stream.required(STREAM.outqSeq) >>> 0;
  const queued = stream.required(STREAM.outqLen);
  const unsent = stream.number(STREAM.unsqLen) ?? 0;
  let sndUna = back(writeSeq, queued);
  let sndNxt = back(writeSeq, unsent);
  switch (socket.state) {
    case 'FIN_WAIT1':
    case 'LAST_ACK':
    case 'CLOSING':
      // Our FIN is in the queue and not acknowledged: it is the one that was left out.
      sndUna = back(sndUna, 1);
      // If data is unsent, so is the FIN behind it. If none is, the image does not tell whether the FIN itself was sent; taking it as
      // sent is right for the cut condition, since the peer may have it.
      if (unsent > 0) sndNxt = back(sndNxt, 1);
      break;
    case 'SYN_SENT':
      // The SYN is sent, not acknowledged, and the kernel does not report it as queued.
      sndUna = back(writeSeq, 1);
      break;
    default:
  }
  return {
    local: socket.local,
    remote: socket.remote,
    state: socket.state,
    sndUna,
    sndNxt,
    writeSeq,
    rcvNxt: stream.required(STREAM.inqSeq) >>> 0,
    sendQueueBytes: (writeSeq - sndUna) >>> 0,
    recvQueueBytes: stream.required(STREAM.inqLen),
    // After a reset CRIU forgets the send queue, and nothing can be said about what the peer may have of it.
    sequencesKnown: socket.state !== 'CLOSE',
  };
}

/** Sequence numbers are modulo 2^32. */
function back(sequence: number, by: number): number {
  return (sequence - by) >>> 0;
}

function inetSockets(files: ReadonlyMap<string, Uint8Array>): InetSocket[] {
  const data = files.get(FILES_IMAGE);
  if (data === undefined) throw damagedImage(FILES_IMAGE, 'it is missing');
  return decodeImage('files', FILES_IMAGE, data).flatMap((file): InetSocket[] => {
    if (file.number(FILE_TYPE) !== TYPE_INET_SOCKET) return [];
    const entry = file.message(FILE_INET_SOCKET);
    if (entry === undefined) throw damagedImage(FILES_IMAGE, 'a socket without its description');
    const family = entry.required(SOCKET.family);
    if (family !== AF_INET && family !== AF_INET6) throw damagedImage(FILES_IMAGE, `a socket of family ${family}`);
    const stateNumber = entry.required(SOCKET.state);
    const state = TCP_STATES[stateNumber];
    if (state === undefined) throw damagedImage(FILES_IMAGE, `a socket in state ${stateNumber}`);
    return [
      {
        ino: entry.required(SOCKET.ino),
        protocol: protocolOf(entry.required(SOCKET.type), entry.required(SOCKET.proto)),
        state,
        local: endpoint(family, entry, SOCKET.srcAddr, SOCKET.srcPort),
        remote: endpoint(family, entry, SOCKET.dstAddr, SOCKET.dstPort),
      },
    ];
  });
}

function protocolOf(type: number, proto: number): InetSocket['protocol'] {
  if (type === SOCK_STREAM && (proto === IPPROTO_TCP || proto === IPPROTO_IP)) return 'tcp';
  if (type === SOCK_DGRAM && (proto === IPPROTO_UDP || proto === IPPROTO_IP)) return 'udp';
  return 'other';
}

/** Addresses are the bytes of the packet, four to a number, as a little-endian machine reads them. Ports are in host order. */
function endpoint(family: number, entry: Message, addressField: number, portField: number): Endpoint {
  const words = entry.numbers(addressField);
  const wanted = family === AF_INET ? 1 : 4;
  const port = entry.required(portField);
  if (words.length < wanted) throw damagedImage(FILES_IMAGE, `an address of ${words.length} words`);
  if (port > 0xffff) throw damagedImage(FILES_IMAGE, `port ${port}`);
  const bytes = words
    .slice(0, wanted)
    .flatMap((word) => [word, word >>> 8, word >>> 16, word >>> 24].map((b) => b & 0xff));
  return { address: addressText(bytes), port };
}
