/**
 * The bytes on the wire between two branches: a fixed header and a payload.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 2 | magic 0x4254 |
 * | 2 | 1 | type: 1 hello, 2 transfer |
 * | 3 | 1 | header checksum (sum of bytes 4..19, modulo 256) |
 * | 4 | 4 | payload length in bytes |
 * | 8 | 6 | sequence number on this connection and direction, from 1 |
 * | 14 | 6 | amount |
 *
 * A transfer's payload is padding whose content follows from the sequence number, so that bytes that were lost, repeated
 * or exchanged inside a payload show as well as those in a header.
 */

const MAGIC = 0x4254;
const HEADER_BYTES = 20;
/** The largest payload taken; a longer one means that the stream is out of step. */
export const MAX_PAYLOAD_BYTES = 1 << 20;

const HELLO = 1;
const TRANSFER = 2;

/** What a branch tells about itself before the first transfer. */
export interface Hello {
  readonly kind: 'hello';
  /** Identity of the branch: made at its start, kept in memory, the same after a restore. */
  readonly id: string;
}

/** Money on its way. */
export interface Transfer {
  readonly kind: 'transfer';
  /** Number on this connection and direction, from 1. */
  readonly seq: number;
  readonly amount: number;
}

/** The stream cannot be read any further: it is out of step, so bytes were lost, repeated or changed. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Byte i is i modulo 256; a payload is a window of it that starts at the sequence number modulo 256. */
const pattern = Buffer.alloc(
  MAX_PAYLOAD_BYTES + 256,
  Uint8Array.from({ length: 256 }, (_, i) => i),
);

function writeHeader(into: Buffer, at: number, type: number, length: number, seq: number, amount: number): void {
  into.writeUInt16BE(MAGIC, at);
  into[at + 2] = type;
  into.writeUInt32BE(length, at + 4);
  into.writeUIntBE(seq, at + 8, 6);
  into.writeUIntBE(amount, at + 14, 6);
  into[at + 3] = headerSum(into, at);
}

function headerSum(buffer: Buffer, at: number): number {
  let sum = 0;
  for (let i = at + 4; i < at + HEADER_BYTES; i++) sum += buffer[i] ?? 0;
  return sum & 0xff;
}

/** One hello as bytes. */
export function encodeHello(id: string): Buffer {
  const name = Buffer.from(id, 'utf8');
  const frame = Buffer.alloc(HEADER_BYTES + name.length);
  writeHeader(frame, 0, HELLO, name.length, 0, 0);
  name.copy(frame, HEADER_BYTES);
  return frame;
}

/** Several transfers as bytes for one write, each with `payloadBytes` of padding. */
export function encodeTransfers(transfers: readonly Pick<Transfer, 'seq' | 'amount'>[], payloadBytes: number): Buffer {
  const frameBytes = HEADER_BYTES + payloadBytes;
  const frames = Buffer.allocUnsafe(frameBytes * transfers.length);
  let at = 0;
  for (const { seq, amount } of transfers) {
    writeHeader(frames, at, TRANSFER, payloadBytes, seq, amount);
    const phase = seq & 0xff;
    pattern.copy(frames, at + HEADER_BYTES, phase, phase + payloadBytes);
    at += frameBytes;
  }
  return frames;
}

/** Cuts a stream of bytes into frames, however the bytes are split. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0);

  /**
   * Takes the next bytes and returns the frames that are complete with them.
   * @throws FrameError if the stream is out of step; the reader must not be used after that.
   */
  push(bytes: Buffer): (Hello | Transfer)[] {
    const data = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    const frames: (Hello | Transfer)[] = [];
    let at = 0;
    while (data.length - at >= HEADER_BYTES) {
      const length = data.readUInt32BE(at + 4);
      if (data.readUInt16BE(at) !== MAGIC || data[at + 3] !== headerSum(data, at) || length > MAX_PAYLOAD_BYTES) {
        throw new FrameError(`out of step: no frame starts with ${data.toString('hex', at, at + HEADER_BYTES)}`);
      }
      if (data.length - at < HEADER_BYTES + length) break;
      frames.push(readFrame(data, at, length));
      at += HEADER_BYTES + length;
    }
    this.rest = data.subarray(at);
    return frames;
  }
}

function readFrame(data: Buffer, at: number, length: number): Hello | Transfer {
  const start = at + HEADER_BYTES;
  const type = data[at + 2];
  if (type === HELLO) return { kind: 'hello', id: data.toString('utf8', start, start + length) };
  if (type !== TRANSFER) throw new FrameError(`out of step: unknown frame type ${String(type)}`);
  const seq = data.readUIntBE(at + 8, 6);
  const phase = seq & 0xff;
  if (pattern.compare(data, start, start + length, phase, phase + length) !== 0) {
    throw new FrameError(`payload of transfer ${seq} is not what was sent`);
  }
  return { kind: 'transfer', seq, amount: data.readUIntBE(at + 14, 6) };
}
