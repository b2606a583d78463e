/** What two ends of a stream have around them: applications, and tunnels in the kernel. */

/** 0 is the opener. */
export type Side = 0 | 1;

const PERIOD = 65_521;
const BYTES = Uint8Array.from({ length: PERIOD }, (_, at) => (at * 31 + (at % 251)) & 0xff);
const PATTERN = Buffer.concat([BYTES, BYTES]);

/** What an application sends at these places of its direction. */
export function pattern(from: number, bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = from; at < from + bytes; at += PERIOD) {
    const start = at % PERIOD;
    parts.push(PATTERN.subarray(start, start + Math.min(PERIOD, from + bytes - at)));
  }
  return Buffer.concat(parts);
}

/** One direction of a tunnel. */
interface Pipe {
  bytes: Buffer;
  ended: boolean;
}

/** A connection between two sidecars, in the kernel. `pipes[side]`: what that side has written. */
export interface Tunnel {
  readonly pipes: readonly [Pipe, Pipe];
  broken: boolean;
}

export function newTunnel(): Tunnel {
  return { pipes: [newPipe(), newPipe()], broken: false };
}

const newPipe = (): Pipe => ({ bytes: Buffer.alloc(0), ended: false });

/** The application, and the kernel's connection with it. Bytes of its two directions. */
export interface App {
  written: number;
  /** Of these, taken by the sidecar. */
  read: number;
  closed: boolean;
  endRead: boolean;
  /** What has come to it. */
  got: number;
  gotFin: boolean;
  gotReset: boolean;
  accepted: boolean;
}

export const newApp = (): App => ({
  written: 0,
  read: 0,
  closed: false,
  endRead: false,
  got: 0,
  gotFin: false,
  gotReset: false,
  accepted: false,
});
