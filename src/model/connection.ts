/** Address and port of one end of a connection. Port in host order. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * One end of a TCP connection, as CRIU recorded it (tcp-stream image) or as read from a running task.
 * Sequence numbers are the kernel's, modulo 2^32. Same shape as `Connection` in proto/types.proto.
 */
export interface Connection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** `ESTABLISHED`, `FIN_WAIT1`, `FIN_WAIT2`, `CLOSE_WAIT`, `LAST_ACK`, `CLOSING`, `SYN_SENT`, `CLOSE`. */
  readonly state: string;
  /** First byte sent and not acknowledged. */
  readonly sndUna: number;
  /** First byte not yet sent. */
  readonly sndNxt: number;
  /** End of the send queue. */
  readonly writeSeq: number;
  /** Next byte expected from the peer. */
  readonly rcvNxt: number;
  readonly sendQueueBytes: number;
  /** Received and acknowledged, not yet read by the application. */
  readonly recvQueueBytes: number;
  /** False for running tasks, whose sequence numbers are not read. */
  readonly sequencesKnown: boolean;
}

/** How packets of one connection travel although its ends have other addresses than its sockets know. */
export interface RewriteEntry {
  readonly socketLocal: Endpoint;
  readonly socketRemote: Endpoint;
  readonly wireLocal: Endpoint;
  readonly wireRemote: Endpoint;
  /** Of a connected UDP socket; else of a TCP connection. */
  readonly datagrams?: boolean;
}

/** A UDP socket that its application has connected, or one end of it as its packets have it. Same shape as `DatagramSocket` in proto/types.proto. */
export interface DatagramSocket {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** A socket that is bound to one address of its task and not connected: it listens (TCP), or is a UDP socket. */
export interface UnconnectedSocket {
  readonly local: Endpoint;
  /** UDP. */
  readonly datagrams: boolean;
}

export function endpointText(endpoint: Endpoint): string {
  const address = endpoint.address.includes(':') ? `[${endpoint.address}]` : endpoint.address;
  return `${address}:${endpoint.port}`;
}

/** The endpoint that {@link endpointText} has written. */
export function endpointOf(text: string): Endpoint {
  const end = text.lastIndexOf(':');
  return { address: text.slice(0, end).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(end + 1)) };
}

/** `local>remote`: names one end of a connection within a task. */
export function connectionKey(connection: Pick<Connection, 'local' | 'remote'>): string {
  return `${endpointText(connection.local)}>${endpointText(connection.remote)}`;
}

/** The key that the other end of this connection has. */
export function peerKey(connection: Pick<Connection, 'local' | 'remote'>): string {
  return `${endpointText(connection.remote)}>${endpointText(connection.local)}`;
}
