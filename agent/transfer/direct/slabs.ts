/** Bytes are gathered in these before they are written: fewer, larger writes. Bytes. */
export const SLAB_BYTES = 1024 * 1024;

/** A slab with less room than this is full. What TLS has decrypted already comes even when no more is wanted, so that one must always fit. Bytes. */
const ROOM_BYTES = 128 * 1024;

/** A piece of a slab that is to be written. */
export interface Piece<Target> {
  readonly target: Target;
  /** In the target. */
  readonly position: number;
  bytes: Uint8Array;
}

class Slab<Target> {
  readonly buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  used = 0;
  readonly pieces: Piece<Target>[] = [];
}

/**
 * The buffers of one connection: bytes come into one while others are written. No more than `limit` of them; whoever reads must stop when there is no room, and is told
 * when there is again.
 */
export class Slabs<Target> {
  readonly #limit: number;
  readonly #write: (pieces: readonly Piece<Target>[]) => Promise<void>;
  readonly #roomAgain: () => void;
  readonly #free: Slab<Target>[] = [];
  #current = new Slab<Target>();
  #made = 1;
  #waiting = false;
  #writing: Promise<void> = Promise.resolve();
  #failed: Error | undefined;

  /** @param write takes pieces in the order in which they came, one call after another; their bytes are overwritten when it has resolved */
  constructor(
    limit: number,
    write: (pieces: readonly Piece<Target>[]) => Promise<void>,
    roomAgain: () => void = () => undefined,
  ) {
    this.#limit = limit;
    this.#write = write;
    this.#roomAgain = roomAgain;
  }

  /** What has kept bytes from being written. */
  get failed(): Error | undefined {
    return this.#failed;
  }

  /** Where the next bytes go. */
  room(): Uint8Array {
    return this.#current.buffer.subarray(this.#current.used);
  }

  /** Whether more should come. */
  get hasRoom(): boolean {
    return !this.#waiting;
  }

  /** Takes bytes that lie in {@link room}, or copies them there from elsewhere. @returns where they lie now */
  place(bytes: Uint8Array): Uint8Array {
    const { buffer, used } = this.#current;
    const here = bytes.buffer === buffer.buffer && bytes.byteOffset === buffer.byteOffset + used;
    if (!here) {
      if (bytes.length > buffer.length - used) this.#turn();
      this.#current.buffer.set(bytes, this.#current.used);
    }
    const at = this.#current.used;
    this.#current.used += bytes.length;
    return this.#current.buffer.subarray(at, at + bytes.length);
  }

  /** These bytes, which {@link place} has given last or a part of those, belong there. */
  add(target: Target, position: number, bytes: Uint8Array): void {
    const { pieces } = this.#current;
    const last = pieces.at(-1);
    if (last?.target === target && continues(last.bytes, bytes)) {
      last.bytes = this.#current.buffer.subarray(
        last.bytes.byteOffset - this.#current.buffer.byteOffset,
        bytes.byteOffset - this.#current.buffer.byteOffset + bytes.length,
      );
      return;
    }
    pieces.push({ target, position, bytes });
  }

  /** To be called when the bytes of {@link place} are dealt with: a slab that is full goes to be written. */
  settle(): void {
    if (SLAB_BYTES - this.#current.used < ROOM_BYTES) this.#turn();
  }

  /** Everything that came so far is written when this resolves. @throws what has kept it from that */
  async flush(): Promise<void> {
    if (this.#current.used > 0 || this.#current.pieces.length > 0) this.#turn();
    await this.#writing;
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** The current one goes to be written, and another one takes its place. */
  #turn(): void {
    const full = this.#current;
    this.#writing = this.#writing.then(async () => {
      try {
        if (this.#failed === undefined) await this.#write(full.pieces);
      } catch (error) {
        this.#failed = error instanceof Error ? error : new Error(String(error));
      }
      full.used = 0;
      full.pieces.length = 0;
      this.#gaveBack(full);
    });
    this.#current = this.#free.pop() ?? this.#another();
    this.#waiting = this.#free.length === 0 && this.#made >= this.#limit;
  }

  /** One more than there should be is made when bytes come although none are wanted. */
  #another(): Slab<Target> {
    this.#made++;
    return new Slab<Target>();
  }

  #gaveBack(slab: Slab<Target>): void {
    if (this.#made > this.#limit) this.#made--;
    else this.#free.push(slab);
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#roomAgain();
  }
}

function continues(before: Uint8Array, bytes: Uint8Array): boolean {
  return before.buffer === bytes.buffer && before.byteOffset + before.length === bytes.byteOffset;
}
