/** Bytes that wait are kept in pieces of this size, which are used again and again: memory that is given back comes back late. */
const PIECE_BYTES = 64 * 1024;
/** Less than this is not worth a piece. */
const SMALL_BYTES = 8 * 1024;
/** Most pieces that are kept for later: 4 MiB. */
const MOST_SPARE = 64;

const spare: Buffer[] = [];

interface Piece {
  readonly memory: Buffer;
  start: number;
  readonly end: number;
}

/** Bytes in the order in which they came, copied. */
export class ByteQueue {
  readonly #pieces: Piece[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (bytes.length < SMALL_BYTES) {
      if (bytes.length > 0) this.#pieces.push({ memory: Buffer.from(bytes), start: 0, end: bytes.length });
      return;
    }
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const part = bytes.subarray(at, at + PIECE_BYTES);
      const memory = spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
      memory.set(part);
      this.#pieces.push({ memory, start: 0, end: part.length });
    }
  }

  /** What comes first, a view that is valid until the next {@link drop}. Undefined when there is nothing. */
  get first(): Buffer | undefined {
    const piece = this.#pieces[0];
    return piece?.memory.subarray(piece.start, piece.end);
  }

  /** Forgets so many bytes of {@link first}. */
  drop(bytes: number): void {
    const piece = this.#pieces[0];
    if (!piece) return;
    piece.start += bytes;
    this.#length -= bytes;
    if (piece.start < piece.end) return;
    this.#pieces.shift();
    release(piece);
  }

  clear(): void {
    for (const piece of this.#pieces.splice(0)) release(piece);
    this.#length = 0;
  }

  /** All of it, copied. */
  toBuffer(): Buffer {
    return Buffer.concat(this.#pieces.map(({ memory, start, end }) => memory.subarray(start, end)));
  }
}

function release({ memory }: Piece): void {
  if (memory.length === PIECE_BYTES && spare.length < MOST_SPARE) spare.push(memory);
}
