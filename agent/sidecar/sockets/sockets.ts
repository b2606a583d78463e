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
  TCP_NODELAY,
  bindSocket,
  closeDescriptor,
  inNetns,
  lastError,
  listenSocket,
  setOption,
  startConnecting,
  tcpSocket,
  tryAccept,
} from '../../linux/sys.ts';
import { withoutBandwidthModel } from './congestion.ts';
import type { LinkSocket } from './link.ts';
import { TUNNEL_KEEP_ALIVE } from './tunnels.ts';
import { Watch } from './watch.ts';
import type { Watcher } from './watch.ts';
import { MARKS } from '../../linux/proxy-table.ts';

/** Sockets of the task's network namespace. */

const BACKLOG = 4096;
const ACCEPT_PAUSE_MS = 100;
const OUT_OF_DESCRIPTORS: readonly string[] = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'];

/**
 * Buffers in the kernel, each way. What is in a tunnel's lies before a marker, must be recorded with a slow reader, and then waits in the
 * sidecar's memory; what is in those towards the application is in the record of its end. The kernel's own choice (up to 10 MB a socket)
 * would be added at every round. The kernel takes twice the number, half of it for its own needs. Bytes.
 */
const TUNNEL_BUFFER_BYTES = 1024 * 1024;
export const APP_BUFFER_BYTES = 1024 * 1024;

function setUp(fd: number, bytes: number): void {
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  withoutBandwidthModel(fd);
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes);
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
}

function setUpTunnel(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_MARK, MARKS.sidecar);
  setUp(fd, TUNNEL_BUFFER_BYTES);
  // An application's own keep-alive is answered by its sidecar, so the tunnels look after each other.
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, TUNNEL_KEEP_ALIVE.idle);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, TUNNEL_KEEP_ALIVE.interval);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, TUNNEL_KEEP_ALIVE.probes);
}

function setUpApp(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_MARK, MARKS.app);
  setUp(fd, APP_BUFFER_BYTES);
  setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

/** Something that ends. */
export interface Closable {
  close(): void;
}

/**
 * A listener of the sidecar in the task's namespace, for other sidecars (`tunnel`), or for the application: it gets what TPROXY brings, for
 * whatever address. Accepted sockets inherit its options.
 */
export function listenIn(
  netns: string,
  port: number,
  kind: 'app' | 'tunnel',
  accept: (socket: LinkSocket) => void,
): Closable {
  const fd = inNetns(netns, () =>
    orClose(tcpSocket(), (made) => {
      setOption(made, SOL_SOCKET, SO_REUSEADDR, 1);
      if (kind === 'app') setUpApp(made);
      else setUpTunnel(made);
      bindSocket(made, { address: '0.0.0.0', port });
      listenSocket(made, BACKLOG);
    }),
  );
  return new Listener(fd, accept);
}

class Listener implements Watcher, Closable {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #accept: (socket: LinkSocket) => void;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(fd: number, accept: (socket: LinkSocket) => void) {
    this.#fd = fd;
    this.#accept = accept;
    this.#watch = new Watch(fd, this);
    this.#watch.set(true, false);
  }

  readable(): void {
    while (!this.#closed) {
      const fd = tryAccept(this.#fd);
      if (fd < 0) {
        if (OUT_OF_DESCRIPTORS.includes(lastError())) this.#rest();
        return;
      }
      this.#accept({ fd });
    }
  }

  writable(): void {
    // Nobody waits for that.
  }

  close(): void {
    if (this.#closed) return;
    clearTimeout(this.#pause);
    this.#watch.close();
    this.#closed = true;
    closeDescriptor(this.#fd);
  }

  /** The kernel would say again and again that somebody waits. */
  #rest(): void {
    this.#watch.set(false, false);
    this.#pause = setTimeout(() => this.#watch.set(true, false), ACCEPT_PAUSE_MS);
  }
}

/**
 * Connects from the task's namespace, past our own rules.
 * @param from address and port to connect to the application from; may be another task's. Without it: a tunnel to another sidecar
 * @throws SystemCallError, e.g. EADDRINUSE for `from`
 */
export function connectFrom(netns: string, to: Endpoint, from?: Endpoint): LinkSocket {
  const fd = inNetns(netns, () =>
    orClose(tcpSocket(), (made) => {
      if (from) {
        setUpApp(made);
        setOption(made, SOL_SOCKET, SO_REUSEADDR, 1);
        bindSocket(made, from);
      } else {
        setUpTunnel(made);
      }
      startConnecting(made, to);
    }),
  );
  return { fd, connecting: true };
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
