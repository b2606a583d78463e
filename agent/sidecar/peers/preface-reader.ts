import type { Link } from '../sockets/link.ts';

/** Reads the messages of the preface, which have fixed sizes, from a tunnel; and nothing beyond what came with them. */
export class PrefaceReader {
  readonly #link: Link;
  #bytes: Buffer = Buffer.alloc(0);
  #wanted: { readonly bytes: number; resolve(message: Buffer): void; reject(error: Error): void } | undefined;
  #error: Error | undefined;

  constructor(link: Link) {
    this.#link = link;
    link.handle((bytes) => this.#take(bytes), {
      drained: () => undefined,
      ended: () => this.#fail(new Error('the other sidecar has hung up')),
      finished: () => undefined,
      closed: (error) => this.#fail(error ?? new Error('the connection with the other sidecar is gone')),
    });
  }

  /** What has come behind the messages that were read. The tunnel is not read until somebody else does. */
  get rest(): Buffer {
    return this.#bytes;
  }

  /** @throws Error when the tunnel ends before */
  read(bytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#wanted = { bytes, resolve, reject };
      if (this.#error) this.#fail(this.#error);
      else this.#take(Buffer.alloc(0));
    });
  }

  #take(read: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, read]);
    const wanted = this.#wanted;
    this.#link.reading = wanted !== undefined && this.#bytes.length < wanted.bytes;
    if (!wanted || this.#link.reading) return;
    this.#wanted = undefined;
    const message = this.#bytes.subarray(0, wanted.bytes);
    this.#bytes = this.#bytes.subarray(wanted.bytes);
    wanted.resolve(message);
  }

  #fail(error: Error): void {
    this.#error = error;
    this.#wanted?.reject(error);
    this.#wanted = undefined;
  }
}
