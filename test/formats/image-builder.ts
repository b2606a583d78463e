import protobuf from 'protobufjs/minimal.js';

/** Builds CRIU images for tests, as CRIU writes them. */
const MAGIC = {
  files: 0x56303138,
  pstree: 0x50273030,
  core: 0x55053847,
  'tcp-stream': 0x51465506,
  'remap-fpath': 0x59133954,
  stats: 0x57093306,
} as const;

export type Fields = readonly (readonly [field: number, value: number | string | Uint8Array | readonly number[]])[];

export function message(fields: Fields): Uint8Array {
  const writer = protobuf.Writer.create();
  for (const [field, value] of fields) {
    if (typeof value === 'number') writer.uint32(field << 3).uint64(value);
    else if (typeof value === 'string') writer.uint32((field << 3) | 2).string(value);
    else if (value instanceof Uint8Array) writer.uint32((field << 3) | 2).bytes(value);
    else for (const item of value) writer.uint32(field << 3).uint32(item);
  }
  return writer.finish();
}

export function image(kind: keyof typeof MAGIC, entries: readonly Uint8Array[], tail = new Uint8Array()): Uint8Array {
  const size = entries.reduce((sum, entry) => sum + 4 + entry.length, 8) + tail.length;
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  view.setUint32(0, kind === 'stats' ? 0x55105940 : 0x54564319, true);
  view.setUint32(4, MAGIC[kind], true);
  let at = 8;
  for (const entry of entries) {
    view.setUint32(at, entry.length, true);
    data.set(entry, at + 4);
    at += 4 + entry.length;
  }
  data.set(tail, at);
  return data;
}

export const STATE = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
} as const;

export interface SocketSpec {
  readonly ino: number;
  readonly state: number;
  readonly local: readonly [bytes: readonly number[], port: number];
  readonly remote: readonly [bytes: readonly number[], port: number];
  readonly type?: number;
  readonly proto?: number;
}

/** A file entry of an inet socket. */
export function socketFile(spec: SocketSpec): Uint8Array {
  const words = (bytes: readonly number[]): number[] => {
    const view = new DataView(Uint8Array.from(bytes).buffer);
    return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4, true));
  };
  const socket = message([
    [1, 77],
    [2, spec.ino],
    [3, spec.local[0].length === 4 ? 2 : 10],
    [4, spec.type ?? 1],
    [5, spec.proto ?? 6],
    [6, spec.state],
    [7, spec.local[1]],
    [8, spec.remote[1]],
    [9, 2],
    [10, 0],
    [11, words(spec.local[0])],
    [12, words(spec.remote[0])],
  ]);
  return message([
    [1, 4],
    [2, 77],
    [4, socket],
  ]);
}

/** A file entry of a regular file. */
export function regularFile(id: number, name: string): Uint8Array {
  return message([
    [1, 1],
    [2, id],
    [
      3,
      message([
        [1, id],
        [2, 0],
        [3, 0],
        [6, name],
      ]),
    ],
  ]);
}

/** What the kernel has of one end of a connection. */
export interface KernelEnd {
  readonly sndUna: number;
  readonly sndNxt: number;
  readonly writeSeq: number;
  readonly rcvNxt: number;
  readonly copiedSeq: number;
}

/** The states in which our own FIN is in the sequence numbers. */
const AFTER_OWN_FIN: readonly number[] = [STATE.FIN_WAIT1, STATE.FIN_WAIT2, STATE.CLOSING, STATE.LAST_ACK, STATE.CLOSE];

/** A tcp-stream image as CRIU's soccr would write it. */
export function streamImage(state: number, end: KernelEnd): Uint8Array {
  let queued = (end.writeSeq - end.sndUna) >>> 0;
  let unsent = (end.writeSeq - end.sndNxt) >>> 0;
  if (state === STATE.CLOSE || state === STATE.SYN_SENT) queued = unsent = 0;
  if (AFTER_OWN_FIN.includes(state)) {
    if (queued > 0) queued--;
    if (unsent > 0) unsent--;
  }
  const unread = (end.rcvNxt - end.copiedSeq) >>> 0;
  const entry = message([
    [1, unread],
    [2, end.rcvNxt],
    [3, queued],
    [4, end.writeSeq],
    [5, 7],
    [6, 10],
    [7, 1398],
    [12, unsent],
  ]);
  return image('tcp-stream', [entry], new Uint8Array(Math.min(unread, 64) + Math.min(queued, 64)).fill(0xff));
}
