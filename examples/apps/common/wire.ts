/** One end of a TCP connection, read by one reader at a time: lines and counted bytes. */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

/** Longest line taken. */
const MAX_LINE = 64 * 1024;

/** A connection of a client. Reads fail once it has ended, with what was the reason. */
export class Wire {
  readonly #socket: Duplex;
  #rest: Buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    let reason = new Error('closed by the other end');
    socket.on('data', (bytes: Buffer) => {
      this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
      this.#wake?.();
    });
    socket.on('error', (error) => {
      reason = error;
    });
    socket.on('close', () => {
      this.#ended = reason;
      this.#wake?.();
    });
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** Ends the connection in order, from this side. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The next line, without its end (LF or CR LF). */
  async line(): Promise<string> {
    for (;;) {
      const at = this.#rest.indexOf(0x0a);
      if (at >= 0) {
        const line = this.#take(at + 1).toString('utf8');
        return line.endsWith('\r\n') ? line.slice(0, -2) : line.slice(0, -1);
      }
      if (this.#rest.length > MAX_LINE) throw new Error(`no end of line after ${this.#rest.length} bytes`);
      await this.#more();
    }
  }

  /** The next bytes up to and without this one, which is taken, too. */
  async until(byte: number): Promise<Buffer> {
    for (;;) {
      const at = this.#rest.indexOf(byte);
      if (at >= 0) return this.#take(at + 1).subarray(0, at);
      await this.#more();
    }
  }

  async bytes(count: number): Promise<Buffer> {
    while (this.#rest.length < count) await this.#more();
    return this.#take(count);
  }

  #take(count: number): Buffer {
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return taken;
  }

  async #more(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Connects. @throws Error as `net` gives it */
export function dial(host: string, port: number): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, family: 4 });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(new Wire(socket));
    });
  });
}
