import type { Endpoint } from '../model/connection.ts';

/** How far closing of a connection has come. */
export interface Fins {
  /** Our direction is closed. */
  readonly sent: boolean;
  /** … and the other end has said that it knows. */
  readonly acknowledged: boolean;
  /** The other end has closed its direction. */
  readonly received: boolean;
}

/** Everything about one end but the bytes of its queues. */
export interface TcpEndState {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly fins: Fins;
  readonly options: number;
  readonly mss: number;
  readonly sendScale: number;
  readonly receiveScale: number;
  readonly timestamp: number;
  /** Next one expected from the other end: behind all that was received, its FIN included. */
  readonly receiveSeq: number;
  /** Behind the last byte of the send queue. An own FIN is not counted. */
  readonly sendSeq: number;
  /** struct tcp_repair_window, base64. */
  readonly window: string;
}

export interface TcpEnd extends TcpEndState {
  /** Received, not read. */
  readonly received: Buffer;
  /** Not acknowledged, sent or not. */
  readonly unacknowledged: Buffer;
  /** So many at the end of `unacknowledged` have never been sent. */
  readonly unsentBytes: number;
}
