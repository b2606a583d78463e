import type { Link } from '../sockets/link.ts';

/** What a stream, `S`, asks of the sidecar around it. */
export interface StreamOwner<S> {
  /** Nothing is to be read from or delivered to the application. */
  readonly blocked: boolean;
  /** Resolves when the algorithm is done with the marker: what is behind it may be taken then. */
  marker(stream: S, epoch: number): Promise<void>;
  /** The peer's task moves. Resolves with true when this stream is to wait for it, false when the algorithm took it as a marker. */
  park(stream: S, epoch: number): Promise<boolean>;
  recorded(stream: S, bytes: number): void;
  /** Both channels have ended. `lost`: not by their ends' doing, but because the tunnel broke. The stream may have to deliver yet. */
  ended(stream: S, lost: boolean): void;
  /** Its tunnel may carry another stream. @param rest what has come behind this one, valid only during the call */
  free(stream: S, tunnel: Link, rest: Uint8Array): void;
  /** A parked stream has lost its tunnel: it waits for its `resume`. */
  left(stream: S): void;
  /** Nothing is left of it. */
  closed(stream: S): void;
  log(message: string, details: object): void;
}
