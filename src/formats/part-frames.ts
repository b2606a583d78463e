/**
 * What goes over a connection for parts, one agent to another (agent/transfer): frames of a head, which is JSON, and as many bytes as the head says.
 *
 * ```text
 * frame    uint32, big-endian: length of the head | head | bytes
 * request  the head only: RequestHead
 * answer   for each part of the request, in order: PartHead, and `length` bytes; or, in place of one and of all that would follow, ErrorHead
 * ```
 */

/** Longest head that is taken: a ticket for some ten thousand parts. Bytes. */
export const MAX_HEAD_BYTES = 4 * 1024 * 1024;

const LENGTH_BYTES = 4;

/** A frame that breaks the rules above: what follows cannot be understood. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** The head of a frame, ready to be sent. @throws FrameError when it is too long */
export function encodeHead(head: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(head));
  if (text.length > MAX_HEAD_BYTES) throw new FrameError(`a head of ${text.length} bytes is too long`);
  const frame = new Uint8Array(LENGTH_BYTES + text.length);
  new DataView(frame.buffer).setUint32(0, text.length);
  frame.set(text, LENGTH_BYTES);
  return frame;
}

/** What a {@link FrameReader} finds. */
export interface FrameHandler {
  /** @returns how many bytes follow this head; throws for a head that cannot be understood */
  head(head: unknown): number;
  /** The next bytes that follow the last head; a view of what was pushed. */
  bytes(bytes: Uint8Array): void;
}

/** Takes what comes in, in pieces of any size, and tells heads from bytes. Keeps a head that has not come whole, and nothing else. */
export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #length = new Uint8Array(LENGTH_BYTES);
  #lengthHave = 0;
  #head: Uint8Array | undefined;
  #headHave = 0;
  /** Of the last head. */
  #follow = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Whether the last frame has come whole, and nothing of another. */
  get between(): boolean {
    return this.#follow === 0 && this.#lengthHave === 0 && this.#head === undefined;
  }

  /** @throws FrameError; what the handler throws */
  push(pushed: Uint8Array): void {
    let rest = pushed;
    while (rest.length > 0) rest = rest.subarray(this.#follow > 0 ? this.#pass(rest) : this.#takeHead(rest));
  }

  /** @returns how many bytes were taken */
  #pass(rest: Uint8Array): number {
    const bytes = rest.subarray(0, this.#follow);
    this.#follow -= bytes.length;
    this.#handler.bytes(bytes);
    return bytes.length;
  }

  #takeHead(rest: Uint8Array): number {
    if (this.#head === undefined) {
      const piece = rest.subarray(0, LENGTH_BYTES - this.#lengthHave);
      this.#length.set(piece, this.#lengthHave);
      this.#lengthHave += piece.length;
      if (this.#lengthHave === LENGTH_BYTES) this.#beginHead(new DataView(this.#length.buffer).getUint32(0));
      return piece.length;
    }
    const piece = rest.subarray(0, this.#head.length - this.#headHave);
    this.#head.set(piece, this.#headHave);
    this.#headHave += piece.length;
    if (this.#headHave === this.#head.length) this.#endHead(this.#head);
    return piece.length;
  }

  #beginHead(length: number): void {
    if (length === 0 || length > MAX_HEAD_BYTES) throw new FrameError(`a head of ${length} bytes is announced`);
    this.#head = new Uint8Array(length);
    this.#headHave = 0;
  }

  #endHead(bytes: Uint8Array): void {
    this.#head = undefined;
    this.#lengthHave = 0;
    let head: unknown;
    try {
      head = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch {
      throw new FrameError('a head is no JSON');
    }
    const follow = this.#handler.head(head);
    if (!Number.isSafeInteger(follow) || follow < 0) throw new FrameError(`${follow} bytes are announced`);
    this.#follow = follow;
  }
}
