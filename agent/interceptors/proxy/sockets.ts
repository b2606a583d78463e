import { createServer, Socket } from 'node:net';
import type { OnReadOpts, Server, SocketConstructorOpts } from 'node:net';
import type { Endpoint } from '../../../src/model/connection.ts';
import {
  IPPROTO_IP,
  IPPROTO_TCP,
  IP_TRANSPARENT,
  SOL_SOCKET,
  SO_KEEPALIVE,
  SO_MARK,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_SNDBUFFORCE,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  bindSocket,
  closeDescriptor,
  inNetns,
  listenSocket,
  setOption,
  tcpSocket,
} from './sys.ts';
import { MARKS } from './rules.ts';

/** Node's sockets on top of descriptors that were made in the task's network namespace. */

const BACKLOG = 4096;

/**
 * Buffers in the kernel, each way. What is in a tunnel's lies before a marker, must be recorded with a slow reader, and then waits in the
 * sidecar's memory; what is in those towards the application is in the record of its end. The kernel's own choice (up to 10 MB a socket)
 * would be added at every round. The kernel takes twice the number, half of it for its own needs. Bytes.
 */
const TUNNEL_BUFFER_BYTES = 512 * 1024;
export const APP_BUFFER_BYTES = 512 * 1024;

/**
 * An application's own keep-alive is answered by its sidecar, so the tunnels look after each other: a host that is gone without a word is
 * noticed after two minutes. Seconds.
 */
const KEEP_ALIVE = { idle: 60, interval: 10, probes: 6 } as const;

function limitBuffers(fd: number, bytes: number): void {
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes);
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
}

function setUpTunnel(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_MARK, MARKS.sidecar);
  limitBuffers(fd, TUNNEL_BUFFER_BYTES);
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE.idle);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_ALIVE.interval);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_ALIVE.probes);
}

function setUpApp(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_MARK, MARKS.app);
  limitBuffers(fd, APP_BUFFER_BYTES);
  setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

/** Takes an accepted connection: a handle of Node's, for {@link adoptHandle}. */
export type AcceptHandle = (handle: object) => void;

/**
 * A listener of the sidecar in the task's namespace, for other sidecars (`tunnel`), or for the application: it gets what TPROXY brings, for
 * whatever address. Accepted sockets inherit its options.
 */
export function listenIn(netns: string, port: number, kind: 'app' | 'tunnel', accept: AcceptHandle): Promise<Server> {
  const fd = inNetns(netns, () =>
    orClose(tcpSocket(), (made) => {
      setOption(made, SOL_SOCKET, SO_REUSEADDR, 1);
      if (kind === 'app') setUpApp(made);
      else setUpTunnel(made);
      bindSocket(made, { address: '0.0.0.0', port });
      listenSocket(made, BACKLOG);
    }),
  );
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, () => {
      // Node's server makes the sockets itself and has no way to give them `onread`: the handle is taken before.
      const own = (server as unknown as { _handle: { onconnection: (error: number, handle?: object) => void } })
        ._handle;
      own.onconnection = (error, handle) => {
        if (error === 0 && handle) accept(handle);
      };
      resolve(server);
    });
  });
}

/** Socket options of Node that its types do not have. */
type Options = SocketConstructorOpts & {
  onread: OnReadOpts;
  handle?: object;
  manualStart?: boolean;
  pauseOnCreate?: boolean;
};

/** A socket around an accepted handle; it reads nothing before `resume()`. */
export function adoptHandle(handle: object, onread: OnReadOpts): Socket {
  return new Socket({ handle, allowHalfOpen: true, pauseOnCreate: true, onread } as Options);
}

/** A socket around a connected descriptor; it reads nothing before `resume()`. */
export function adoptDescriptor(fd: number, onread: OnReadOpts): Socket {
  return new Socket({ fd, allowHalfOpen: true, manualStart: true, onread } as Options);
}

/**
 * Connects from the task's namespace, past our own rules.
 * @param from address and port to connect to the application from; may be another task's. Without it: a tunnel to another sidecar
 * @throws SystemCallError, e.g. EADDRINUSE for `from`
 */
export function connectFrom(netns: string, to: Endpoint, from: Endpoint | undefined, onread: OnReadOpts): Socket {
  const fd = inNetns(netns, () =>
    orClose(tcpSocket(), (made) => {
      if (!from) {
        setUpTunnel(made);
        return;
      }
      setUpApp(made);
      setOption(made, SOL_SOCKET, SO_REUSEADDR, 1);
      bindSocket(made, from);
    }),
  );
  // manualStart: Node would read before it is connected.
  return adoptDescriptor(fd, onread).connect({ host: to.address, port: to.port });
}

/** The descriptor of a live socket, or -1. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
}

/** What libuv has taken from Node and the kernel has not yet taken from libuv. Bytes. */
export function unsentBytesOf(socket: Socket): number {
  return (socket as unknown as { _handle: { writeQueueSize: number } | null })._handle?.writeQueueSize ?? 0;
}

function orClose(fd: number, setUp: (fd: number) => void): number {
  try {
    setUp(fd);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}
