/**
 * What one sidecar says to another behind the preface: frames of a 5-byte head (type, length of the body as 32 bits, big-endian) and a
 * body. Each direction of a stream is one FIFO channel of the algorithms.
 *
 * | type | body | meaning |
 * |---|---|---|
 * | DATA | 1 … {@link MAX_DATA_BYTES} bytes | bytes of the application |
 * | MARKER | epoch (4), offset (8) | the sender has made its cut of this epoch; it had sent so many bytes before |
 * | FIN | offset (8) | the application has closed this direction after so many bytes |
 * | RST | – | the application's connection was reset |
 * | PARK | epoch (4), offset (8) | as MARKER; and the sender's task moves: it goes on over another tunnel, or says UNPARK |
 * | UNPARK | – | the move was given up: the stream goes on over this tunnel |
 * | WINDOW | offset (8) | the other direction may send DATA up to this offset; a frame that begins before it may go beyond |
 * | END | – | nothing more is said of this stream, in which both directions have ended; the tunnel may carry another |
 *
 * TCP's own window would be back-pressure enough, but what stands behind the bytes of a slow reader (a marker, a reset, the end of the
 * tunnel) would be seen only when it has read them; so tunnels are always read. A new stream begins with {@link WINDOW_BYTES}, a resumed one
 * with nothing. Behind FIN neither DATA nor a second FIN may come, behind RST and END nothing of this stream, and END only behind FIN. Offsets
 * count the bytes of a direction since the connection began; the receiver notices at once if one was lost or doubled.
 */
export const FRAME_TYPES = { data: 0, marker: 1, fin: 2, reset: 3, park: 4, unpark: 5, window: 6, end: 7 } as const;

/** How much more than its application has taken a sidecar takes from its peer. Bytes. */
export const WINDOW_BYTES = 512 * 1024;

export const FRAME_HEAD_BYTES = 5;

/** Largest body of a DATA frame. What a sidecar reads at once is less. */
export const MAX_DATA_BYTES = 1024 * 1024;

const MARKER_BYTES = 12;
const OFFSET_BYTES = 8;

export type FrameErrorCode =
  | 'type' // no such frame
  | 'length' // the body's length does not fit the type
  | 'order' // a frame behind one that ends the channel
  | 'value'; // an offset beyond 2^53

/** The peer does not keep to the format: nothing more can be believed of what it says on this stream. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly code: FrameErrorCode;

  constructor(code: FrameErrorCode, message: string) {
    super(`malformed frame: ${message}`);
    this.code = code;
  }
}

/** Writes the head of a DATA frame at the start of `target`; the body of `length` bytes stands behind it. */
export function writeDataHead(target: Uint8Array, length: number): void {
  if (length < 1 || length > MAX_DATA_BYTES) throw new FrameError('length', `a DATA frame of ${length} bytes`);
  writeHead(target, FRAME_TYPES.data, length);
}

/** @param offset bytes sent on this channel before the marker */
export function markerFrame(epoch: number, offset: number): Uint8Array {
  return cutFrame(FRAME_TYPES.marker, epoch, offset);
}

/** @param offset as in {@link markerFrame} */
export function parkFrame(epoch: number, offset: number): Uint8Array {
  return cutFrame(FRAME_TYPES.park, epoch, offset);
}

/** @param offset all bytes ever sent on this channel */
export function finFrame(offset: number): Uint8Array {
  return offsetFrame(FRAME_TYPES.fin, offset);
}

/** @param offset up to which the other direction may send */
export function windowFrame(offset: number): Uint8Array {
  return offsetFrame(FRAME_TYPES.window, offset);
}

export function resetFrame(): Uint8Array {
  return emptyFrame(FRAME_TYPES.reset);
}

export function unparkFrame(): Uint8Array {
  return emptyFrame(FRAME_TYPES.unpark);
}

export function endFrame(): Uint8Array {
  return emptyFrame(FRAME_TYPES.end);
}

/**
 * Where decoded frames go. Each method says whether to go on: after `false` the decoder stops behind this frame (or behind this piece of
 * a DATA frame), until {@link FrameDecoder.push} is called again.
 */
export interface FrameSink {
  /** A piece of the application's bytes: a view of the pushed chunk, valid only during the call. */
  data(bytes: Uint8Array): boolean;
  marker(epoch: number, offset: number): boolean;
  fin(offset: number): boolean;
  reset(): boolean;
  park(epoch: number, offset: number): boolean;
  unpark(): boolean;
  window(offset: number): boolean;
  end(): boolean;
}

/** Bodies of fixed length. */
const BODY_BYTES: ReadonlyMap<number | undefined, number> = new Map([
  [FRAME_TYPES.marker, MARKER_BYTES],
  [FRAME_TYPES.fin, OFFSET_BYTES],
  [FRAME_TYPES.reset, 0],
  [FRAME_TYPES.park, MARKER_BYTES],
  [FRAME_TYPES.unpark, 0],
  [FRAME_TYPES.window, OFFSET_BYTES],
  [FRAME_TYPES.end, 0],
]);

/** Takes a byte stream apart, in chunks of any size. Holds back at most the head and body of one MARKER. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  /** Head, and body of anything but DATA, as far as it has come. */
  readonly #held = new Uint8Array(FRAME_HEAD_BYTES + MARKER_BYTES);
  #heldBytes = 0;
  /** What of the present DATA frame is still to come. */
  #dataLeft = 0;
  #ended: 'fin' | 'reset' | 'end' | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True between two frames: a stream that ends elsewhere was cut off. */
  get atBoundary(): boolean {
    return this.#dataLeft === 0 && this.#heldBytes === 0;
  }

  /**
   * Decodes as much of `chunk` as the sink wants.
   * @returns how many bytes were taken; the caller pushes the others again when the sink is ready
   * @throws FrameError when the peer breaks the format; the decoder is of no use then
   */
  push(chunk: Uint8Array): number {
    let at = 0;
    let goOn = true;
    while (goOn && at < chunk.length) {
      if (this.#dataLeft > 0) {
        const end = Math.min(chunk.length, at + this.#dataLeft);
        this.#dataLeft -= end - at;
        const piece = chunk.subarray(at, end);
        at = end;
        goOn = this.#sink.data(piece);
        continue;
      }
      const wanted = this.#heldBytes < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : this.#frameBytes();
      const end = Math.min(chunk.length, at + wanted - this.#heldBytes);
      this.#held.set(chunk.subarray(at, end), this.#heldBytes);
      this.#heldBytes += end - at;
      at = end;
      if (this.#heldBytes === wanted) goOn = this.#headOrFrame(wanted);
    }
    return at;
  }

  /** Length of the frame whose head is held. */
  #frameBytes(): number {
    return FRAME_HEAD_BYTES + this.#length();
  }

  #headOrFrame(bytes: number): boolean {
    const type = this.#held[0];
    if (bytes === FRAME_HEAD_BYTES) {
      const length = this.#length();
      this.#checkHead(type, length);
      if (type === FRAME_TYPES.data) {
        this.#dataLeft = length;
        this.#heldBytes = 0;
        return true;
      }
      if (this.#frameBytes() > bytes) return true;
    }
    this.#heldBytes = 0;
    switch (type) {
      case FRAME_TYPES.marker:
        return this.#sink.marker(view(this.#held).getUint32(FRAME_HEAD_BYTES), this.#offset(FRAME_HEAD_BYTES + 4));
      case FRAME_TYPES.park:
        return this.#sink.park(view(this.#held).getUint32(FRAME_HEAD_BYTES), this.#offset(FRAME_HEAD_BYTES + 4));
      case FRAME_TYPES.unpark:
        return this.#sink.unpark();
      case FRAME_TYPES.window:
        return this.#sink.window(this.#offset(FRAME_HEAD_BYTES));
      case FRAME_TYPES.fin:
        this.#ended = 'fin';
        return this.#sink.fin(this.#offset(FRAME_HEAD_BYTES));
      case FRAME_TYPES.end:
        this.#ended = 'end';
        return this.#sink.end();
      default:
        this.#ended = 'reset';
        return this.#sink.reset();
    }
  }

  /** Of the body of the frame whose head is held. */
  #length(): number {
    const held = this.#held;
    return (((held[1] ?? 0) << 24) | ((held[2] ?? 0) << 16) | ((held[3] ?? 0) << 8) | (held[4] ?? 0)) >>> 0;
  }

  #checkHead(type: number | undefined, length: number): void {
    if (this.#ended === 'reset') throw new FrameError('order', `type ${type ?? '?'} behind RST`);
    if (this.#ended === 'end') throw new FrameError('order', `type ${type ?? '?'} behind END`);
    if (this.#ended === 'fin' && (type === FRAME_TYPES.data || type === FRAME_TYPES.fin))
      throw new FrameError('order', `type ${type} behind FIN`);
    if (type === FRAME_TYPES.end && this.#ended !== 'fin') throw new FrameError('order', 'END without FIN');
    const body = BODY_BYTES.get(type);
    if (type !== FRAME_TYPES.data && body === undefined) throw new FrameError('type', `type ${type ?? '?'}`);
    if (body === undefined ? length < 1 || length > MAX_DATA_BYTES : length !== body)
      throw new FrameError('length', `type ${type ?? '?'} with a body of ${length} bytes`);
  }

  #offset(at: number): number {
    const offset = view(this.#held).getBigUint64(at);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError('value', `offset ${offset.toString()}`);
    return Number(offset);
  }
}

function cutFrame(type: number, epoch: number, offset: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + MARKER_BYTES);
  writeHead(frame, type, MARKER_BYTES);
  view(frame).setUint32(FRAME_HEAD_BYTES, epoch);
  view(frame).setBigUint64(FRAME_HEAD_BYTES + 4, BigInt(offset));
  return frame;
}

function offsetFrame(type: number, offset: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + OFFSET_BYTES);
  writeHead(frame, type, OFFSET_BYTES);
  view(frame).setBigUint64(FRAME_HEAD_BYTES, BigInt(offset));
  return frame;
}

function emptyFrame(type: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES);
  writeHead(frame, type, 0);
  return frame;
}

function writeHead(target: Uint8Array, type: number, length: number): void {
  target[0] = type;
  target[1] = length >>> 24;
  target[2] = length >>> 16;
  target[3] = length >>> 8;
  target[4] = length;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
