import { isIPv6 } from 'node:net';
import koffi from 'koffi';
import { inNetns } from '../../../agent/linux/sys.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { libraryCall } from '../../../src/platform/libc/library-call.ts';

/**
 * A socket whose every answer is seen as the kernel gives it: Node hides what a connected datagram socket, a soft error or EPOLLERR says. Descriptors
 * are of this process; non-blocking.
 */
const libc = {
  socket: libraryCall('int socket(int, int, int)'),
  bind: libraryCall('int bind(int, void *, uint32_t)'),
  connect: libraryCall('int connect(int, void *, uint32_t)'),
  listen: libraryCall('int listen(int, int)'),
  accept4: libraryCall('int accept4(int, void *, void *, int)'),
  setsockopt: libraryCall('int setsockopt(int, int, int, void *, uint32_t)'),
  getsockopt: libraryCall('int getsockopt(int, int, int, void *, void *)'),
  getsockname: libraryCall('int getsockname(int, void *, void *)'),
  send: libraryCall('int64_t send(int, void *, size_t, int)'),
  sendto: libraryCall('int64_t sendto(int, void *, size_t, int, void *, uint32_t)'),
  recvfrom: libraryCall('int64_t recvfrom(int, void *, size_t, int, void *, void *)'),
  shutdown: libraryCall('int shutdown(int, int)'),
  poll: libraryCall('int poll(void *, unsigned long, int)'),
  close: libraryCall('int close(int)'),
};

const AF_INET = 2;
const AF_INET6 = 10;
const NONBLOCK_CLOEXEC = 0o2004000;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const POLLERR = 8;
const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

function encode({ address, port }: Endpoint): Buffer {
  if (!isIPv6(address)) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(port, 2);
    bytes.set(address.split('.').map(Number), 4);
    return bytes;
  }
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  groups(head).forEach((group, index) => bytes.writeUInt16BE(group, 8 + 2 * index));
  groups(tail).forEach((group, index, all) => bytes.writeUInt16BE(group, 24 - 2 * (all.length - index)));
  return bytes;
}

function portIn(bytes: Buffer): number {
  return bytes.readUInt16BE(2);
}

/** What a call has answered: a number, or the error's name. */
export type Answer = number | string;

export class RawSocket {
  readonly fd: number;

  constructor(fd: number) {
    if (fd < 0) throw new Error(`no socket: ${names.get(koffi.errno()) ?? ''}`);
    this.fd = fd;
  }

  static make(netns: string, kind: 'tcp' | 'udp', family: 4 | 6 = 4): RawSocket {
    return inNetns(
      netns,
      () =>
        new RawSocket(libc.socket(family === 4 ? AF_INET : AF_INET6, (kind === 'tcp' ? 1 : 2) | NONBLOCK_CLOEXEC, 0)),
    );
  }

  bind(end: Endpoint): this {
    const address = encode(end);
    if (libc.bind(this.fd, address, address.length) < 0) throw new Error(`bind: ${String(names.get(koffi.errno()))}`);
    return this;
  }

  listen(): this {
    libc.listen(this.fd, 64);
    return this;
  }

  connect(end: Endpoint): Answer {
    const address = encode(end);
    return answer(libc.connect(this.fd, address, address.length));
  }

  accept(): RawSocket | undefined {
    const fd = libc.accept4(this.fd, null, null, NONBLOCK_CLOEXEC);
    return fd < 0 ? undefined : new RawSocket(fd);
  }

  get port(): number {
    const bytes = Buffer.alloc(28);
    libc.getsockname(this.fd, bytes, sizeOf(28));
    return portIn(bytes);
  }

  set(level: number, option: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    libc.setsockopt(this.fd, level, option, bytes, 4);
    return this;
  }

  get(level: number, option: number): number {
    const bytes = Buffer.alloc(4);
    libc.getsockopt(this.fd, level, option, bytes, sizeOf(4));
    return bytes.readInt32LE();
  }

  send(text: string): Answer {
    const bytes = Buffer.from(text);
    return answer(libc.send(this.fd, bytes, bytes.length, MSG_NOSIGNAL));
  }

  sendTo(text: string, end: Endpoint): Answer {
    const [bytes, address] = [Buffer.from(text), encode(end)];
    return answer(libc.sendto(this.fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length));
  }

  /** `undefined`: nothing is there. */
  receive(): string | undefined {
    const bytes = Buffer.alloc(65_536);
    const got = answer(libc.recvfrom(this.fd, bytes, bytes.length, 0, null, null));
    if (got === 'EAGAIN' || got === 'EWOULDBLOCK') return undefined;
    return typeof got === 'string' ? got : `"${bytes.subarray(0, got).toString()}"`;
  }

  shutdown(): Answer {
    return answer(libc.shutdown(this.fd, 1));
  }

  /** Asking forgets it. */
  get error(): string {
    const value = Buffer.alloc(4);
    libc.getsockopt(this.fd, SOL_SOCKET, SO_ERROR, value, sizeOf(4));
    const errno = value.readInt32LE();
    return errno === 0 ? 'none' : (names.get(errno) ?? String(errno));
  }

  get polledError(): boolean {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(this.fd);
    libc.poll(bytes, 1, 0);
    return (bytes.readUInt16LE(6) & POLLERR) !== 0;
  }

  close(): void {
    libc.close(this.fd);
  }
}

function answer(result: number): Answer {
  return result >= 0 ? result : (names.get(koffi.errno()) ?? String(koffi.errno()));
}

function sizeOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
